"""The request that is sent over and over is a good one for its mechanism."""

import pytest

from hsm_client.mechanisms import LOCAL_HASH_BYTES
from hsm_wire.messages import Encrypt, Sign, decode_body
from hsm_wire.opcodes import Opcode
from hsmctl.bench.requests import prepare
from hsmctl.mechanism_names import MEASURABLE

KEY_ID = bytes(range(16))


@pytest.mark.parametrize("mechanism", MEASURABLE)
def test_every_mechanism_offered_makes_a_request_for_that_key(mechanism: str) -> None:
    made = prepare(KEY_ID, mechanism, 128)
    assert made.opcode in (Opcode.SIGN, Opcode.ENCRYPT)
    body = decode_body(Sign if made.opcode == Opcode.SIGN else Encrypt, made.body)
    assert (body.key_id, len(body.data)) == (KEY_ID, 128)


@pytest.mark.parametrize(
    ("mechanism", "opcode"), [("ecdsa-sha256", Opcode.SIGN), ("hmac-sha256", Opcode.SIGN), ("aes-gcm", Opcode.ENCRYPT)]
)
def test_what_signs_signs_and_what_cannot_encrypts(mechanism: str, opcode: Opcode) -> None:
    assert prepare(KEY_ID, mechanism, 1).opcode == opcode


def test_large_data_is_hashed_before_the_measurement() -> None:
    body = decode_body(Sign, prepare(KEY_ID, "ecdsa-sha256", LOCAL_HASH_BYTES + 1).body)
    assert len(body.data) == 32

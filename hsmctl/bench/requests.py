"""The request that is sent over and over: encoded once, before measuring."""

from typing import Final

import msgspec

from hsm_client.mechanisms import prepare_cipher, prepare_signature
from hsm_wire.mechanisms import MECHANISM_BY_ALIAS
from hsm_wire.messages import Encrypt, Sign, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.usages import Usage

DATA_BYTE: Final = b"\x5a"


class Prepared(msgspec.Struct, frozen=True):
    """Opcode and body."""

    opcode: int
    body: bytes


def prepare(key_id: bytes, mechanism: str, size: int) -> Prepared:
    """Return the request that signs, or where the mechanism cannot encrypts, `size` bytes."""
    data = DATA_BYTE * size
    if MECHANISM_BY_ALIAS[mechanism].usages & Usage.SIGN:
        choice = prepare_signature(mechanism, data, prehashed=False, parameters=None)
        return Prepared(Opcode.SIGN, encode_body(Sign(key_id, choice.number, choice.parameters, choice.data)))
    choice = prepare_cipher(mechanism, data, iv=b"", aad=b"", parameters=None)
    return Prepared(Opcode.ENCRYPT, encode_body(Encrypt(key_id, choice.number, choice.parameters, choice.data)))

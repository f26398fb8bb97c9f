"""The cryptography of the deep check."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.net.notary import EcdsaNotary

KEY = ec.generate_private_key(ec.SECP256R1())
POINT = KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def signed(data):
    r, s = decode_dss_signature(KEY.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_a_true_signature_verifies_and_each_challenge_is_new():
    notary = EcdsaNotary()
    challenge = notary.challenge()
    assert len(challenge) == 32
    assert challenge != notary.challenge()
    assert notary.verifies(POINT, challenge, signed(challenge))


@pytest.mark.parametrize(
    ("point", "signature"),
    [(POINT, signed(b"other")), (POINT, bytes(64)), (bytes(65), signed(b"c")), (b"\x04" + bytes(range(64)), bytes(64))],
    ids=["of other data", "zeros", "no point", "a point off the curve"],  # the values differ from process to process
)
def test_what_is_no_signature_of_it_does_not(point, signature):
    assert not EcdsaNotary().verifies(point, b"c", signature)

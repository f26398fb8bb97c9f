from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from hsm_node.backends.check_key import CheckKey


def test_the_signature_verifies_under_the_point() -> None:
    key = CheckKey()
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.public_point)
    signature = key.sign(b"c" * 32)
    assert (len(signature), len(key.public_point)) == (64, 65)
    der = utils.encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    public.verify(der, b"c" * 32, ec.ECDSA(hashes.SHA256()))


def test_each_start_has_a_key_of_its_own_and_tells_nothing_of_it() -> None:
    assert CheckKey().public_point != CheckKey().public_point
    assert repr(CheckKey()) == "CheckKey(<secret>)"

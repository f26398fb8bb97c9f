import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from hsm_node.backends.known_answers import PROOFS
from hsm_node.backends.known_keys import known_material
from hsm_node.backends.software import IMPLEMENTED
from hsm_wire.key_types import KEY_TYPES, Family
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.usages import Usage


def test_every_usage_of_every_mechanism_that_is_implemented_has_a_proof() -> None:
    proved: dict[int, Usage] = {}
    for proof in PROOFS:
        proved[proof.mechanism] = proved.get(proof.mechanism, Usage(0)) | proof.usages
    assert proved == IMPLEMENTED


def test_every_family_of_a_mechanism_has_a_proof() -> None:
    tried = {(proof.mechanism, KEY_TYPES[proof.key_type].family) for proof in PROOFS}
    assert tried == {(number, family) for number in IMPLEMENTED for family in MECHANISMS[number].families}


def test_every_curve_and_parameter_set_is_tried() -> None:
    tried = {proof.key_type for proof in PROOFS}
    by_itself = {row.name for row in KEY_TYPES.values() if row.family not in (Family.RSA, Family.HMAC)}
    assert by_itself <= tried


def test_the_ciphertext_that_must_be_rejected_implicitly_has_wrong_padding() -> None:
    private = serialization.load_der_private_key(known_material("rsa-2048"), None)
    assert isinstance(private, RSAPrivateKey)
    numbers = private.private_numbers()
    padded = pow(2, numbers.d, numbers.public_numbers.n).to_bytes(256, "big")
    assert padded[:2] != b"\x00\x02"


def test_a_seed_and_a_wrong_ciphertext_give_what_fips_203_says() -> None:
    # J(z || c) is SHAKE256, and z the second half of the seed.
    for length, known in (
        (1088, "6b246eb18b553ab4cc4a57044d8d1534a885d1d34214c987789619cb73e6129a"),
        (1568, "6a58e1c59686c9fc322ec26b6ea0d5272267292ce9a40f12751396bc53227246"),
    ):
        assert hashlib.shake_256(bytes(range(32)) + bytes(length)).hexdigest(32) == known

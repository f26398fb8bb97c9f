import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hsm_node.backends.edwards import EdwardsKey, EdwardsPrivate
from hsm_node.core.refusal import Refusal
from hsm_wire.mechanisms import CKM_EDDSA
from hsm_wire.parameters import EddsaParameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

# RFC 8032, section 7.1, tests 1 to 3: secret key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("secret", "message", "signature"), VECTORS)
def test_rfc_8032_vectors(secret: str, message: str, signature: str) -> None:
    key = EdwardsKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)))
    assert key.sign(CKM_EDDSA, None, bytes.fromhex(message)).hex() == signature
    key.verify(CKM_EDDSA, EddsaParameters(), bytes.fromhex(message), bytes.fromhex(signature))


def test_the_first_ed448_vector_of_rfc_8032() -> None:
    secret = (
        "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e39a3fc5b94492f8f032e7549a2"
        "0098f95b"
    )
    signature = (
        "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980"
        "ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4dbb61149f05a7363268c71d95808ff2e652600"
    )
    key = EdwardsKey(Ed448PrivateKey.from_private_bytes(bytes.fromhex(secret)))
    assert key.sign(CKM_EDDSA, None, b"").hex() == signature
    key.verify(CKM_EDDSA, None, b"", bytes.fromhex(signature))
    assert key.dear == Usage.SIGN | Usage.VERIFY


@pytest.mark.parametrize("kind", [Ed25519PrivateKey, Ed448PrivateKey])
def test_other_forms_and_wrong_signatures_are_refused(kind: type[EdwardsPrivate]) -> None:
    key = EdwardsKey(kind.generate())
    right = key.sign(CKM_EDDSA, None, b"")
    for parameters in (EddsaParameters(prehash=True), EddsaParameters(context=b"c")):
        with pytest.raises(Refusal, match="leave both out") as refused:
            key.sign(CKM_EDDSA, parameters, b"")
        assert refused.value.status is Status.BAD_REQUEST
        with pytest.raises(Refusal, match="leave both out"):
            key.verify(CKM_EDDSA, parameters, b"", right)
    for wrong in (b"", bytes(len(right)), right[:-1], right + b"\x00"):
        with pytest.raises(Refusal) as refused:
            key.verify(CKM_EDDSA, None, b"", wrong)
        assert refused.value.status is Status.BAD_SIGNATURE

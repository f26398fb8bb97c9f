import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hsm_node.backends.edwards import EdwardsKey
from hsm_node.core.refusal import Refusal
from hsm_wire.mechanisms import CKM_EDDSA
from hsm_wire.parameters import EddsaParameters
from hsm_wire.statuses import Status

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


def test_other_forms_and_wrong_signatures_are_refused() -> None:
    key = EdwardsKey(Ed25519PrivateKey.generate())
    for parameters in (EddsaParameters(prehash=True), EddsaParameters(context=b"c")):
        with pytest.raises(Refusal) as refused:
            key.sign(CKM_EDDSA, parameters, b"")
        assert refused.value.status is Status.BAD_REQUEST
    with pytest.raises(Refusal) as refused:
        key.verify(CKM_EDDSA, None, b"", bytes(64))
    assert refused.value.status is Status.BAD_SIGNATURE

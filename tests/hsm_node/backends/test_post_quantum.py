import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem

from hsm_node.backends.post_quantum import MlDsaKey, MlDsaPrivate, MlKemKey, MlKemPrivate
from hsm_node.core.refusal import Refusal
from hsm_wire.mechanisms import CKM_ML_DSA, CKM_ML_KEM
from hsm_wire.parameters import MlDsaParameters
from hsm_wire.statuses import Status

SIGNING = (mldsa.MLDSA44PrivateKey, mldsa.MLDSA65PrivateKey, mldsa.MLDSA87PrivateKey)
AGREEING = (mlkem.MLKEM768PrivateKey, mlkem.MLKEM1024PrivateKey)


@pytest.mark.parametrize("kind", SIGNING)
def test_signatures_verify_elsewhere_with_their_context(kind: type[MlDsaPrivate]) -> None:
    private = kind.generate()
    key = MlDsaKey(private)
    plain, contextual = key.sign(CKM_ML_DSA, None, b"x"), key.sign(CKM_ML_DSA, MlDsaParameters(b"context"), b"x")
    private.public_key().verify(plain, b"x")
    private.public_key().verify(contextual, b"x", b"context")
    key.verify(CKM_ML_DSA, MlDsaParameters(), b"x", plain)
    key.verify(CKM_ML_DSA, MlDsaParameters(b"context"), b"x", contextual)


@pytest.mark.parametrize("kind", SIGNING)
def test_a_signature_of_anything_else_is_refused(kind: type[MlDsaPrivate]) -> None:
    key = MlDsaKey(kind.generate())
    right = key.sign(CKM_ML_DSA, MlDsaParameters(b"c"), b"x")
    for parameters, data, signature in (
        (None, b"x", right),
        (MlDsaParameters(b"d"), b"x", right),
        (MlDsaParameters(b"c"), b"y", right),
        (MlDsaParameters(b"c"), b"x", right[:-1]),
        (MlDsaParameters(b"c"), b"x", b""),
        (MlDsaParameters(b"c"), b"x", bytes(len(right))),
    ):
        with pytest.raises(Refusal) as refused:
            key.verify(CKM_ML_DSA, parameters, data, signature)
        assert refused.value.status is Status.BAD_SIGNATURE


@pytest.mark.parametrize(("kind", "length"), list(zip(AGREEING, (1088, 1568), strict=True)))
def test_whoever_decapsulates_gets_the_same_secret(kind: type[MlKemPrivate], length: int) -> None:
    key = MlKemKey(kind.generate())
    ciphertext, secret = key.encapsulate(CKM_ML_KEM)
    assert (len(ciphertext), len(secret)) == (length, 32)
    assert key.decapsulate(CKM_ML_KEM, ciphertext) == secret
    assert key.encapsulate(CKM_ML_KEM) != (ciphertext, secret)


@pytest.mark.parametrize("kind", AGREEING)
def test_a_changed_ciphertext_gives_another_secret_and_a_short_one_is_refused(kind: type[MlKemPrivate]) -> None:
    key = MlKemKey(kind.generate())
    ciphertext, secret = key.encapsulate(CKM_ML_KEM)
    changed = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    assert key.decapsulate(CKM_ML_KEM, changed) == key.decapsulate(CKM_ML_KEM, changed) != secret
    for bad in (b"", ciphertext[:-1], ciphertext + b"\x00"):
        with pytest.raises(Refusal) as refused:
            key.decapsulate(CKM_ML_KEM, bad)
        assert refused.value.status is Status.BAD_DATA

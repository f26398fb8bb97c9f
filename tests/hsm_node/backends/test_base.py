from collections.abc import Callable

import pytest

from hsm_node.backends.base import LoadedKey, Outcome, Proved, bad_ciphertext, bad_signature
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import Family
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage


@pytest.mark.parametrize(
    "use",
    [
        lambda key: key.sign(1, None, b""),
        lambda key: key.verify(1, None, b"", b""),
        lambda key: key.encrypt(1, None, b"", caller_iv=False),
        lambda key: key.decrypt(1, None, b""),
    ],
)
def test_a_key_refuses_what_its_family_does_not_do(use: Callable[[LoadedKey], object]) -> None:
    with pytest.raises(Refusal) as refused:
        use(LoadedKey())
    assert refused.value.status is Status.MECHANISM_NOT_HERE


def test_failures_say_the_same_whatever_the_reason() -> None:
    assert bad_signature().status is Status.BAD_SIGNATURE
    assert bad_ciphertext().status is Status.BAD_DATA
    assert repr(LoadedKey()) == "LoadedKey(<secret>)"


def test_what_was_proved_is_offered_and_keys_that_it_is_of_use_with_are_made() -> None:
    outcome = Outcome({ckm.CKM_ECDSA: Usage.SIGN, ckm.CKM_EDDSA: Usage.SIGN}, ("HKDF: wrong",))
    here = Proved(outcome, frozenset({Family.EC, Family.RSA}))
    assert (here.offered, here.failures) == outcome
    assert here.key_types == {"ec-p256", "ec-p384", "ec-p521", "ec-secp256k1"}
    assert Proved(outcome).key_types == here.key_types | {"ed25519", "ed448"}

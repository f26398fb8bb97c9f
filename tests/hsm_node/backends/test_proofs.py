from collections.abc import Callable

import pytest

from hsm_node.backends import proofs
from hsm_node.backends.base import LoadedKey
from hsm_node.backends.known_keys import KnownKeys
from hsm_node.backends.software import SoftwareBackend
from hsm_node.core.keyring import Keyring
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status

PKCS1 = ckm.CKM_RSA_PKCS


class Decrypting(LoadedKey):
    def __init__(self, answer: Callable[[], bytes]) -> None:
        self.answer = answer

    def decrypt(self, _mechanism: int, _parameters: Parameters | None, _data: bytes) -> bytes:
        return self.answer()


class Backend(SoftwareBackend):
    """Its keys decrypt to whatever is next; an empty answer is a refusal."""

    def __init__(self, keyring: Keyring, answers: list[bytes]) -> None:
        super().__init__(keyring)
        self.answers = iter(answers)

    def load(self, _record: Record) -> LoadedKey:
        return Decrypting(self._next)

    def _next(self) -> bytes:
        answer = next(self.answers)
        if not answer:
            raise Refusal(Status.BAD_DATA, "wrong padding")
        return answer


def test_the_same_wrong_plaintext_twice_is_implicit_rejection(keyring: Keyring) -> None:
    proof = proofs.rejects_implicitly(PKCS1, "aes-256", b"")
    proof.run(KnownKeys(Backend(keyring, [b"one", b"one"])))


@pytest.mark.parametrize(
    ("answers", "reason"),
    [([b""], "is refused"), ([b"one", b""], "is refused"), ([b"one", b"two"], "another plaintext each time")],
)
def test_refusals_and_plaintexts_that_change_are_oracles(answers: list[bytes], reason: str, keyring: Keyring) -> None:
    proof = proofs.rejects_implicitly(PKCS1, "aes-256", b"")
    with pytest.raises(proofs.DisproofError, match=reason):
        proof.run(KnownKeys(Backend(keyring, answers)))


def test_a_decryption_of_what_nobody_encrypted_is_a_disproof(keyring: Keyring) -> None:
    proof = proofs.refuses_changed_data(ckm.CKM_AES_GCM, "aes-256", bytes(32), None)
    proof.run(KnownKeys(Backend(keyring, [b""])))
    with pytest.raises(proofs.DisproofError, match="refused as BAD_DATA is taken"):
        proof.run(KnownKeys(Backend(keyring, [b"plain"])))


def test_a_refusal_for_another_reason_is_none(keyring: Keyring) -> None:
    proof = proofs.refuses_changed_data(ckm.CKM_AES_GCM, "aes-256", bytes(32), None)
    with pytest.raises(Refusal, match="the nonce has"):
        proof.run(KnownKeys(SoftwareBackend(keyring)))


def test_long_answers_are_known_by_their_hash(keyring: Keyring) -> None:
    keys = KnownKeys(SoftwareBackend(keyring))
    mac = keys.loaded("aes-128").sign(ckm.CKM_AES_CMAC, None, b"")
    by_hash = "f198a327eceffcb1b00c98b8a4730b182632bde54e60fb7962ff916a8cec2036"
    for known in (mac.hex(), by_hash):
        proofs.signs(ckm.CKM_AES_CMAC, "aes-128", known, data=b"").run(keys)
    with pytest.raises(proofs.DisproofError, match="signature is not the known one"):
        proofs.signs(ckm.CKM_AES_CMAC, "aes-128", "00" * 16, data=b"").run(keys)

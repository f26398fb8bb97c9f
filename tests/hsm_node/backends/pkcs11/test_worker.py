"""The module's process: what its threads do when a session, or everything, is lost."""

from collections.abc import Callable

import pytest

from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.device import Device, LostError
from hsm_node.backends.pkcs11.module import DeviceError
from hsm_node.backends.pkcs11.worker import Session

HANDLE_INVALID, DEVICE_REMOVED, DEVICE_ERROR = 0xB3, 0x32, 0x30
KEY = messages.KeyRef("hmac-256", bytes(40), 1)
USE = messages.Use("sign", KEY, 0x251, b"", b"", 32)


class Scripted:
    """Stands for a device: each call gets the next answer."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.did: list[str] = []

    def answer(self, session: int, _question: messages.Question) -> messages.Answer:
        number = self.answers.pop(0)
        if number:
            raise DeviceError(number, "C_Sign")
        return messages.Done(bytes([session]))

    def close(self, session: int) -> None:
        self.did.append(f"close {session}")

    def session(self) -> int:
        self.did.append("open")
        return 2

    def forget(self, key: messages.KeyRef) -> None:
        assert key == KEY
        self.did.append("forget")


def run(*answers: int) -> tuple[messages.Answer, list[str]]:
    device = Scripted(*answers)
    return Session(device, 1).answer(USE), device.did  # type: ignore[arg-type]  # as much of it as is used


def test_a_session_that_is_gone_is_opened_again_and_the_call_made_once_more() -> None:
    assert run(HANDLE_INVALID, 0) == (messages.Done(b"\2"), ["close 1", "open", "forget"])


def test_other_errors_are_answered_as_they_are() -> None:
    assert run(DEVICE_ERROR) == (messages.Failed(DEVICE_ERROR, "C_Sign"), [])
    assert run(HANDLE_INVALID, DEVICE_ERROR)[0] == messages.Failed(DEVICE_ERROR, "C_Sign")


@pytest.mark.parametrize(
    "answers", [(DEVICE_REMOVED,), (HANDLE_INVALID, HANDLE_INVALID), (HANDLE_INVALID, DEVICE_REMOVED)]
)
def test_what_a_new_session_does_not_mend_is_lost(answers: tuple[int, ...]) -> None:
    with pytest.raises(LostError) as raised:
        run(*answers)
    assert raised.value.failed.number == answers[-1]


def test_a_real_session_that_was_closed_is_opened_again(device: Device, slot_of: Callable[[str], int]) -> None:
    assert slot_of("one")
    handle = device.session()
    device.close(handle)
    answer = Session(device, handle).answer(messages.Random(8))
    assert isinstance(answer, messages.Done)
    assert len(answer.data) == 8

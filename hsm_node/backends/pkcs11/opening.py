"""From settings to a device at work: its process is started, its token looked at, its PIN tried at most once."""

from collections.abc import Callable
from typing import NamedTuple

from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.channel import Channel, ChannelError
from hsm_node.backends.pkcs11.core.return_values import Fault, meaning
from hsm_node.backends.pkcs11.pin_file import PinFile
from hsm_node.backends.pkcs11.process import DeviceProcess
from hsm_node.backends.pkcs11.settings import DeviceSettings
from hsm_node.core.keyring import MASTER_KEY_VERSION


class DeviceStartError(Exception):
    """The device cannot be used; the text is one line that says why and what to do."""

    def __init__(self, text: str, *, locked: bool = False) -> None:
        super().__init__(text)
        self.locked = locked
        """Whether nothing may be tried until an operator acts: it is about the PIN."""


class OpenedDevice(NamedTuple):
    """A device at work."""

    process: DeviceProcess
    lines: list[Channel]
    seen: messages.Seen
    begun: messages.Begun
    wanted: int
    """How many sessions were wanted; there are as many as lines."""


def open_device(
    settings: DeviceSettings, master_key: str, read_pin: Callable[[], bytes], pins: PinFile, lines: int
) -> OpenedDevice:
    """Start the module's process and log in.

    Args:
        settings: which module and token.
        master_key: what the labels of its objects begin with.
        read_pin: returns the PIN, anew each time: an operator may have corrected it.
        pins: what is known of earlier attempts.
        lines: how many sessions are wanted.

    Raises:
        DeviceStartError: it cannot be used now.
    """
    process = DeviceProcess(lines)
    try:
        seen, begun = _begun(process, settings, master_key, read_pin(), pins)
    except ChannelError as error:
        process.end()
        raise DeviceStartError(f"{settings.module}: the PKCS#11 module does not work: {error}") from None
    except BaseException:
        process.end()
        raise
    return OpenedDevice(process, process.lines(begun.sessions), seen, begun, lines)


def look_for(settings: DeviceSettings) -> messages.Look:
    """Return the question after a node's token."""
    return messages.Look(str(settings.module), settings.token_label, settings.token_serial, settings.slot)


def _begun(
    process: DeviceProcess, settings: DeviceSettings, master_key: str, pin: bytes, pins: PinFile
) -> tuple[messages.Seen, messages.Begun]:
    seen = _expected(settings, process.look(look_for(settings)))
    assert isinstance(seen, messages.Seen)  # what Look is answered with
    objection = pins.begin(seen.serial, pin, seen.flags)
    if objection:
        raise DeviceStartError(f"token {seen.label!r} ({seen.serial}): {objection}; nothing was tried", locked=True)
    parts = (messages.MasterKeyObjects(MASTER_KEY_VERSION, master_key),)
    answer = process.begin(messages.Begin(pin, parts, settings.wrap_mechanism))
    pins.end(seen.serial, pin, answer)
    begun = _expected(settings, answer)
    assert isinstance(begun, messages.Begun)  # what Begin is answered with
    return seen, begun


def _expected(settings: DeviceSettings, answer: messages.Answer) -> messages.Answer:
    if isinstance(answer, messages.Unusable):
        raise DeviceStartError(answer.text)
    if isinstance(answer, messages.Failed):
        row = meaning(answer.number)
        locked = row.fault is Fault.PIN
        what = "correct the PIN; it is not tried again" if locked else "look at the device"
        raise DeviceStartError(f"{settings.module}: {answer.function} returned {row.name}; {what}", locked=locked)
    return answer

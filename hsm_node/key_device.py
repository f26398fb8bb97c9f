"""The device of a node, from its configuration: its PIN, its link, the keyring of the master key that is in it."""

import os
from functools import partial
from typing import Final

from hsm_daemon import logs
from hsm_daemon.errors import StartError
from hsm_node.backends.pkcs11.backend import Pkcs11Backend
from hsm_node.backends.pkcs11.channel import ChannelError
from hsm_node.backends.pkcs11.link import MIN_LINES, DeviceLink
from hsm_node.backends.pkcs11.master_key import DeviceMasterKey
from hsm_node.backends.pkcs11.messages import Unusable
from hsm_node.backends.pkcs11.opening import DeviceStartError, look_for, open_device
from hsm_node.backends.pkcs11.pin_file import PinFile, PinFileError
from hsm_node.backends.pkcs11.process import DeviceProcess
from hsm_node.backends.pkcs11.settings import DeviceSettings, PinSource
from hsm_node.config import NodeConfig
from hsm_node.core.keyring import MASTER_KEY_VERSION, Keyring
from hsm_node.secret_file import CREDENTIALS_DIRECTORY, credential_place, file_place, read_secret

MAX_PIN_BYTES: Final = 256
"""Some devices take passphrases; CK_TOKEN_INFO of none names more than 255."""

_log = logs.logger("hsm_node.device")


def open_link(config: NodeConfig, settings: DeviceSettings) -> DeviceLink:
    """Return the link to the node's device, which was logged in to.

    Raises:
        StartError: it cannot be used.
    """
    label = config.keystore.master_key.device
    assert label is not None  # the configuration says that both go together
    config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = config.sessions + MIN_LINES
    opening = partial(open_device, settings, label, partial(read_pin, settings.pin), PinFile(config.state_dir), lines)
    try:
        return DeviceLink(opening)
    except (DeviceStartError, PinFileError) as error:
        raise StartError(str(error)) from None


def device_keyring(link: DeviceLink) -> Keyring:
    """Return the keyring of the master key that is in the device."""
    [given_out] = link.begun.given_out
    return Keyring(DeviceMasterKey(link, MASTER_KEY_VERSION, given_out))


def device_backend(link: DeviceLink, keyring: Keyring, settings: DeviceSettings) -> Pkcs11Backend:
    """Return the back end, which has proved what it offers.

    Raises:
        StartError: the device does nothing right.
    """
    adoptable = [(each.partition, each.object) for each in settings.adopt]
    backend = Pkcs11Backend(link, keyring, adoptable=adoptable)
    for failure in backend.failures:
        logs.event(_log, "warning", "a mechanism is not offered", reason=failure)
    if link.begun.unbound:
        what = "whoever has the PIN could have a key wrapped in the moment when it is made; see docs/ceremony.md"
        logs.event(_log, "info", "new keys are not bound to the master key", reason=link.begun.unbound, what=what)
    if not backend.offered:
        raise StartError(
            f"{settings.module}: the device proved nothing ({backend.failures[0]}); is mechanism "
            f"{settings.wrap_mechanism:#06x} RFC 5649 there? correct [backend] wrap_mechanism"
        )
    return backend


def read_pin(source: PinSource) -> bytes:
    """Return the PIN, without the line end behind it.

    Raises:
        StartError: it is missing, empty, or open to others.
    """
    place = file_place(source.file) if source.file is not None else credential_place(source.credential or "")
    pin = read_secret(place, "PIN", MAX_PIN_BYTES).rstrip(b"\r\n")
    if not pin:
        raise StartError(f"{place.path}: there is no PIN in it; correct the {place.what}")
    return pin


def check_device(settings: DeviceSettings) -> None:
    """Look whether the module, the token and the PIN are there; nobody is logged in.

    Raises:
        StartError: they are not.
    """
    if settings.pin.file is not None or CREDENTIALS_DIRECTORY in os.environ:
        read_pin(settings.pin)
    process = DeviceProcess(0)
    try:
        answer = process.look(look_for(settings))
    except ChannelError as error:
        raise StartError(f"{settings.module}: the PKCS#11 module does not work: {error}") from None
    finally:
        process.end()
    if isinstance(answer, Unusable):
        raise StartError(answer.text)

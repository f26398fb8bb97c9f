"""Real SoftHSM2 tokens: one set for the whole session, because a module reads its configuration once in its life."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[3] / "live"), str(Path(__file__).parent)]

from softhsm import MASTER_KEY_LABEL, MODULE, PIN, WRAP_MECHANISM, SoftHsm

from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.backend import Pkcs11Backend
from hsm_node.backends.pkcs11.ceremony_token import CeremonyToken
from hsm_node.backends.pkcs11.device import Device
from hsm_node.backends.pkcs11.link import DeviceLink
from hsm_node.backends.pkcs11.master_key import DeviceMasterKey
from hsm_node.backends.pkcs11.module import Module
from hsm_node.backends.pkcs11.opening import open_device
from hsm_node.backends.pkcs11.pin_file import PinFile
from hsm_node.backends.pkcs11.settings import DeviceSettings, PinSource
from hsm_node.core.keyring import Keyring

MASTER_KEY = bytes(range(32))
SLOW_LOOP_S = 60.0
"""The machine may be busy: how long an answer takes says nothing here."""


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    """Tokens `one` and `two` with one master key, and `empty`, `joined` and `trusted` with none."""
    made = SoftHsm(tmp_path_factory.mktemp("softhsm") / "tokens")
    for label in ("one", "two"):
        made.make_token(label, MASTER_KEY)
    made.make_token("empty")
    made.make_token("joined")
    made.make_token("trusted")
    os.environ.update(made.environment)
    return made


@pytest.fixture(scope="session")
def module(softhsm: SoftHsm) -> Module:
    """SoftHSM2 in this process; token `joined` has made its own master key then."""
    assert softhsm.environment
    loaded = Module(MODULE)
    [slot] = [slot for slot in loaded.slots() if loaded.token(slot).label == "joined"]
    session = loaded.open_session(slot, writing=True)
    loaded.login(session, PIN.encode())
    joined = CeremonyToken(loaded, session, MASTER_KEY_LABEL, WRAP_MECHANISM)
    made = joined.make()
    joined.take(joined.wrapped(made, joined.transport_key()))
    joined.forget(made)
    return loaded


@pytest.fixture(scope="session")
def slot_of(module: Module) -> Callable[[str], int]:
    """Return a token's slot."""

    def find(label: str) -> int:
        [slot] = [slot for slot in module.slots() if module.token(slot).label == label]
        return slot

    return find


@pytest.fixture(scope="session")
def begin() -> messages.Begin:
    """What a node says first to a token with a master key."""
    parts = (messages.MasterKeyObjects(1, MASTER_KEY_LABEL),)
    return messages.Begin(PIN.encode(), parts, WRAP_MECHANISM)


@pytest.fixture(scope="session")
def device(module: Module, slot_of: Callable[[str], int], begin: messages.Begin) -> Device:
    """Token `one`, in this process."""
    made = Device(module, slot_of("one"))
    made.begin(begin)
    return made


@pytest.fixture(scope="session")
def settings_of(softhsm: SoftHsm) -> Callable[[str], DeviceSettings]:
    """Return the settings of a node that has that token."""
    pin = softhsm.folder / "pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN)

    def make(label: str) -> DeviceSettings:
        return DeviceSettings(MODULE, PinSource(file=pin), token_label=label, wrap_mechanism=WRAP_MECHANISM)

    return make


@pytest.fixture(scope="session")
def open_link(
    settings_of: Callable[[str], DeviceSettings], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., DeviceLink]]:
    """Open links to tokens, each in a process of its own."""
    links: list[DeviceLink] = []

    def make(label: str, lines: int = 3) -> DeviceLink:
        pins = PinFile(tmp_path_factory.mktemp("pins"))
        settings = settings_of(label)
        opening = lambda: open_device(settings, MASTER_KEY_LABEL, PIN.encode, pins, lines)  # noqa: E731 - short
        links.append(DeviceLink(opening, SLOW_LOOP_S))
        return links[-1]

    yield make
    for link in links:
        link.close()


@pytest.fixture(scope="session")
def link(open_link: Callable[..., DeviceLink]) -> DeviceLink:
    """To token `one`; nobody may harm it."""
    return open_link("one")


@pytest.fixture(scope="session")
def device_keyring(link: DeviceLink) -> Keyring:
    """The keyring of the master key in token `one`."""
    return Keyring(DeviceMasterKey(link, 1, link.begun.given_out[0]))


@pytest.fixture(scope="session")
def backend(link: DeviceLink, device_keyring: Keyring) -> Pkcs11Backend:
    """The back end of token `one`, after its self-test."""
    return Pkcs11Backend(link, device_keyring)


@pytest.fixture(scope="session")
def make_module() -> Callable[[Path, str], Path]:
    """Return what compiles a module whose C_GetFunctionList does that."""

    def make(path: Path, body: str) -> Path:
        source = f"#include <signal.h>\nunsigned long C_GetFunctionList(void **list) {{ (void)list; {body} }}\n"
        command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", str(path), "-"]
        subprocess.run(command, input=source, text=True, check=True, timeout=120)
        return path

    return make

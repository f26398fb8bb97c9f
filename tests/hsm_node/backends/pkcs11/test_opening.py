"""From settings to a device at work: each way in which it cannot be used is one line, and nothing is tried twice."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from softhsm import MASTER_KEY_LABEL, PIN

from hsm_node.backends.pkcs11.opening import DeviceStartError, open_device
from hsm_node.backends.pkcs11.pin_file import PinFile
from hsm_node.backends.pkcs11.settings import DeviceSettings

SETTINGS = Callable[[str], DeviceSettings]


def refused(settings: DeviceSettings, folder: Path, pin: str = PIN, label: str = MASTER_KEY_LABEL) -> DeviceStartError:
    with pytest.raises(DeviceStartError) as raised:
        open_device(settings, label, pin.encode, PinFile(folder), 2)
    assert "\n" not in str(raised.value)
    assert pin not in str(raised.value)
    return raised.value


def test_a_wrong_pin_is_tried_once(settings_of: SETTINGS, tmp_path: Path) -> None:
    first = refused(settings_of("one"), tmp_path, "999999")
    assert "C_Login returned CKR_PIN_INCORRECT" in str(first)
    second = refused(settings_of("one"), tmp_path, "999999")
    assert "nothing was tried" in str(second)
    assert first.locked
    assert second.locked
    opened = open_device(settings_of("one"), MASTER_KEY_LABEL, PIN.encode, PinFile(tmp_path), 2)
    assert (opened.begun.sessions, opened.seen.label) == (2, "one")
    opened.process.end()


def test_what_is_missing_is_named(settings_of: SETTINGS, tmp_path: Path) -> None:
    one = settings_of("one")
    module = msgspec.structs.replace(one, module=tmp_path / "none.so")
    cases = [
        (refused(module, tmp_path), "there is no such file"),
        (refused(settings_of("nobody"), tmp_path), "no token is labelled 'nobody'; the module has"),
        (refused(settings_of("empty"), tmp_path), "no object labelled 'redoubt kek private'"),
        (refused(one, tmp_path, label="other"), "no object labelled 'other kek private'"),
    ]
    for error, text in cases:
        assert text in str(error)
        assert not error.locked

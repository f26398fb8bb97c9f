"""A master key in a device, beside the same one in software."""

import threading

import pytest

from hsm_node.backends.pkcs11.link import DeviceLink
from hsm_node.backends.pkcs11.master_key import DeviceMasterKey
from hsm_node.core.derived_keys import DerivedKeys
from hsm_node.core.keyring import Keyring, KeyringError

MASTER_KEY = bytes(range(32))


def test_macs_labels_store_keys_and_fingerprints_are_those_of_software(device_keyring: Keyring) -> None:
    software = Keyring(MASTER_KEY)
    assert device_keyring.mac(b"row") == software.mac(b"row")
    assert device_keyring.fingerprint() == software.fingerprint()
    assert device_keyring.decrypt(software.encrypt(b"label"), 1) == b"label"
    device_keyring.open_store(*software.wrapped_store_keys(), 1)
    assert device_keyring.name(1, b"k") == software.name(1, b"k")
    software.open_store(*device_keyring.wrapped_store_keys(), 1)


def test_it_gives_no_material_and_shows_nothing(device_keyring: Keyring, link: DeviceLink) -> None:
    with pytest.raises(KeyringError, match="in a device"):
        device_keyring.wrap(bytes(32))
    key = DeviceMasterKey(link, 1, bytes(40))
    assert repr(key) == "DeviceMasterKey(0000000000000000, <secret>)"


def test_the_loop_finds_what_a_thread_has_asked_for(link: DeviceLink, monkeypatch: pytest.MonkeyPatch) -> None:
    key = DeviceMasterKey(link, 1, link.begun.given_out[0])
    software = DerivedKeys(MASTER_KEY)
    written = threading.Thread(target=key.mac, args=(b"written",))
    written.start()
    written.join()
    followed = [b"followed %d" % number for number in range(40)]
    key.expect(followed[:1])
    key.expect(followed[1:])
    monkeypatch.setattr(link, "ask_on_loop", None)
    for message in (b"written", *followed):
        assert key.mac(message) == software.mac(message)

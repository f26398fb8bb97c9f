"""Keys in a device, as the service sees them; what they do is in `test_backend`."""

from collections.abc import Callable

import pytest

from hsm_node.backends.pkcs11.backend import Pkcs11Backend
from hsm_node.backends.pkcs11.device_keys import CLAIMED, DeviceKey, device_key
from hsm_node.backends.pkcs11.link import DeviceLink
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage


def test_every_claim_is_a_usage_of_its_mechanism() -> None:
    for number, usages in CLAIMED.items():
        assert usages & MECHANISMS[number].usages == usages


def test_whatever_the_device_does_is_for_a_thread(make_record: Callable[..., Record], link: DeviceLink) -> None:
    for key_type in ("aes-256", "hmac-256"):
        key = device_key(link, make_record(key_type=key_type))
        assert key.dear & int(Usage.SIGN)
        assert key.dear & int(Usage.VERIFY)
        assert repr(key) == f"{type(key).__name__}(<secret>)"


def test_a_type_that_no_device_keeps_is_absent(make_record: Callable[..., Record], link: DeviceLink) -> None:
    with pytest.raises(Refusal, match="keeps no ed25519 keys") as raised:
        device_key(link, make_record(key_type="ed25519"))
    assert raised.value.status is Status.MECHANISM_NOT_HERE


def test_the_caller_s_own_nonce_needs_its_policy(make_record: Callable[..., Record], backend: Pkcs11Backend) -> None:
    from hsm_wire.parameters import GcmParameters

    key = backend.load(make_record(key_type="aes-256", key_id=b"n" * 16))
    assert isinstance(key, DeviceKey)
    with pytest.raises(Refusal, match="caller-iv"):
        key.encrypt(ckm.CKM_AES_GCM, GcmParameters(bytes(12)), b"", caller_iv=False)
    backend.forget(1, b"n" * 16)

"""`[backend]` of node.toml."""

from pathlib import Path

import pytest

from hsm_node.backends.pkcs11.settings import DeviceSettings, PinSource

PIN = PinSource(credential="pin")


def test_a_pin_has_one_source() -> None:
    assert PinSource(file=Path("pin")).file == Path("pin")
    for wrong in ({}, {"file": Path("pin"), "credential": "pin"}):
        with pytest.raises(ValueError, match="exactly one source"):
            PinSource(**wrong)  # type: ignore[arg-type]  # that is the test
    for name in ("", ".", "a/b"):
        with pytest.raises(ValueError, match="LoadCredential"):
            PinSource(credential=name)


def test_the_token_has_to_be_named() -> None:
    with pytest.raises(ValueError, match="name the token"):
        DeviceSettings(Path("m.so"), PIN)
    for how in ({"token_label": "one"}, {"token_serial": "1"}, {"slot": 0}):
        assert DeviceSettings(Path("m.so"), PIN, **how).pin is PIN  # type: ignore[arg-type]  # one of several fields

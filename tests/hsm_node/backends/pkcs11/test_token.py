"""Which token is meant."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11.device import UnusableError
from hsm_node.backends.pkcs11.messages import Look
from hsm_node.backends.pkcs11.module import Module, Token
from hsm_node.backends.pkcs11.token import find_token

READY = ck.CKF_TOKEN_INITIALIZED | ck.CKF_USER_PIN_INITIALIZED
TOKENS = [
    Token(1, "one", "s1", "m", READY),
    Token(2, "twin", "s2", "m", READY),
    Token(3, "twin", "s3", "m", READY),
    Token(4, "no pin", "s4", "m", ck.CKF_TOKEN_INITIALIZED),
    Token(5, "", "", "m", 0),
]


def found(label: str = "", serial: str = "", slot: int | None = None) -> int:
    slots: Any = SimpleNamespace(slots=lambda: [1, 2, 3, 4, 5], token=lambda slot: TOKENS[slot - 1])
    return find_token(cast(Module, slots), Look(str(Path("m.so")), label, serial, slot)).slot


def test_label_serial_and_slot_all_have_to_fit() -> None:
    assert found("one") == found(serial="s1") == found(slot=1) == found("one", "s1", 1) == 1
    assert found("twin", "s3") == 3


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"label": "twin"}, "2 tokens are labelled 'twin'; name one by its serial number"),
        ({"label": "x", "serial": "s9", "slot": 7}, "no token is labelled 'x' and of serial number 's9' and in slot 7"),
        ({"label": "no pin"}, "has no user PIN yet"),
        ({"slot": 5}, "not initialised"),
    ],
)
def test_what_is_wrong_is_said(how: dict[str, Any], text: str) -> None:
    with pytest.raises(UnusableError, match=text):
        found(**how)

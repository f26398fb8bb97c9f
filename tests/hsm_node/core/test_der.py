"""Where a private key ends."""

import pytest

from hsm_node.core.der import trimmed


@pytest.mark.parametrize("element", [b"\x30\x02ab", b"\x30\x81\x80" + b"x" * 128, b"\x30\x82\x01\x00" + b"x" * 256])
def test_what_a_device_pads_with_is_cut_off(element: bytes) -> None:
    for zeros in (0, 1, 7):
        assert trimmed(element + bytes(zeros)) == element


@pytest.mark.parametrize(
    "material", [b"", b"\x30", b"\x30\x03ab", b"\x30\x02ab" + bytes(8), b"\x30\x02abc", b"\x30\x84\xff"]
)
def test_anything_else_is_refused(material: bytes) -> None:
    with pytest.raises(ValueError, match="DER"):
        trimmed(material)

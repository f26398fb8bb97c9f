"""Addresses as text."""

import pytest

from hsm_cluster.address import Address


@pytest.mark.parametrize("text", ["127.0.0.1:2420", "[::1]:2420", "node-1.example:0"])
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    address = Address.parse(text)
    assert str(address) == text
    assert address == Address.parse(text)
    assert hash(address) == hash(Address(address.host, address.port))
    assert address != text


@pytest.mark.parametrize(
    "text", ["host", "::1:2420", ":1", "h:", "h:65536", "h:-1", "h:١", "h h:1", "h\n:1", "[]:1", "a..b:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"has no|ambiguous"):
        Address.parse(text)


def test_only_this_machine_is_loopback() -> None:
    assert [Address(host, 1).is_loopback for host in ("127.0.0.1", "::1", "localhost", "192.0.2.1", "example", "")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    assert repr(Address("::1", 5)) == "Address('::1', 5)"

"""Addresses as text."""

from pathlib import Path

import pytest

from hsm_cluster.address import Address, require_apart
from hsm_cluster.errors import ConfigurationError


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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[::1]:2420", "[0:0::1]:2420"),
        ("[FE80::A]:1", "[fe80::a]:1"),
        ("[::ffff:192.0.2.1]:1", "192.0.2.1:1"),
        ("node:2420", "NODE:2420"),
        ("node.example:1", "node.example.:1"),
    ],
)
def test_two_spellings_of_one_place_are_equal(one: str, other: str) -> None:
    assert Address.parse(one) == Address.parse(other)
    assert len({Address.parse(one), Address.parse(other)}) == 1
    assert str(Address.parse(other)) == other


@pytest.mark.parametrize(("one", "other"), [("[::1]:1", "[::1]:2"), ("[::1]:1", "127.0.0.1:1"), ("a:1", "b:1")])
def test_two_places_are_not_equal(one: str, other: str) -> None:
    assert Address.parse(one) != Address.parse(other)


@pytest.mark.parametrize(
    ("listen", "admin", "fits"),
    [
        ("127.0.0.1:2420", "127.0.0.1:9420", True),
        ("127.0.0.1:0", "127.0.0.1:0", True),
        ("127.0.0.1:2420", "127.0.0.1:2420", False),
        ("Node:2420", "node:2420", False),
        ("0.0.0.0:2420", "127.0.0.1:2420", False),
        ("[::1]:2420", "[::]:2420", False),
        ("0.0.0.0:2420", "[::1]:2420", True),
        ("node:2420", "0.0.0.0:2420", True),
    ],
)
def test_one_program_cannot_listen_twice_on_one_place(listen: str, admin: str, fits: bool) -> None:
    places = Address.parse(listen), Address.parse(admin)
    if fits:
        require_apart(Path("node.toml"), *places)
        return
    with pytest.raises(ConfigurationError) as caught:
        require_apart(Path("node.toml"), *places)
    assert (
        str(caught.value) == f"node.toml: listen {listen} and admin {admin} are the same place; give admin another port"
    )

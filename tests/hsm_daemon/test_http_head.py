"""HTTP heads."""

import pytest

from hsm_daemon.http_head import BadRequest, is_local_name, parse_head


def test_a_query_is_not_part_of_the_path() -> None:
    assert parse_head(b"GET /a?b HTTP/1.1\r\nHost: x") == ("GET", "/a", "x")


@pytest.mark.parametrize("head", [b"", b"GET /", b"get / HTTP/1.1", b"GET x HTTP/1.1", b"GET / HTTP/1.1\r\n folded"])
def test_malformed_heads_are_refused(head: bytes) -> None:
    with pytest.raises(BadRequest, match="malformed"):
        parse_head(head)


def test_the_host_is_what_the_one_header_says_or_nothing() -> None:
    assert parse_head(b"HEAD / HTTP/1.0").host == ""
    assert parse_head(b"GET / HTTP/1.1\r\nAccept: */*\r\nhOST:\t localhost:9410 ").host == "localhost:9410"
    with pytest.raises(BadRequest, match="more than one host"):
        parse_head(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example")


@pytest.mark.parametrize(
    "host", ["", "127.0.0.1", "127.0.0.1:9410", "[::1]:9410", "[::1]", "192.0.2.7:80", "localhost", "LOCALHOST:1"]
)
def test_an_address_and_localhost_are_names_that_nobody_else_has(host: str) -> None:
    assert is_local_name(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:9410", "localhost.evil.example", "127.0.0.1.evil.example",
        "127.0.0.1@evil.example", "[::1", "::1", "[localhost]", "127.0.0.1:80:80", "127.1", "0x7f000001",
        "localhost,evil.example", "\xff",
    ],
)  # fmt: skip
def test_any_other_name_may_be_that_of_a_web_site(host: str) -> None:
    assert not is_local_name(host)

"""HTTP heads."""

import pytest

from hsm_daemon.http_head import BadRequest, parse_head


def test_a_query_is_not_part_of_the_path() -> None:
    assert parse_head(b"GET /a?b HTTP/1.1\r\nHost: x") == ("GET", "/a")


@pytest.mark.parametrize("head", [b"", b"GET /", b"get / HTTP/1.1", b"GET x HTTP/1.1", b"GET / HTTP/1.1\r\n folded"])
def test_malformed_heads_are_refused(head: bytes) -> None:
    with pytest.raises(BadRequest, match="malformed"):
        parse_head(head)

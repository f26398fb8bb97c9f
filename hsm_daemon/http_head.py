"""The head of an HTTP/1.x request: bytes -> method and path, strictly. Pure."""

import re

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/([0-9])\.([0-9])")
_HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*")


class BadRequest(Exception):  # noqa: N818 - HTTP's own name for it
    """The request is refused; str() is the text for the peer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def parse_head(head: bytes) -> tuple[str, str]:
    """Return method and path (without its query) of a head that ends before the empty line; or raise BadRequest."""
    line, *headers = head.split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise BadRequest(400, "malformed request line")
    if match[3] != b"1":
        raise BadRequest(505, "only HTTP/1.x")
    if not all(_HEADER.fullmatch(header) for header in headers):
        raise BadRequest(400, "malformed header")
    return match[1].decode("ascii"), match[2].split(b"?", 1)[0].decode("ascii")

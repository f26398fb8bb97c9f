"""The head of an HTTP/1.x request: bytes -> method, path and host, strictly. Pure."""

import re
from ipaddress import ip_address
from typing import NamedTuple

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/([0-9])\.([0-9])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t -~\x80-\xff]*)")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]*))(?::[0-9]*)?")


class BadRequest(Exception):  # noqa: N818 - HTTP's own name for it
    """The request is refused; str() is the text for the peer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Head(NamedTuple):
    """What is asked for."""

    method: str
    path: str
    """Without its query."""
    host: str
    """As the request has it, with its port; empty where it names none."""


def parse_head(head: bytes) -> Head:
    """Return what a head asks for that ends before the empty line; or raise BadRequest."""
    line, *headers = head.split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise BadRequest(400, "malformed request line")
    if match[3] != b"1":
        raise BadRequest(505, "only HTTP/1.x")
    fields = [_HEADER.fullmatch(header) for header in headers]
    hosts = []
    for field in fields:
        if field is None:
            raise BadRequest(400, "malformed header")
        if field[1].lower() == b"host":
            hosts.append(field[2].strip().decode("latin-1"))
    if len(hosts) > 1:
        raise BadRequest(400, "more than one host")
    return Head(match[1].decode("ascii"), match[2].split(b"?", 1)[0].decode("ascii"), *hosts or [""])


def is_local_name(host: str) -> bool:
    """Say whether a request names us as nobody else can: by address, as localhost, or not at all.

    Any other name may be that of somebody's web site, which has it lead here for a moment (DNS rebinding): a browser
    would then show our pages to the scripts of that site.
    """
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match[1] or match[2]
    if name.lower() in ("", "localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True

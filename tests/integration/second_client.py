"""A second client, written from docs/protocol.md alone, on nothing but sockets, ssl and a MessagePack library.

It shares no code with the project: if this file can sign through the cluster, the document is enough. As a
program it makes a key, signs standard input with it and prints the signature and the public key as hex:

    python second_client.py HOST PORT CLUSTER ca.pem client.pem client-key.pem < data
"""

import os
import socket
import ssl
import struct
import sys
import time
from typing import Any, cast

import msgpack

HEADER = struct.Struct(">IBBHIIIHHQ")
VERSION = 1
HELLO, WELCOME, REQUEST, RESPONSE, PING, PONG = 1, 2, 3, 4, 5, 6
GENERATE_KEY, DESTROY_KEY, SIGN = 0x0101, 0x0106, 0x0201
CKM_ECDSA_SHA256, CKM_EDDSA = 0x1044, 0x1057
MAX_FRAME_BYTES = 1 << 20
NOT_EXECUTED = 1
RESENDABLE = {0x0501, 0x0601}  # OVERLOADED, UNAVAILABLE; after GOING_AWAY a new connection would be needed
ATTEMPTS = 5


class Refused(Exception):  # noqa: N818 - said of the request
    """The cluster answered with a status that is not OK."""

    def __init__(self, status: int, flags: int, detail: str) -> None:
        super().__init__(f"status 0x{status:04x}: {detail}")
        self.status = status
        self.flags = flags


class SecondClient:
    """One connection, one request at a time."""

    def __init__(
        self, host: str, port: int, cluster: str, ca: str, certificate: str, key: str, timeout_s: float = 10.0
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # The peer is known by the SPIFFE id in its certificate, checked below.
        context.load_verify_locations(ca)
        context.load_cert_chain(certificate, key)
        plain = socket.create_connection((host, port), timeout=timeout_s)
        self._socket = context.wrap_socket(plain)
        self._check_peer(f"spiffe://{cluster}/proxy/")
        self._last_id = 0
        self._timeout_ms = int(timeout_s * 1000)
        self._send(HELLO, msgpack.packb([VERSION, VERSION, MAX_FRAME_BYTES, 1, "second client", ""]))
        kind, _flags, _request_id, status, body = self._receive()
        if kind != WELCOME:
            raise Refused(status, 0, str(msgpack.unpackb(body)[0]))
        self.max_frame_bytes = msgpack.unpackb(body)[1]

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def generate_key(self, key_type: str, label: str = "") -> tuple[bytes, bytes]:
        """Make a key; return its id and its public key (SubjectPublicKeyInfo, DER)."""
        key_id = uuid7()
        answer = self.request(GENERATE_KEY, [key_id, key_type, label])
        return key_id, answer[8]

    def sign(self, key_id: bytes, mechanism: int, data: bytes) -> bytes:
        """Sign whole data; ECDSA signatures are r || s."""
        return cast(bytes, self.request(SIGN, [key_id, mechanism, None, data])[0])

    def destroy_key(self, key_id: bytes) -> None:
        """Destroy a key."""
        self.request(DESTROY_KEY, [key_id])

    def request(self, opcode: int, fields: list[Any]) -> list[Any]:
        """Send one request and return its answer; what was not executed is sent again, under the same operation id."""
        body = msgpack.packb(fields, use_bin_type=True)
        operation_id = int.from_bytes(os.urandom(8), "big")
        for attempt in range(ATTEMPTS):
            try:
                return self._request_once(opcode, body, operation_id)
            except Refused as error:
                again = error.status in RESENDABLE and error.flags & NOT_EXECUTED
                if not again or attempt == ATTEMPTS - 1:
                    raise
                time.sleep(0.05 * 2**attempt)
        raise AssertionError("the loop returns or raises")

    def _request_once(self, opcode: int, body: bytes, operation_id: int) -> list[Any]:
        self._last_id = self._last_id % 0xFFFFFFFF + 1
        self._send(REQUEST, body, self._last_id, self._timeout_ms, opcode, operation_id)
        while True:
            kind, flags, request_id, status, answer = self._receive()
            if kind == PING:
                self._send(PONG, msgpack.packb([b"", 0, 0, 0, 0]), request_id)
            elif kind == RESPONSE and request_id in (self._last_id, 0):
                if status >> 8:
                    raise Refused(status, flags, str(msgpack.unpackb(answer)[0]))
                return cast(list[Any], msgpack.unpackb(answer))

    def _send(
        self, kind: int, body: bytes, request_id: int = 0, timeout_ms: int = 0, opcode: int = 0, operation_id: int = 0
    ) -> None:
        length = HEADER.size - 4 + len(body)
        header = HEADER.pack(length, VERSION, kind, 0, request_id, timeout_ms, 0, opcode, 0, operation_id)
        self._socket.sendall(header + body)

    def _receive(self) -> tuple[int, int, int, int, bytes]:
        header = self._read(HEADER.size)
        length, version, kind, flags, request_id, _timeout, _principal, _opcode, status, _op = HEADER.unpack(header)
        if version != VERSION or not HEADER.size - 4 <= length <= MAX_FRAME_BYTES:
            raise ConnectionError("the peer does not speak this protocol")
        return kind, flags, request_id, status, self._read(length - HEADER.size + 4)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the proxy closed the connection")
            data += more
        return data

    def _check_peer(self, prefix: str) -> None:
        names = cast(dict[str, Any], self._socket.getpeercert() or {}).get("subjectAltName", ())
        if not any(kind == "URI" and value.startswith(prefix) for kind, value in names):
            self.close()
            raise ssl.SSLCertVerificationError("the peer is no proxy of this cluster")


def uuid7() -> bytes:
    """Return a UUIDv7 (RFC 9562): 48 bits of milliseconds, then chance."""
    value = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    return (value & ~(0xF << 76) & ~(3 << 62) | 7 << 76 | 2 << 62).to_bytes(16, "big")


if __name__ == "__main__":
    client = SecondClient(sys.argv[1], int(sys.argv[2]), *sys.argv[3:7])
    made, public_key = client.generate_key("ed25519")
    print(client.sign(made, CKM_EDDSA, sys.stdin.buffer.read()).hex(), public_key.hex())
    client.close()

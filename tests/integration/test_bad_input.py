"""Whatever a peer sends, it gets an answer that says what is wrong, and nobody else notices."""

import os
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority, Identity
from cluster import Cluster
from raw import (
    BIND,
    CANCEL,
    HEADER,
    HELLO,
    HELLO_BODY,
    PING,
    PONG,
    REQUEST,
    RESPONSE,
    WELCOME,
    Answer,
    RawConnection,
    frame,
    tls_context,
)
from second_client import uuid7

INFO, RANDOM, GENERATE_KEY, IMPORT_KEY, DESCRIBE_KEY = 0x0001, 0x0002, 0x0101, 0x0102, 0x0103
UPDATE_KEY, SIGN, VERIFY, ENCRYPT, DECRYPT = 0x0105, 0x0201, 0x0202, 0x0203, 0x0204
BAD_REQUEST, UNKNOWN_OPERATION, TOO_LARGE, DUPLICATE_ID = 0x0101, 0x0102, 0x0103, 0x0104
UNKNOWN_MECHANISM, UNSUPPORTED_VERSION, DENIED = 0x0105, 0x0106, 0x0201
KEY_NOT_FOUND, KEY_DISABLED, KEY_USAGE, BAD_DATA, KEY_TYPE = 0x0301, 0x0303, 0x0304, 0x0306, 0x0307
CKM_RSA_PKCS, CKM_RSA_OAEP, CKM_ECDSA, CKM_ECDSA_SHA256, CKM_EDDSA = 0x0001, 0x0009, 0x1041, 0x1044, 0x1057
CKM_RSA_PKCS_PSS, CKM_SHA256_RSA_PKCS, CKM_SHA256, CKM_AES_GCM, CKM_ECDH = 0x000D, 0x0040, 0x0250, 0x1087, 0x1050
USAGE_SIGN, USAGE_VERIFY, USAGE_ENCRYPT, USAGE_DECRYPT = 1, 2, 4, 8
MEMORY_SLACK_BYTES = 64 << 20


@pytest.fixture
def bystander(shared: Cluster) -> Iterator[RawConnection]:
    """Another client's connection, which must go on working after the test."""
    with RawConnection(shared.proxy.port, shared.app) as connection:
        yield connection
        assert len(connection.request(RANDOM, [16]).body[0]) == 16
    assert all(node["state"] == "up" for node in shared.proxy.status()["nodes"])


@pytest.fixture
def peer(shared: Cluster, bystander: RawConnection) -> Iterator[RawConnection]:
    """The connection that misbehaves, after HELLO."""
    with RawConnection(shared.proxy.port, shared.app) as connection:
        yield connection


@pytest.fixture
def stranger(shared: Cluster, bystander: RawConnection) -> Iterator[RawConnection]:
    """The same, before HELLO."""
    with RawConnection(shared.proxy.port, shared.app, hello=False) as connection:
        yield connection


@pytest.fixture
def link(shared: Cluster, bystander: RawConnection) -> Iterator[RawConnection]:
    """A connection to a node with a proxy's certificate, after HELLO."""
    with RawConnection(shared.nodes[0].port, shared.proxy_identity) as connection:
        yield connection


def is_refused(answer: Answer, status: int, *words: str) -> None:
    """Check an answer's status, and that its text says what is wrong."""
    assert answer.kind == RESPONSE
    assert hex(answer.status) == hex(status), answer.detail
    assert len(answer.detail) > 5
    for word in words:
        assert word.lower() in answer.detail.lower()


def is_refused_and_closed(peer: RawConnection, sent: bytes, status: int, *words: str) -> None:
    """Send a malformed frame; check its answer and that the connection ends."""
    peer.send(sent)
    is_refused(peer.receive(), status, *words)
    assert peer.closed_by_peer()


def new_key(peer: RawConnection, key_type: str, usage: int = 0) -> bytes:
    """Make a key and return its id."""
    key_id = uuid7()
    assert peer.request(GENERATE_KEY, [key_id, key_type, "", usage]).status == 0
    return key_id


# ---- frames -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 4, 31, 40])
def test_a_truncated_frame_is_waited_for_and_forgotten_when_the_peer_goes(peer: RawConnection, count: int) -> None:
    peer.send(frame(REQUEST, [16], opcode=RANDOM, request_id=1)[:32].ljust(60, b"\0")[:count])


def test_a_frame_in_single_bytes_is_a_frame(peer: RawConnection) -> None:
    for byte in frame(REQUEST, [16], opcode=RANDOM, request_id=1):
        peer.send(bytes([byte]))
    assert len(peer.receive().body[0]) == 16


@pytest.mark.parametrize("length", [0xFFFF_FFFF, 0x8000_0000, (1 << 20) + 1])
def test_an_oversized_frame_is_refused_by_its_header(peer: RawConnection, length: int) -> None:
    is_refused_and_closed(peer, frame(REQUEST, length=length, opcode=RANDOM, request_id=9), TOO_LARGE, str(length))


def test_a_length_of_4_gib_takes_no_memory(shared: Cluster, bystander: RawConnection) -> None:
    page = os.sysconf("SC_PAGE_SIZE")

    def resident() -> int:
        return int(Path(f"/proc/{shared.proxy.pid}/statm").read_text().split()[1]) * page

    before = resident()
    for _ in range(10):
        with RawConnection(shared.proxy.port, shared.app) as peer:
            peer.send(frame(REQUEST, length=0xFFFF_FFFF, opcode=RANDOM, request_id=1))
            assert peer.receive().status == TOO_LARGE
    assert resident() - before < MEMORY_SLACK_BYTES


def test_an_oversized_greeting_is_refused(stranger: RawConnection) -> None:
    is_refused_and_closed(stranger, frame(HELLO, b"\xc0" * 5000), TOO_LARGE)


@pytest.mark.parametrize("length", [0, 1, 27])
def test_a_length_below_the_header_is_refused(peer: RawConnection, length: int) -> None:
    is_refused_and_closed(peer, frame(REQUEST, length=length, request_id=3), BAD_REQUEST, "length")


@pytest.mark.parametrize("version", [0, 2, 255])
def test_an_unknown_version_is_refused(peer: RawConnection, version: int) -> None:
    sent = frame(REQUEST, [16], opcode=RANDOM, request_id=3, version=version)
    is_refused_and_closed(peer, sent, UNSUPPORTED_VERSION, str(version))


def test_a_hello_without_a_common_version_is_refused(stranger: RawConnection) -> None:
    is_refused_and_closed(stranger, frame(HELLO, [2, 9, 1 << 20, 64, "new", ""]), UNSUPPORTED_VERSION, "version")


@pytest.mark.parametrize("kind", [0, 11, 255])
def test_an_unknown_kind_is_refused(peer: RawConnection, kind: int) -> None:
    is_refused_and_closed(peer, frame(kind, [16], opcode=RANDOM, request_id=3), BAD_REQUEST, str(kind))


@pytest.mark.parametrize("flags", [1, 2, 16, 0x8000])
def test_an_unknown_flag_is_refused(peer: RawConnection, flags: int) -> None:
    is_refused_and_closed(peer, frame(REQUEST, [16], opcode=RANDOM, request_id=3, flags=flags), BAD_REQUEST, "flags")


def test_both_durabilities_at_once_are_refused(peer: RawConnection) -> None:
    both = frame(REQUEST, [16], opcode=RANDOM, request_id=3, flags=4 | 8)
    is_refused_and_closed(peer, both, BAD_REQUEST, "one durability")


@pytest.mark.parametrize("kind", [WELCOME, RESPONSE])
def test_what_only_a_server_says_is_refused_from_a_client(peer: RawConnection, kind: int) -> None:
    is_refused_and_closed(peer, frame(kind, [1, 1, 4096, 4096, "", ""]), BAD_REQUEST)


def test_a_bind_from_a_client_is_refused(peer: RawConnection) -> None:
    sent = frame(BIND, [1, "spiffe://test/client/app", 1, ["manage"], b"", 0])
    is_refused_and_closed(peer, sent, DENIED, "bind")


def test_a_principal_from_a_client_is_refused(peer: RawConnection) -> None:
    sent = frame(REQUEST, [16], opcode=RANDOM, request_id=5, principal=1)
    is_refused_and_closed(peer, sent, DENIED, "principal")


def test_a_second_hello_is_refused(peer: RawConnection) -> None:
    is_refused_and_closed(peer, frame(HELLO, HELLO_BODY), BAD_REQUEST, "hello")


def test_a_request_before_hello_is_refused(stranger: RawConnection) -> None:
    is_refused_and_closed(stranger, frame(REQUEST, [16], opcode=RANDOM, request_id=5), BAD_REQUEST, "request")


@pytest.mark.parametrize("body", [b"", b"\x90", b"\xc1\xc1", b"\x91" * 2000])
def test_a_hello_that_is_none_is_refused(stranger: RawConnection, body: bytes) -> None:
    is_refused_and_closed(stranger, frame(HELLO, body), BAD_REQUEST)


def test_a_duplicate_request_id_is_refused(peer: RawConnection) -> None:
    slow = frame(REQUEST, [uuid7(), "rsa-3072"], opcode=GENERATE_KEY, request_id=7)
    peer.send(slow + frame(REQUEST, [16], opcode=RANDOM, request_id=7))
    is_refused(peer.receive(), DUPLICATE_ID, "7")


def test_a_request_id_of_0_is_refused(peer: RawConnection) -> None:
    is_refused_and_closed(peer, frame(REQUEST, [16], opcode=RANDOM, request_id=0), BAD_REQUEST, "id")


def test_a_cancel_of_nothing_hurts_nobody(peer: RawConnection) -> None:
    peer.send(frame(CANCEL, request_id=4711))
    assert len(peer.request(RANDOM, [8]).body[0]) == 8


def test_a_ping_is_answered(peer: RawConnection) -> None:
    peer.send(frame(PING, request_id=99))
    answer = peer.receive()
    assert (answer.kind, answer.request_id) == (PONG, 99)


# ---- bodies: the connection lives on ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x91",
        b"\x91" * 500,
        b"\x90\x90",
        b"\x80",
        b"\xdd\xff\xff\xff\xff",
        [],
        ["16"],
        [0],
        [65_537],
        [-1],
        [16, 16],
        [1.5],
        [None],
    ],
)
def test_a_malformed_body_is_refused_and_the_connection_lives(peer: RawConnection, body: bytes | list[object]) -> None:
    is_refused(peer.request(RANDOM, body), BAD_REQUEST)
    assert len(peer.request(RANDOM, [8]).body[0]) == 8


@pytest.mark.parametrize("opcode", [0x0000, 0x0007, 0x01FF, 0x02FF, 0xFFFF])
def test_an_unknown_opcode_is_refused(peer: RawConnection, opcode: int) -> None:
    is_refused(peer.request(opcode, []), UNKNOWN_OPERATION)
    assert peer.request(INFO, []).status == 0


@pytest.mark.parametrize("mechanism", [0, 0x0007, 0x9999, 0xFFFF_FFFF])
def test_an_unknown_mechanism_is_refused(peer: RawConnection, mechanism: int) -> None:
    key_id = new_key(peer, "ec-p256")
    is_refused(peer.request(SIGN, [key_id, mechanism, None, b"data"]), UNKNOWN_MECHANISM)
    assert peer.request(SIGN, [key_id, CKM_ECDSA_SHA256, None, b"data"]).status == 0


def test_a_mechanism_that_is_for_something_else_is_refused(peer: RawConnection) -> None:
    key_id = new_key(peer, "ec-p256")
    is_refused(peer.request(SIGN, [key_id, CKM_ECDH, None, b"data"]), UNKNOWN_MECHANISM)


@pytest.mark.parametrize(
    "parameters", [[], [1], ["sha256"], {}, b"", [CKM_SHA256, 2, 32, 0], [0x0220, 1, 20], [CKM_SHA256, 99, 32]]
)
def test_an_unknown_parameter_is_refused(peer: RawConnection, rsa_key: bytes, parameters: object) -> None:
    answer = peer.request(SIGN, [rsa_key, CKM_RSA_PKCS_PSS, parameters, b"\0" * 32])
    is_refused(answer, BAD_REQUEST)


def test_parameters_where_none_belong_are_refused(peer: RawConnection) -> None:
    key_id = new_key(peer, "ec-p256")
    is_refused(peer.request(SIGN, [key_id, CKM_ECDSA_SHA256, [1], b"data"]), BAD_REQUEST)


@pytest.mark.parametrize("mechanism", [CKM_ECDSA_SHA256, CKM_SHA256_RSA_PKCS, 0x0251])
def test_the_wrong_key_type_for_a_mechanism_is_refused(peer: RawConnection, mechanism: int) -> None:
    key_id = new_key(peer, "ed25519")
    is_refused(peer.request(SIGN, [key_id, mechanism, None, b"data"]), KEY_TYPE)
    assert peer.request(SIGN, [key_id, CKM_EDDSA, None, b"data"]).status == 0


@pytest.mark.parametrize("key_type", ["", "rsa-1024", "rsa-2047", "des", "ec-p257"])
def test_an_unknown_key_type_is_refused(peer: RawConnection, key_type: str) -> None:
    is_refused(peer.request(GENERATE_KEY, [uuid7(), key_type]), BAD_REQUEST)


def test_a_disabled_key_is_refused(peer: RawConnection) -> None:
    key_id = new_key(peer, "ec-p256")
    assert peer.request(UPDATE_KEY, [key_id, 0, None, False]).status == 0
    for _ in range(6):
        is_refused(peer.request(SIGN, [key_id, CKM_ECDSA_SHA256, None, b"data"]), KEY_DISABLED)


def test_a_usage_that_the_key_was_not_made_for_is_refused(peer: RawConnection) -> None:
    key_id = new_key(peer, "ec-p256", USAGE_VERIFY)
    is_refused(peer.request(SIGN, [key_id, CKM_ECDSA_SHA256, None, b"data"]), KEY_USAGE)
    aes = new_key(peer, "aes-256", USAGE_DECRYPT)
    is_refused(peer.request(ENCRYPT, [aes, CKM_AES_GCM, None, b"data"]), KEY_USAGE)


def test_a_usage_is_never_given_back(peer: RawConnection) -> None:
    key_id = new_key(peer, "ec-p256", USAGE_VERIFY)
    answer = peer.request(UPDATE_KEY, [key_id, 0, None, None, USAGE_SIGN | USAGE_VERIFY])
    assert answer.status >> 8 != 0
    is_refused(peer.request(SIGN, [key_id, CKM_ECDSA_SHA256, None, b"data"]), KEY_USAGE)


def test_data_too_long_for_rsa_is_refused(peer: RawConnection, rsa_key: bytes) -> None:
    is_refused(peer.request(SIGN, [rsa_key, CKM_RSA_PKCS, None, b"x" * 300]), BAD_DATA)
    is_refused(peer.request(ENCRYPT, [rsa_key, CKM_RSA_OAEP, [CKM_SHA256, 2, b""], b"x" * 191]), BAD_DATA)
    assert peer.request(ENCRYPT, [rsa_key, CKM_RSA_OAEP, [CKM_SHA256, 2, b""], b"x" * 190]).status == 0


@pytest.mark.parametrize("digest", [b"", b"x" * 31, b"x" * 33, b"x" * 1000])
def test_a_digest_of_the_wrong_length_is_refused(peer: RawConnection, rsa_key: bytes, digest: bytes) -> None:
    is_refused(peer.request(SIGN, [rsa_key, CKM_RSA_PKCS_PSS, [CKM_SHA256, 2, 32], digest]), BAD_DATA)


@pytest.mark.parametrize("sealed", [b"", b"x" * 15, b"x" * 40])
def test_what_was_never_encrypted_does_not_decrypt(peer: RawConnection, sealed: bytes) -> None:
    key_id = new_key(peer, "aes-256")
    is_refused(peer.request(DECRYPT, [key_id, CKM_AES_GCM, [b"\0" * 12, b"", 128], sealed]), BAD_DATA)


def test_a_nonce_of_the_callers_own_is_refused(peer: RawConnection) -> None:
    key_id = new_key(peer, "aes-256")
    answer = peer.request(ENCRYPT, [key_id, CKM_AES_GCM, [b"\0" * 12, b"", 128], b"data"])
    is_refused(answer, KEY_USAGE)


@pytest.mark.parametrize("material", [b"", b"\x30\x00", b"not a key", b"\0" * 500])
def test_material_that_is_no_key_is_refused(peer: RawConnection, material: bytes) -> None:
    answer = peer.request(IMPORT_KEY, [uuid7(), "ec-p256", material])
    assert answer.status in (BAD_DATA, BAD_REQUEST, KEY_TYPE)
    assert len(answer.detail) > 5


def test_an_unknown_key_is_not_found(peer: RawConnection) -> None:
    for _ in range(6):
        is_refused(peer.request(SIGN, [uuid7(), CKM_ECDSA_SHA256, None, b"data"]), KEY_NOT_FOUND)


# ---- who asks ---------------------------------------------------------------------------------------------------


def test_a_key_of_another_partition_does_not_exist(shared: Cluster, peer: RawConnection) -> None:
    key_id = new_key(peer, "ec-p256")
    with RawConnection(shared.proxy.port, shared.other) as other:
        is_refused(other.request(SIGN, [key_id, CKM_ECDSA_SHA256, None, b"data"]), KEY_NOT_FOUND)
        assert other.request(GENERATE_KEY, [key_id, "ec-p256"]).status == 0  # Ids are unique within a partition.
        is_refused(other.request(DESCRIBE_KEY, [uuid7()]), KEY_NOT_FOUND)


def test_a_role_that_the_client_lacks_is_denied(shared: Cluster, peer: RawConnection) -> None:
    key_id = new_key(peer, "ec-p256")
    with RawConnection(shared.proxy.port, shared.reader) as reader:
        assert reader.request(SIGN, [key_id, CKM_ECDSA_SHA256, None, b"data"]).status == 0
        is_refused(reader.request(GENERATE_KEY, [uuid7(), "ec-p256"]), DENIED)
        is_refused(reader.request(UPDATE_KEY, [key_id, 0, None, False]), DENIED)


def test_an_identity_that_the_cluster_does_not_know_is_denied(shared: Cluster, bystander: RawConnection) -> None:
    nobody = shared.authority.issue("spiffe://test/client/nobody", "nobody")
    with RawConnection(shared.proxy.port, nobody, hello=False) as peer:
        is_refused_and_closed(peer, frame(HELLO, HELLO_BODY), DENIED)


def test_an_unbound_principal_is_refused_by_the_node(link: RawConnection) -> None:
    for principal in (0, 1, 0xFFFF_FFFF):
        is_refused(link.request(RANDOM, [16], principal=principal), DENIED)


def test_a_client_is_no_proxy_to_a_node(shared: Cluster, bystander: RawConnection) -> None:
    with RawConnection(shared.nodes[0].port, shared.app, hello=False) as peer:
        is_refused_and_closed(peer, frame(HELLO, HELLO_BODY), DENIED)


@pytest.mark.parametrize("roles", [["root"], ["use", "use", "x"]])
def test_a_bind_with_an_unknown_role_gives_no_rights(link: RawConnection, roles: list[str]) -> None:
    link.send(frame(BIND, [3, "spiffe://test/client/app", 1, roles, b"", 0]))
    link.send(frame(REQUEST, [uuid7(), "ec-p256"], opcode=GENERATE_KEY, request_id=1, principal=3))
    assert link.receive().status >> 8 != 0


# ---- below the protocol -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["proxy", "node"])
@pytest.mark.parametrize(
    "data",
    ids=["hello", "http", "noise"],
    argvalues=[frame(HELLO, HELLO_BODY), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 64],
)
def test_plain_text_to_the_tls_port_ends_the_connection(
    shared: Cluster, bystander: RawConnection, which: str, data: bytes
) -> None:
    port = shared.proxy.port if which == "proxy" else shared.nodes[0].port
    with RawConnection(port, None, hello=False) as peer:
        peer.send(data)
        assert peer.closed_by_peer()


def refused_handshake(port: int, identity: Identity | None, ca: Path, alert: str) -> None:
    """Check that the server ends a connection of that identity by a TLS alert that says why."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(ca)
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=8) as plain,
        pytest.raises(ssl.SSLError, match=alert),
        context.wrap_socket(plain) as peer,
    ):
        peer.sendall(frame(HELLO, HELLO_BODY))
        peer.recv(1)


@pytest.mark.parametrize("which", ["proxy", "node"])
def test_a_certificate_of_a_foreign_authority_is_refused(
    shared: Cluster, bystander: RawConnection, tmp_path: Path, which: str
) -> None:
    foreign = Authority(tmp_path / "foreign").issue("spiffe://test/client/app", "app")
    port = shared.proxy.port if which == "proxy" else shared.nodes[0].port
    refused_handshake(
        port, foreign, shared.app.ca, "unknown.ca|UNKNOWN_CA|signature|SIGNATURE|decrypt error|DECRYPT_ERROR"
    )
    refused_handshake(port, None, shared.app.ca, "certificate.required|CERTIFICATE_REQUIRED")
    log = (shared.proxy if which == "proxy" else shared.nodes[0]).log()
    assert "handshake failed" in log
    assert "certificate is not accepted" in log


def test_tls_1_2_is_refused(shared: Cluster, bystander: RawConnection) -> None:
    context = tls_context(shared.app)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", shared.proxy.port), timeout=8) as plain,
        pytest.raises(ssl.SSLError),
        context.wrap_socket(plain),
    ):
        pass


def test_a_peer_that_resets_in_the_middle_of_its_requests_hurts_nobody(
    shared: Cluster, bystander: RawConnection
) -> None:
    for _ in range(20):
        with RawConnection(shared.proxy.port, shared.app) as peer:
            for request_id in range(1, 20):
                peer.send(frame(REQUEST, [1000], opcode=RANDOM, request_id=request_id))
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert bystander.request(RANDOM, [1]).status == 0


def test_noise_of_any_kind_hurts_nobody(shared: Cluster, bystander: RawConnection) -> None:
    for _ in range(30):
        with RawConnection(shared.proxy.port, shared.app) as peer:
            peer.send(os.urandom(HEADER.size * 4))
        assert bystander.request(RANDOM, [1]).status == 0


@pytest.fixture(scope="session")
def rsa_key(shared: Cluster) -> bytes:
    """An RSA key for signing and encrypting, made once for a cluster."""
    with RawConnection(shared.proxy.port, shared.app) as peer:
        return new_key(peer, "rsa-2048", USAGE_SIGN | USAGE_VERIFY | USAGE_ENCRYPT | USAGE_DECRYPT)

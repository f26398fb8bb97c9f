"""Two clients of two partitions, through proxy and nodes: neither learns that the other has anything."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from cluster import Cluster
from raw import BIND, HELLO, REQUEST, UNBIND, Answer, RawConnection, frame
from second_client import uuid7

from hsm_wire import mechanisms as ckm
from hsm_wire import messages as m
from hsm_wire import objects as o
from hsm_wire import parameters as p
from hsm_wire.messages import NIL_PARAMETERS as NIL
from hsm_wire.messages import encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

WRAPPING = int(Usage.WRAP | Usage.UNWRAP)
FIRST, SECOND = "spiffe://test/client/app", "spiffe://test/client/other"
ROUNDS = 12


def raw(parameters: p.Parameters) -> msgspec.Raw:
    """Return parameters as a body has them."""
    return msgspec.Raw(encode_body(parameters))


HKDF = raw(p.HkdfParameters(ckm.CKM_SHA256))
PROBES: list[tuple[Opcode, Callable[[bytes], msgspec.Struct]]] = [
    (Opcode.DESCRIBE_KEY, m.DescribeKey),
    (Opcode.UPDATE_KEY, lambda key: m.UpdateKey(key, label="mine")),
    (Opcode.DESTROY_KEY, lambda key: m.DestroyKey(key, 60)),
    (Opcode.ROTATE_KEY, lambda key: m.RotateKey(key, bytes(16))),
    (Opcode.WRAP_KEY, lambda key: m.WrapKey(key, ckm.CKM_AES_KEY_WRAP_KWP, NIL, key)),
    (Opcode.UNWRAP_KEY, lambda key: m.UnwrapKey(key, ckm.CKM_AES_KEY_WRAP_KWP, NIL, bytes(40), bytes(16), "aes-256")),
    (Opcode.SIGN, lambda key: m.Sign(key, ckm.CKM_ECDSA_SHA256, NIL, b"data")),
    (Opcode.VERIFY, lambda key: m.Verify(key, ckm.CKM_ECDSA_SHA256, NIL, b"data", bytes(64))),
    (Opcode.ENCRYPT, lambda key: m.Encrypt(key, ckm.CKM_AES_GCM, NIL, b"data")),
    (Opcode.DECRYPT, lambda key: m.Decrypt(key, ckm.CKM_AES_GCM, raw(p.GcmParameters(bytes(12))), bytes(32))),
    (Opcode.DERIVE, lambda key: m.Derive(key, ckm.CKM_HKDF_DERIVE, HKDF, bytes(16), "aes-256")),
    (Opcode.ENCAPSULATE, lambda key: m.Encapsulate(key, ckm.CKM_ML_KEM, NIL, bytes(16), "aes-256")),
    (Opcode.DECAPSULATE, lambda key: m.Decapsulate(key, ckm.CKM_ML_KEM, NIL, bytes(1088), bytes(16), "aes-256")),
    (Opcode.READ_OBJECT, o.ReadObject),
    (Opcode.UPDATE_OBJECT, lambda key: o.UpdateObject(key, value=b"mine")),
    (Opcode.DESTROY_OBJECT, o.DestroyObject),
]


@pytest.fixture
def first(shared: Cluster) -> Iterator[RawConnection]:
    """A client of partition 1."""
    with RawConnection(shared.proxy.port, shared.app) as connection:
        yield connection


@pytest.fixture
def second(shared: Cluster) -> Iterator[RawConnection]:
    """A client of partition 2."""
    with RawConnection(shared.proxy.port, shared.other) as connection:
        yield connection


def done(connection: RawConnection, opcode: Opcode, body: msgspec.Struct) -> Answer:
    """Ask for something that is allowed."""
    answer = connection.request(opcode, encode_body(body))
    assert answer.status == Status.OK, answer.detail
    return answer


def keys_of_the_other(connection: RawConnection) -> list[bytes]:
    """Make what a neighbour may have: keys of each kind and objects; some are disabled, some destroyed."""
    made = []
    for state in ("live", "disabled", "destroyed"):
        for name, usage in (
            ("ec-p256", 0),
            ("aes-256", 0),
            ("aes-256", WRAPPING),
            ("secret-256", 0),
            ("ml-kem-768", 0),
        ):
            key = uuid7()
            made.append(key)
            done(connection, Opcode.GENERATE_KEY, m.GenerateKey(key, name, "theirs", usage))
            done(connection, Opcode.CREATE_OBJECT, o.CreateObject(key, o.DATA, b"value", "theirs"))
            if state == "disabled":
                done(connection, Opcode.UPDATE_KEY, m.UpdateKey(key, enabled=False))
            if state == "destroyed":
                done(connection, Opcode.DESTROY_KEY, m.DestroyKey(key))
                done(connection, Opcode.DESTROY_OBJECT, o.DestroyObject(key))
    return made


def seen(answer: Answer) -> tuple[Any, ...]:
    """Return everything that an answer tells but the numbers that the client chose itself."""
    return answer.kind, answer.flags, answer.status, answer.body


def test_a_neighbours_key_has_the_answers_of_no_key_in_every_operation(
    first: RawConnection, second: RawConnection
) -> None:
    theirs = keys_of_the_other(second)
    for opcode, probe in PROBES:
        nobodys = seen(first.request(opcode, encode_body(probe(uuid7()))))
        assert nobodys[2] == Status.KEY_NOT_FOUND, opcode.name
        for key in theirs:
            assert seen(first.request(opcode, encode_body(probe(key)))) == nobodys, opcode.name


def test_a_neighbours_ids_and_labels_are_free_and_the_neighbour_notices_nothing(
    first: RawConnection, second: RawConnection
) -> None:
    theirs = keys_of_the_other(second)
    label = theirs[0].hex()
    done(second, Opcode.UPDATE_KEY, m.UpdateKey(theirs[0], label=label))
    before = [seen(second.request(Opcode.DESCRIBE_KEY, encode_body(m.DescribeKey(key)))) for key in theirs]
    assert done(first, Opcode.FIND_KEYS, m.FindKeys(label)).body == [[]]
    for key in theirs:
        done(first, Opcode.GENERATE_KEY, m.GenerateKey(key, "aes-256", label))
        done(first, Opcode.CREATE_OBJECT, o.CreateObject(key, o.DATA, b"mine", label))
        done(first, Opcode.DESTROY_KEY, m.DestroyKey(key))
        done(first, Opcode.DESTROY_OBJECT, o.DestroyObject(key))
    after = [seen(second.request(Opcode.DESCRIBE_KEY, encode_body(m.DescribeKey(key)))) for key in theirs]
    assert after == before


def test_clients_that_come_and_go_are_never_taken_for_each_other(shared: Cluster) -> None:
    """Each connection of either begins with what the links have of the one before: it sees its own keys only."""
    mine = {}
    for name, identity in (("app", shared.app), ("other", shared.other)):
        mine[name] = uuid7()
        with RawConnection(shared.proxy.port, identity) as connection:
            done(connection, Opcode.GENERATE_KEY, m.GenerateKey(mine[name], "ec-p256"))
    wrong: list[str] = []

    def come_and_go(name: str) -> None:
        own, strange = mine[name], mine["other" if name == "app" else "app"]
        identity = shared.app if name == "app" else shared.other
        for _ in range(ROUNDS):
            with RawConnection(shared.proxy.port, identity) as connection:
                for key, wanted in ((own, Status.OK), (strange, Status.KEY_NOT_FOUND)) * 3:
                    body = encode_body(m.Sign(key, ckm.CKM_ECDSA_SHA256, NIL, b"data"))
                    status = connection.request(Opcode.SIGN, body).status
                    if status != wanted:
                        wrong.append(f"{name}: {status:#06x}")

    threads = [threading.Thread(target=come_and_go, args=(name,)) for name in mine]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_client_that_says_it_is_another_stays_who_its_certificate_names(
    shared: Cluster, second: RawConnection
) -> None:
    key = uuid7()
    done(second, Opcode.GENERATE_KEY, m.GenerateKey(key, "ec-p256"))
    with RawConnection(shared.proxy.port, shared.app, hello=False) as peer:
        peer.send(frame(HELLO, [1, 1, 1 << 20, 64, SECOND, ""]))
        peer.receive()
        answer = peer.request(Opcode.DESCRIBE_KEY, encode_body(m.DescribeKey(key)))
        assert answer.status == Status.KEY_NOT_FOUND
        peer.send(frame(UNBIND, [1]))
        assert peer.receive().status == Status.DENIED
        assert peer.closed_by_peer()


# ---- what a proxy binds


def bind(link: RawConnection, number: int, identity: str, partition: int) -> None:
    """Announce somebody."""
    link.send(frame(BIND, [number, identity, partition, ["use", "manage"], bytes(32), 1 << 40]))


@pytest.fixture
def links(shared: Cluster) -> Iterator[list[RawConnection]]:
    """Three connections of the proxy to one node."""
    opened = [RawConnection(shared.nodes[0].port, shared.proxy_identity) for _ in range(3)]
    yield opened
    for link in opened:
        link.socket.close()


def test_a_number_means_on_each_connection_whom_it_was_bound_to_there_and_elsewhere_nobody(
    links: list[RawConnection],
) -> None:
    one, two, three = links
    bind(one, 7, FIRST, 1)
    bind(two, 7, SECOND, 2)
    keys = [uuid7(), uuid7()]
    for link, key in zip((one, two), keys, strict=True):
        body = encode_body(m.GenerateKey(key, "ec-p256"))
        assert link.request(Opcode.GENERATE_KEY, body, principal=7).status == Status.OK
    for link, key, wanted in (
        (one, keys[0], Status.OK),
        (one, keys[1], Status.KEY_NOT_FOUND),
        (two, keys[0], Status.KEY_NOT_FOUND),
        (two, keys[1], Status.OK),
        (three, keys[0], Status.DENIED),
    ):
        answer = link.request(Opcode.DESCRIBE_KEY, encode_body(m.DescribeKey(key)), principal=7)
        assert answer.status == wanted
    one.send(frame(UNBIND, [7]))
    for link, key, wanted in ((one, keys[0], Status.DENIED), (two, keys[1], Status.OK)):
        answer = link.request(Opcode.DESCRIBE_KEY, encode_body(m.DescribeKey(key)), principal=7)
        assert answer.status == wanted


def test_what_is_on_its_way_when_a_number_is_bound_anew_stays_with_who_asked(links: list[RawConnection]) -> None:
    link, key = links[0], uuid7()
    bind(link, 9, FIRST, 1)
    slow = encode_body(m.GenerateKey(key, "rsa-2048"))
    link.send(frame(REQUEST, slow, opcode=Opcode.GENERATE_KEY, request_id=1000, principal=9))
    bind(link, 9, SECOND, 2)
    bind(link, 10, FIRST, 1)
    assert link.receive().status == Status.OK
    body = encode_body(m.DescribeKey(key))
    assert link.request(Opcode.DESCRIBE_KEY, body, principal=9).status == Status.KEY_NOT_FOUND
    assert link.request(Opcode.DESCRIBE_KEY, body, principal=10).status == Status.OK

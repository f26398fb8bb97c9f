"""Every change is safe to send twice: at the same moment, to different nodes, and nothing else passes for it."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from cluster import Cluster
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from raw import BIND, GOAWAY, REQUEST, Answer, RawConnection, frame
from second_client import uuid7

from hsm_wire.statuses import Status

pytestmark = pytest.mark.other_loop_in_system

GENERATE_KEY, IMPORT_KEY, DESCRIBE_KEY, UPDATE_KEY, DESTROY_KEY, SIGN = 0x0101, 0x0102, 0x0103, 0x0105, 0x0106, 0x0201
KEY_NOT_FOUND, KEY_EXISTS, KEY_CHANGED = 0x0301, 0x0302, 0x0308
GOING_AWAY = int(Status.GOING_AWAY)
TRIES = 5
ROUNDS = 15
"""How often each race is run: either side must be able to win."""


class Links:
    """A connection to every node, as the proxy, which has announced one client on each."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._links: list[RawConnection] = []
        self._open()
        self._last_id = 0

    def _open(self) -> None:
        self.close()
        self._links = [RawConnection(node.port, self._cluster.proxy_identity) for node in self._cluster.nodes]
        for link in self._links:
            link.send(
                frame(BIND, [7, "spiffe://test/client/app", 1, ["use", "manage"], secrets.token_bytes(32), 1 << 40])
            )

    def at_once(self, opcode: int, bodies: list[list[Any]], operation_ids: list[int]) -> list[Answer]:
        """Send one request to each node before reading any answer; again where a node stood still, as a proxy does."""
        for _ in range(TRIES):
            answers = self._at_once(opcode, bodies, operation_ids)
            if not any(answer.kind == GOAWAY or answer.status == GOING_AWAY for answer in answers):
                return answers
            self._open()
        raise AssertionError("nodes stand still again and again")

    def _at_once(self, opcode: int, bodies: list[list[Any]], operation_ids: list[int]) -> list[Answer]:
        self._last_id += 1
        sent = [
            frame(REQUEST, body, opcode=opcode, request_id=self._last_id, principal=7, operation_id=operation_id)
            for body, operation_id in zip(bodies, operation_ids, strict=True)
        ]
        used = self._links[: len(sent)]
        for link, data in zip(used, sent, strict=True):
            link.send(data)
        return [link.receive() for link in used]

    def twice(self, opcode: int, body: list[Any]) -> list[Answer]:
        """Send the same request, with the same operation id, to all nodes at the same moment."""
        count = len(self._links)
        return self.at_once(opcode, [body] * count, [secrets.randbits(63) + 1] * count)

    def once(self, opcode: int, body: list[Any]) -> Answer:
        """Send one request to the first node."""
        return self.at_once(opcode, [body], [secrets.randbits(63) + 1])[0]

    def close(self) -> None:
        """Close all."""
        for link in self._links:
            link.socket.close()


@pytest.fixture
def links(shared: Cluster) -> Iterator[Links]:
    """Connections to all nodes of the shared cluster."""
    made = Links(shared)
    yield made
    made.close()


def one_answer(answers: list[Answer]) -> list[Any]:
    """Return the body that all answers have."""
    assert [answer.status for answer in answers] == [0] * len(answers), [answer.body for answer in answers]
    assert all(answer.body == answers[0].body for answer in answers)
    return answers[0].body


def material() -> bytes:
    """Return a new P-256 key as PKCS#8."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def test_generate_sent_twice_at_once_makes_one_key(links: Links) -> None:
    for number in range(ROUNDS):
        key_id = uuid7()
        info = one_answer(links.twice(GENERATE_KEY, [key_id, "ec-p256", f"generated {number}"]))
        again = links.once(GENERATE_KEY, [key_id, "ec-p256", f"generated {number}"])
        assert again.body == info
        assert one_answer(links.twice(DESCRIBE_KEY, [key_id])) == info


def test_import_sent_twice_at_once_makes_one_key(links: Links) -> None:
    for _ in range(ROUNDS):
        body = [uuid7(), "ec-p256", material(), "imported"]
        info = one_answer(links.twice(IMPORT_KEY, body))
        assert links.once(IMPORT_KEY, body).body == info


def test_update_sent_twice_at_once_changes_the_key_once(links: Links) -> None:
    key_id = uuid7()
    one_answer(links.twice(GENERATE_KEY, [key_id, "ec-p256", "before"]))
    for number in range(ROUNDS):
        info = one_answer(links.twice(UPDATE_KEY, [key_id, 0, f"after {number}"]))
        assert info[2] == f"after {number}"
        assert info[5] == number + 2  # The version counts changes, not sendings.


def test_update_that_names_its_version_is_safe_to_send_twice(links: Links) -> None:
    key_id = uuid7()
    one_answer(links.twice(GENERATE_KEY, [key_id, "ec-p256"]))
    for version in range(1, ROUNDS):
        assert one_answer(links.twice(UPDATE_KEY, [key_id, version, f"label {version}"]))[5] == version + 1


def test_destroy_sent_twice_at_once_is_done_once_and_for_good(links: Links) -> None:
    for _ in range(ROUNDS):
        key_id = uuid7()
        generate = [key_id, "ec-p256"]
        one_answer(links.twice(GENERATE_KEY, generate))
        one_answer(links.twice(DESTROY_KEY, [key_id]))
        assert links.once(DESTROY_KEY, [key_id]).status == KEY_NOT_FOUND
        for answer in links.twice(SIGN, [key_id, 0x1044, None, b"data"]):
            assert answer.status == KEY_NOT_FOUND
        # A creation that is sent again after the key's end must not bring it back.
        for answer in links.twice(GENERATE_KEY, generate):
            assert answer.status in (KEY_NOT_FOUND, KEY_EXISTS)


@pytest.mark.parametrize("swapped", [False, True])
def test_another_creation_under_the_same_id_is_refused_whichever_comes_first(links: Links, swapped: bool) -> None:
    for _ in range(ROUNDS):
        key_id = uuid7()
        bodies = [[key_id, "ec-p256", "one"], [key_id, "ec-p256", "other"]]
        bodies = bodies[::-1] if swapped else bodies
        answers = links.at_once(GENERATE_KEY, bodies, [secrets.randbits(63), secrets.randbits(63)])
        assert sorted(answer.status for answer in answers) == [0, KEY_EXISTS]
        won = [answer.status for answer in answers].index(0)
        assert links.once(GENERATE_KEY, bodies[won]).body == answers[won].body
        assert links.once(GENERATE_KEY, bodies[1 - won]).status == KEY_EXISTS
        assert one_answer(links.twice(DESCRIBE_KEY, [key_id])) == answers[won].body


def test_another_kind_of_creation_under_the_same_id_is_refused(links: Links) -> None:
    key_id = uuid7()
    one_answer(links.twice(GENERATE_KEY, [key_id, "ec-p256"]))
    assert links.once(IMPORT_KEY, [key_id, "ec-p256", material()]).status == KEY_EXISTS
    other = uuid7()
    one_answer(links.twice(IMPORT_KEY, [other, "ec-p256", material()]))
    assert links.once(IMPORT_KEY, [other, "ec-p256", material()]).status == KEY_EXISTS
    assert links.once(GENERATE_KEY, [other, "ec-p256"]).status == KEY_EXISTS


def test_two_different_changes_of_one_version_leave_one_winner(links: Links) -> None:
    for _ in range(ROUNDS):
        key_id = uuid7()
        one_answer(links.twice(GENERATE_KEY, [key_id, "ec-p256"]))
        answers = links.at_once(
            UPDATE_KEY, [[key_id, 1, "one"], [key_id, 1, "other"]], [secrets.randbits(63), secrets.randbits(63)]
        )
        assert sorted(answer.status for answer in answers) == [0, KEY_CHANGED]
        won = next(answer for answer in answers if answer.status == 0)
        assert one_answer(links.twice(DESCRIBE_KEY, [key_id])) == won.body


def test_a_change_is_seen_by_every_node_in_the_request_that_follows_its_answer(links: Links) -> None:
    for _ in range(ROUNDS):
        key_id = uuid7()
        assert links.once(GENERATE_KEY, [key_id, "ec-p256"]).status == 0
        assert {answer.status for answer in links.twice(SIGN, [key_id, 0x1044, None, b"data"])} == {0}
        assert links.once(UPDATE_KEY, [key_id, 0, None, False]).status == 0
        assert {answer.status for answer in links.twice(SIGN, [key_id, 0x1044, None, b"data"])} == {0x0303}
        assert links.once(UPDATE_KEY, [key_id, 0, None, True]).status == 0
        assert {answer.status for answer in links.twice(SIGN, [key_id, 0x1044, None, b"data"])} == {0}

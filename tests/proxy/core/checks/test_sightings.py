"""What one node has said of its store, and when."""

from hsm_wire.messages import Pong
from proxy.core.checks.sightings import MAX_DIGESTS, NOTHING, STEPS, Sightings

KEEP_S = 4.0


def pong(
    revision: int = 1, *, digest: bytes = b"d", writes: int = 0, contact: str = "current", applied: int = -1
) -> Pong:
    return Pong(
        b"boot",
        0,
        1,
        1,
        0,
        applied_revision=revision if applied < 0 else applied,
        cluster_id=b"c",
        epoch=2,
        store_contact=contact,
        seen_digest=digest,
        seen_revision=revision,
        seen_writes=writes,
    )


def sightings(*said: tuple[float, Pong]) -> Sightings:
    view = Sightings(said[0][1])
    for at, it in said:
        view.take(it, at, KEEP_S)
    return view


def test_what_was_seen_is_known_from_the_moment_on_that_it_was_said() -> None:
    view = sightings((10.0, pong(5, writes=7)), (11.0, pong(6, writes=9)))
    assert view.known_before(10.0) is NOTHING
    assert view.known_before(10.1)[1:] == view.known_before(11.0)[1:] == (5, 7)
    assert view.known_before(11.1)[1:] == (6, 9)


def test_what_was_said_before_the_time_that_is_kept_is_one_entry() -> None:
    view = sightings(*((float(number), pong(number)) for number in range(1, 100)))
    assert len(view._known) <= KEEP_S + 2
    assert view.known_before(99.0 - KEEP_S + 0.1).revision == 95
    assert view.known_before(50.0) is NOTHING, "what was known then is forgotten: nothing may follow from it"


def test_a_node_that_says_much_fills_no_more_than_its_steps() -> None:
    view = sightings(*((number / 100, pong(number)) for number in range(1, 3000)))
    assert len(view._known) <= STEPS + 2
    assert view.known_before(30.0).revision >= 2990 - 100 * KEEP_S / STEPS


def test_a_node_without_a_memory_has_seen_what_it_has_applied() -> None:
    assert sightings((1.0, pong(0, digest=b"", applied=9))).known_before(2.0).revision == 9
    assert sightings((1.0, pong(5, applied=9))).known_before(2.0).revision == 5


def test_digests_are_kept_by_revision_and_the_oldest_goes_first() -> None:
    view = sightings(*((float(number), pong(number, digest=bytes([number]))) for number in range(MAX_DIGESTS + 2)))
    assert [view.digest_at(number) for number in (0, 1, 2)] == [None, None, b"\2"]
    view.take(pong(2, digest=b"new"), 99.0, KEEP_S)
    assert view.digest_at(2) == b"new"
    view.take(pong(99), 99.0, KEEP_S)
    assert view.digest_at(3) is None


def test_a_node_without_contact_to_its_store_has_no_digest() -> None:
    view = sightings((1.0, pong(3, contact="stale")), (2.0, pong(4)))
    assert (view.digest_at(3), view.digest_at(4)) == (None, b"d")
    assert view.current
    assert view.store == (b"c", 2)

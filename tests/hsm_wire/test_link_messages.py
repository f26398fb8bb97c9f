import msgpack
import pytest

from hsm_wire.errors import BodyError
from hsm_wire.forms import decode_body
from hsm_wire.link_messages import Bind, Hello, Pong, Unbind


def test_a_hello_without_a_configuration_hash_is_a_clients() -> None:
    assert decode_body(Hello, msgpack.packb([1, 1, 1 << 20, 256, "x"])) == Hello(1, 1, 1 << 20, 256, "x", "")


@pytest.mark.parametrize("form", [Bind, Unbind])
def test_principal_0_cannot_be_bound(form: type[Bind | Unbind]) -> None:
    array = [0, "spiffe://dev/client/a", 1, ["use"], bytes(32), 0] if form is Bind else [0]
    with pytest.raises(BodyError, match=r">= 1"):
        decode_body(form, msgpack.packb(array))


def test_a_pong_of_a_process_without_a_store_needs_five_fields_only() -> None:
    pong = decode_body(Pong, msgpack.packb([b"b" * 16, 0, 2, 8, 7]))
    assert (pong.store_contact, pong.state, pong.administrative_state) == ("current", "up", "ready")
    assert (pong.seen_digest, pong.seen_revision, pong.seen_writes) == (b"", 0, 0)


def test_a_pong_of_before_nodes_compared_what_they_have_seen_is_taken() -> None:
    fields = [b"b" * 16, 0, 2, 8, 7, 0, 42, b"c" * 16, 1, "current", "up", "ready"]
    pong = decode_body(Pong, msgpack.packb(fields))
    assert (pong.applied_revision, pong.seen_digest) == (42, b"")
    assert decode_body(Pong, msgpack.packb([*fields, b"d" * 16, 43, 60])).seen_revision == 43
    assert decode_body(Pong, msgpack.packb([*fields, b"d" * 16, 43, 60])).lag_ms is None


def test_the_digest_of_a_pong_has_no_more_than_16_bytes() -> None:
    fields = [b"b" * 16, 0, 2, 8, 7, 0, 42, b"c" * 16, 1, "current", "up", "ready", b"d" * 17]
    with pytest.raises(BodyError, match=r"<= 16"):
        decode_body(Pong, msgpack.packb(fields))

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

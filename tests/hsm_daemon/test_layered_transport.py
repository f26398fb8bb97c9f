"""What a transport over another one passes on, and says when there is none."""

from typing import Any, cast

from hsm_daemon.layered_transport import LayeredTransport


class Raw:
    """The loop's own transport."""

    def __init__(self) -> None:
        self.limits = (1, 4)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limits = (low or 0, high or 0)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self.limits

    def get_write_buffer_size(self) -> int:
        return 7

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"peername": ("192.0.2.1", 5)}.get(name, default)


def test_without_a_connection_there_is_nothing_to_say() -> None:
    transport = LayeredTransport()
    transport.set_write_buffer_limits(9, 3)
    assert transport.get_write_buffer_size() == 0
    assert transport.get_write_buffer_limits() == (0, 0)
    assert transport.get_extra_info("peername", "nobody") == "nobody"
    assert not transport.can_write_eof()


def test_with_one_it_is_asked() -> None:
    transport = LayeredTransport()
    transport._raw = cast(Any, Raw())  # as `connection_made` of a transport over it does
    transport.set_write_buffer_limits(9, 3)
    assert transport.get_write_buffer_limits() == (3, 9)
    assert transport.get_write_buffer_size() == 7
    assert transport.get_extra_info("peername") == ("192.0.2.1", 5)
    assert transport.get_extra_info("socket", "none") == "none"

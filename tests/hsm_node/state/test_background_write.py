"""A write in a thread: begun, looked at, taken up."""

import threading

import pytest

from hsm_node.state.background_write import BackgroundWrite


def test_it_is_busy_until_it_has_ended_and_begun_until_that_was_taken_up() -> None:
    go_on, written, write = threading.Event(), [], BackgroundWrite("test")

    def slowly(text: str) -> None:
        go_on.wait(10)
        written.append((text, threading.current_thread() is threading.main_thread()))

    assert (write.begun, write.busy) == (False, False)
    write.begin(slowly, "text")
    assert (write.begun, write.busy) == (True, True)
    go_on.set()
    write.end()
    assert (write.begun, write.busy, written) == (False, False, [("text", False)])
    write.end()
    write.close()


def test_what_it_raised_is_raised_where_its_end_is_taken_up() -> None:
    def fail() -> None:
        raise OSError("full")

    write = BackgroundWrite("test")
    write.begin(fail)
    with pytest.raises(OSError, match="full"):
        write.end()
    assert not write.begun
    write.close()

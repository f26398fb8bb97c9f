"""Requests that wait for their answers."""

import asyncio

import pytest

from hsm_client import in_flight
from hsm_client.errors import Timeout
from hsm_client.in_flight import InFlight
from hsm_wire.frames import Frame


def new_future() -> "asyncio.Future[Frame]":
    return asyncio.get_running_loop().create_future()


async def test_ids_begin_again_at_one_and_are_never_zero_which_means_the_connection(monkeypatch):
    monkeypatch.setattr(in_flight, "_ID_LIMIT", 4)
    requests = InFlight()
    assert [requests.add(new_future(), 1.0, 1, 2) for _ in range(5)] == [1, 2, 3, 1, 2]


async def test_a_request_whose_time_has_run_out_is_told_and_stays_until_its_answer():
    requests = InFlight()
    early, late = new_future(), new_future()
    first = requests.add(early, 1.0, 1, 2)
    requests.add(late, 2.0, 1, 2)
    requests.expire(1.0)
    with pytest.raises(Timeout):
        await early
    assert not late.done()
    assert requests.maybe_id(early) == first
    requests.pop(first)
    assert requests.maybe_id(early) is None
    assert len(requests) == 1


async def test_all_who_still_wait_are_told_that_no_answer_will_come():
    requests = InFlight()
    gone, waits = new_future(), new_future()
    for future in (gone, waits):
        requests.add(future, 1.0, 1, 2)
    gone.cancel()
    requests.fail(ConnectionResetError("cut"))
    with pytest.raises(ConnectionResetError, match="cut"):
        await waits
    assert not requests


async def test_an_answer_fits_the_operation_that_was_asked_for_and_no_other():
    requests = InFlight()
    pending = requests[requests.add(new_future(), 1.0, 0x0201, 77)]
    answers = [
        Frame(4, 0, 1, 0, 0, opcode, 0, operation, b"") for opcode, operation in ((0x201, 77), (0x201, 78), (0x202, 77))
    ]
    assert [pending.fits(answer) for answer in answers] == [True, False, False]

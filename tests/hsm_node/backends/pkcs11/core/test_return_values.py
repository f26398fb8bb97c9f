"""What a device's return value means."""

import pytest

from hsm_node.backends.pkcs11.core.return_values import Fault, meaning, refusal
from hsm_wire.statuses import Status

NAMED = [number for number in range(0x200) if not meaning(number).name.startswith("CKR 0x")]


@pytest.mark.parametrize(
    ("number", "fault", "status"),
    [
        (0x20, Fault.CALLER, Status.BAD_DATA),
        (0xC0, Fault.CALLER, Status.BAD_SIGNATURE),
        (0x70, Fault.ABSENT, Status.MECHANISM_NOT_HERE),
        (0xB1, Fault.BUSY, Status.OVERLOADED),
        (0xB3, Fault.SESSION, Status.DEVICE_ERROR),
        (0x32, Fault.TOKEN, Status.DEVICE_ERROR),
        (0xE0, Fault.TOKEN, Status.DEVICE_ERROR),
        (0xA0, Fault.PIN, Status.DEVICE_ERROR),
        (0x30, Fault.DEVICE, Status.DEVICE_ERROR),
    ],
)
def test_each_fault_has_its_status(number: int, fault: Fault, status: Status) -> None:
    row = meaning(number)
    assert (row.fault, row.status) == (fault, status)
    assert refusal(number).status is status


@pytest.mark.parametrize("number", [0x80000001, 0x1FF, 2**64 - 1])
def test_what_is_not_in_the_table_is_the_device_s_fault(number: int) -> None:
    assert meaning(number).fault is Fault.DEVICE
    assert meaning(number).name == f"CKR {number:#x}"


@pytest.mark.parametrize("number", NAMED)
def test_only_the_device_s_faults_can_eject_a_node(number: int) -> None:
    row = meaning(number)
    ejects = row.status is Status.DEVICE_ERROR
    assert ejects == (row.fault in (Fault.DEVICE, Fault.SESSION, Fault.TOKEN, Fault.PIN))
    assert row.name.startswith("CKR_")


@pytest.mark.parametrize("number", NAMED)
def test_what_the_caller_reads_speaks_of_no_return_value(number: int) -> None:
    assert "CKR" not in meaning(number).detail


def test_what_was_not_done_says_so() -> None:
    assert refusal(0x70).not_executed
    assert refusal(0xB1).not_executed
    assert refusal(0xE0).not_executed
    assert not refusal(0x30).not_executed
    assert not refusal(0x20).not_executed

from hsm_cluster.address import Address
from hsm_node.store.etcd.members import FIRST_WAIT_S, LONGEST_WAIT_S, Members


def three() -> Members:
    return Members([Address("127.0.0.1", port) for port in (1, 2, 3)])


def test_members_are_asked_in_the_order_of_the_file() -> None:
    assert three().order(0.0) == [0, 1, 2]


def test_who_failed_is_asked_last_until_its_time_has_come() -> None:
    members = three()
    members.failed(0, 10.0)
    assert members.order(10.0) == [1, 2, 0]
    assert [members.waits(number, 10.0) for number in range(3)] == [True, False, False]
    assert members.order(10.0 + FIRST_WAIT_S) == [0, 1, 2]
    assert not members.waits(0, 10.0 + FIRST_WAIT_S)


def test_each_failure_doubles_the_wait_up_to_a_limit_and_an_answer_ends_it() -> None:
    members = three()
    now, waits = 0.0, []
    for _ in range(8):
        members.failed(1, now)
        waits.append(members._until[1] - now)
        now = members._until[1]
    assert waits[:3] == [FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S]
    assert waits[-1] == LONGEST_WAIT_S
    members.worked(1)
    members.failed(1, now)
    assert members._until[1] - now == FIRST_WAIT_S


def test_several_calls_that_fail_at_once_are_one_failure() -> None:
    members = three()
    for _ in range(5):
        members.failed(0, 10.0)
    assert members.order(10.0 + FIRST_WAIT_S) == [0, 1, 2]


def test_where_all_have_failed_the_next_whose_time_comes_is_first() -> None:
    members = three()
    for number, now in ((2, 1.0), (0, 1.1), (1, 1.2)):
        members.failed(number, now)
    assert members.order(1.21) == [2, 0, 1]

"""Alive but blocked: it answers PING and finishes nothing."""

import pytest

from proxy.core.checks.progress import Progress, oldest_ordinary, oldest_short
from proxy.core.settings import Settings

GENERATE, UPDATE = 0x0101, 0x0105


@pytest.fixture
def progress():
    return Progress()


def test_two_pongs_half_a_second_apart_without_progress_mean_blocked(progress):
    settings = Settings()
    assert not progress.stands_still(7, 1.0, settings, 1.0)
    assert not progress.stands_still(7, 1.0, settings, 1.25)
    assert not progress.stands_still(7, 1.0, settings, 1.49)
    assert progress.stands_still(7, 1.0, settings, 1.5)


def test_one_request_finished_in_between_is_progress(progress):
    settings = Settings()
    progress.stands_still(7, 1.0, settings, 1.0)
    assert not progress.stands_still(8, 1.0, settings, 1.5)
    assert not progress.stands_still(8, 1.0, settings, 1.9)
    assert progress.stands_still(8, 1.0, settings, 2.0)


def test_a_node_that_owed_nothing_meanwhile_is_not_blocked(progress):
    settings = Settings()
    progress.stands_still(7, None, settings, 1.0)
    assert not progress.stands_still(7, None, settings, 9.0)
    assert not progress.stands_still(7, 8.9, settings, 9.2), "its work is younger than the PONG before"
    assert not progress.stands_still(7, 8.9, settings, 9.4)
    assert progress.stands_still(7, 8.9, settings, 9.7)


def test_work_that_came_after_the_earlier_pong_does_not_count(progress):
    settings = Settings()
    progress.stands_still(7, 1.0, settings, 1.0)
    assert not progress.stands_still(7, 1.2, settings, 1.6), "what was owed at 1.0 has been answered"


def test_the_oldest_ordinary_request_of_all_links_is_told(make_world):
    world = make_world(weights=(1,))
    (node,) = world.nodes
    assert oldest_ordinary(node) is None
    client, _ = world.client()
    world.ask(client, 1)
    world.now += 1
    world.ask(client, 2)
    assert oldest_ordinary(node) == 100.0
    world.answer(node)
    assert oldest_ordinary(node) == 101.0


def test_key_generation_runs_long_by_nature_and_is_left_out(make_world):
    world = make_world(weights=(1,))
    client, _ = world.client()
    world.ask(client, 1, opcode=GENERATE)
    assert oldest_ordinary(world.nodes[0]) is None
    world.now += 1
    world.ask(client, 2)
    assert oldest_ordinary(world.nodes[0]) == 101.0


def test_changes_of_keys_wait_for_the_store_and_are_left_out_but_call_for_a_closer_look(make_world):
    world = make_world(weights=(1,))
    client, _ = world.client()
    world.ask(client, 1, opcode=UPDATE)
    assert oldest_ordinary(world.nodes[0]) is None
    assert oldest_short(world.nodes[0]) == 100.0


def test_the_proxy_s_own_questions_are_left_out(watched):
    for machine in watched.machines.values():
        machine.works = False
    watched.until(lambda: all(node.in_flight for node in watched.nodes), 11)
    assert [oldest_ordinary(node) for node in watched.nodes] == [None, None, None]

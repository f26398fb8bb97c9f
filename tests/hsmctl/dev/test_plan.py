"""The daemons of a development cluster and their ports."""

import itertools
import random
import socket

import pytest

from hsmctl.dev import plan as planning
from hsmctl.dev.plan import FIRST_PORT, LAST_PORT, free_ports, make_plan
from hsmctl.failures import CommandError


def test_nodes_come_before_proxies_and_have_names_by_number() -> None:
    plan = make_plan(2, 3, tls=True, event_loop="asyncio")
    assert [member.name for member in plan.members] == ["node-1", "node-2", "proxy-1", "proxy-2", "proxy-3"]
    assert [member.kind for member in plan.members] == ["node"] * 2 + ["proxy"] * 3
    assert {member.module for member in plan.nodes} == {"hsm_node.cli"}
    assert {member.module for member in plan.proxies} == {"proxy.cli"}
    assert (plan.tls, plan.event_loop) == (True, "asyncio")
    assert plan.proxies[1].identity == "spiffe://dev/proxy/proxy-2"


def test_every_address_is_loopback_and_used_once() -> None:
    plan = make_plan(4, 8, tls=True, event_loop=None)
    addresses = [address for member in plan.members for address in (member.address, member.admin)]
    assert len(set(addresses)) == 24
    for address in addresses:
        host, _, port = address.partition(":")
        assert host == "127.0.0.1"
        assert FIRST_PORT <= int(port) < LAST_PORT


def test_a_port_in_use_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        used, unused = taken.getsockname()[1], free.getsockname()[1]
        free.close()
        offered = itertools.chain([used, unused], itertools.repeat(used))
        monkeypatch.setattr(random, "randrange", lambda *_: next(offered))
        assert free_ports(1) == [unused]


def test_no_free_port_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MAX_PORT_TRIES", 3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(random, "randrange", lambda *_: taken.getsockname()[1])
        with pytest.raises(CommandError, match="no 2 free ports .* stop other programs"):
            free_ports(2)

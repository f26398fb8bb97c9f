"""What a host is asked for."""

import pytest

from hsmctl.promotion.dev_host import DevHost
from hsmctl.promotion.host import Host
from hsmctl.promotion.systemd_host import SystemdHost


@pytest.mark.parametrize("kind", [DevHost, SystemdHost])
def test_each_kind_of_host_can_do_all_of_it(kind: type) -> None:
    asked = {name for name in vars(Host) if not name.startswith("_")}
    assert asked == {
        "sockets", "store", "member_file", "program", "stop_member", "start_member", "restart_nodes", "stop_nodes",
        "start_nodes", "recovery", "node_files",
    }  # fmt: skip
    assert asked <= set(dir(kind))

"""What systemd does with the units of deploy/systemd, on a machine that has really booted."""

import json
import re
from pathlib import Path

import pytest
from administrator import DAEMONS, KEY, NODES
from bench_process import BenchProcess
from machine import Machine
from programs import wait_until
from scale import SLACK

CONFIG = Path("/etc/redoubt/client.toml")
RATE = 100.0
CLIENTS = 16
FAULT_S = 12.0
"""Of load around one fault: the watchdog's limit, a start, and time on both sides."""
RESTART_S = 20.0 * SLACK
UNITS = (
    "hsm-proxy.service",
    "hsm-node@node-1.service",
    "redoubt-doctor.service",
    "redoubt-backup@node-1.service",
    "redoubt-etcd.service",
)
FAULTS = {"KILL": "status=9/KILL", "SEGV": "status=11/SEGV", "STOP": "Watchdog timeout"}
"""A signal, and what systemd says of it: killed, crashed, a loop that stands still."""
SIGNED = Path("/var/tmp/signed")


class Load:
    """Signatures from inside the machine while something happens to it; not one may fail."""

    def __init__(self, machine: Machine, seconds: float = FAULT_S) -> None:
        self._machine = machine
        self._seconds = seconds
        program = machine.entered("hsmctl")
        self._bench = BenchProcess(CONFIG, KEY, seconds, clients=CLIENTS, rate=RATE, program=program)

    def __enter__(self) -> "Load":
        self._bench.__enter__()
        before = served(self._machine)
        wait_until(lambda: served(self._machine) > before + RATE, lambda: "the load has begun")
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        running = self._bench.running
        self._bench.__exit__(kind, *rest)
        if kind is None:
            print(self._bench.result)
            assert running, "the load ended before what it was for"
            assert self._bench.errors == {}
            assert self._bench.result["requests"] > 0.9 * RATE * self._seconds / SLACK


def served(machine: Machine) -> int:
    """Return how many requests the nodes have answered, as the proxy counts."""
    return sum(node["requests"] for node in json.loads(machine.run("hsmctl", "--json", "status", check=False))["nodes"])


def restarts(machine: Machine, unit: str) -> int:
    """Return how often systemd has restarted it by itself."""
    return int(machine.shown(unit, "NRestarts"))


def send(machine: Machine, unit: str, signal: str) -> None:
    machine.run("systemctl", "kill", "--kill-whom=main", f"--signal={signal}", unit)


def wait_replaced(machine: Machine, unit: str, pid: int) -> None:
    """Wait until another process is the service."""
    wait_until(
        lambda: machine.pid(unit) not in (0, pid), lambda: f"{unit} runs anew: {machine.journal(unit)}", RESTART_S
    )
    machine.wait_active(unit)


def wait_all_well(machine: Machine) -> None:
    """Wait until the proxy says that all nodes serve."""
    machine.wait_active(*DAEMONS)
    wait_until(
        lambda: machine.shown("hsm-proxy", "StatusText").endswith("3 of 3 nodes in rotation"),
        lambda: machine.run("hsmctl", "status", check=False),
        RESTART_S,
    )


@pytest.fixture(autouse=True)
def all_well(machine: Machine) -> None:
    """Each test begins with everything in order."""
    wait_all_well(machine)


# ---- as it was installed


def test_all_is_up_and_says_so(machine: Machine) -> None:
    assert machine.shown("hsm-proxy", "StatusText") == "listening on [::]:2410; 3 of 3 nodes in rotation"
    assert machine.shown("hsm-node@node-1", "StatusText") == "node-1 serves on 127.0.0.1:2421"
    assert machine.run("systemctl", "--failed", "--quiet") == ""
    assert "all answers right" in machine.run("hsmctl", "selftest")


@pytest.mark.parametrize("unit", DAEMONS)
def test_its_loop_does_not_wait_for_other_work(machine: Machine, unit: str) -> None:
    said = machine.run("chrt", "--pid", str(machine.pid(unit)))
    assert "SCHED_RR" in said
    assert "priority: 1" in said


def test_threads_that_generate_keys_leave_the_real_time_class(machine: Machine) -> None:
    machine.run("hsmctl", "key", "generate", "--type", "rsa-2048", "--label", "generated")
    said = "".join(machine.run("chrt", "--all-tasks", "--pid", str(machine.pid(unit))) for unit in NODES)
    assert "SCHED_OTHER" in said


@pytest.mark.parametrize("unit", DAEMONS)
def test_nodes_lock_their_memory_and_nothing_dumps_core(machine: Machine, unit: str) -> None:
    limits = machine.run("cat", f"/proc/{machine.pid(unit)}/limits")
    assert re.search(r"Max core file size +0 +0", limits)
    # A container whose host may not raise limits (no CAP_SYS_RESOURCE) cannot give it to its services either.
    given = re.search("Max locked memory +unlimited", limits) is not None
    locked = re.search(r"VmLck:\s+[1-9]", machine.run("cat", f"/proc/{machine.pid(unit)}/status")) is not None
    assert locked == (given and unit in NODES)


def test_the_proxys_user_reads_nothing_of_the_nodes(machine: Machine) -> None:
    secrets = ["/var/lib/redoubt/store/store.db", "/etc/credstore/redoubt.master-key"]
    secrets += [f"/run/credentials/{NODES[0]}.service/master-key", "/etc/redoubt/tls/node-1-key.pem"]
    for path in secrets:
        assert machine.run("wc", "--bytes", path) != ""
        assert machine.run("setpriv", "--reuid=hsm-proxy", "--clear-groups", "cat", path, check=False) == ""


@pytest.mark.parametrize("unit", UNITS)
def test_security_scores_hold(machine: Machine, unit: str) -> None:
    print(machine.run("systemd-analyze", "security", "--no-pager", "--threshold=20", unit).splitlines()[-1])


def test_the_hourly_look_finds_nothing_and_has_its_next_time(machine: Machine) -> None:
    machine.run("systemctl", "start", "redoubt-doctor")
    assert "Nothing found." in machine.journal("redoubt-doctor")
    assert machine.shown("redoubt-doctor.timer", "NextElapseUSecRealtime") != ""


def test_the_daily_backup_comes_by_its_timer_is_verified_and_shown_and_old_ones_go(machine: Machine) -> None:
    unit, folder = "redoubt-backup@node-1", "/var/backups/redoubt"
    old, *kept = (f"{folder}/redoubt-example-2020010{day}T000000Z.backup" for day in (1, 2, 3))
    for path in (old, *kept):  # Three files stay, however old they are.
        machine.run("install", "--mode=0600", "/dev/null", path)
    soon = machine.root / f"etc/systemd/system/{unit}.timer.d/soon.conf"
    soon.parent.mkdir(parents=True)
    soon.write_text("[Timer]\nOnActiveSec=1s\nRandomizedDelaySec=0\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "enable", "--now", f"{unit}.timer")
    assert machine.shown(f"{unit}.timer", "NextElapseUSecRealtime") != ""  # tomorrow's

    def made() -> bool:
        return machine.shown(unit, "ExecMainExitTimestampMonotonic") != "0"

    wait_until(made, lambda: machine.run("systemctl", "status", unit, f"{unit}.timer", check=False), RESTART_S)
    assert machine.shown(unit, "Result") == "success", machine.journal(unit)
    *left, name = sorted(machine.run("ls", folder).split())
    assert [f"{folder}/{each}" for each in left] == kept
    assert f"removed {old}" in machine.journal(unit)
    assert machine.run("stat", "--format=%a %U", f"{folder}/{name}") == "600 root"
    get = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9421/metrics').read().decode())"
    page = machine.run("/opt/redoubt/bin/python", "-c", get)
    assert re.search(r"^hsm_node_backup_good 1(\.0)?$", page, re.MULTILINE)
    assert re.search(r"^hsm_node_backup_verified_seconds 1", page, re.MULTILINE)
    socket = ["--socket", "/var/lib/redoubt/node-1/admin.sock"]
    assert "keys proven" in machine.run("hsmctl", "backup", "verify", *socket, f"{folder}/{name}")


# ---- what is lost comes back


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("unit", ["hsm-proxy", "hsm-node@node-2"])
def test_what_is_lost_is_restarted_while_a_client_signs(machine: Machine, unit: str, fault: str) -> None:
    before, pid = restarts(machine, unit), machine.pid(unit)
    with Load(machine):
        send(machine, unit, fault)
        wait_replaced(machine, unit, pid)
    assert restarts(machine, unit) == before + 1
    journal = machine.journal(unit)
    assert FAULTS[fault] in journal
    if fault != "KILL":
        assert "lifecycle.py" in journal  # where it stood


def test_a_successor_that_stands_still_is_restarted_too(machine: Machine) -> None:
    first = machine.pid("hsm-proxy")
    with Load(machine, 2 * FAULT_S):
        send(machine, "hsm-proxy", "USR2")
        wait_replaced(machine, "hsm-proxy", first)
        second = machine.pid("hsm-proxy")
        before = restarts(machine, "hsm-proxy")
        send(machine, "hsm-proxy", "STOP")
        wait_replaced(machine, "hsm-proxy", second)
    assert restarts(machine, "hsm-proxy") == before + 1


# ---- what an administrator does


@pytest.mark.parametrize("unit", ["hsm-proxy", "hsm-node@node-1"])
def test_a_reload_loses_nothing_and_a_refused_one_is_shown(machine: Machine, unit: str) -> None:
    pid, cluster = machine.pid(unit), machine.root / "etc/redoubt/cluster.toml"
    good = cluster.read_text()
    with Load(machine):
        machine.run("systemctl", "reload", unit)
        cluster.write_text(good.replace("sandbox", "sandbags"))
        machine.run("systemctl", "reload", unit)
        wait_until(lambda: "the last reload failed" in machine.shown(unit, "StatusText"), lambda: machine.journal(unit))
        cluster.write_text(good)
        machine.run("systemctl", "reload", unit)
        wait_until(lambda: "reload failed" not in machine.shown(unit, "StatusText"), lambda: machine.journal(unit))
    assert machine.pid(unit) == pid
    assert machine.shown(unit, "ActiveState") == "active"


@pytest.mark.parametrize("unit", ["hsm-proxy", "hsm-node@node-1"])
def test_a_restart_loses_nothing(machine: Machine, unit: str) -> None:
    pid = machine.pid(unit)
    with Load(machine):
        machine.run("systemctl", "restart", unit)
        wait_replaced(machine, unit, pid)


def test_hot_restarts_one_after_the_other_lose_nothing(machine: Machine) -> None:
    before = restarts(machine, "hsm-proxy")
    with Load(machine):
        for _ in range(3):
            pid = machine.pid("hsm-proxy")
            send(machine, "hsm-proxy", "USR2")
            wait_replaced(machine, "hsm-proxy", pid)
    assert restarts(machine, "hsm-proxy") == before


def test_a_client_that_connects_starts_a_stopped_proxy(machine: Machine) -> None:
    machine.run("systemctl", "stop", "hsm-proxy")
    assert machine.shown("hsm-proxy", "ActiveState") == "inactive"
    machine.run("hsmctl", "random", "16")
    assert machine.shown("hsm-proxy", "ActiveState") == "active"


def test_a_configuration_that_is_mended_is_taken_without_a_word(machine: Machine) -> None:
    file = machine.root / "etc/redoubt/node-3.toml"
    good = file.read_text()
    file.write_text(good.replace("node-3", "node-9"))
    machine.run("systemctl", "restart", "hsm-node@node-3", check=False)
    before = restarts(machine, "hsm-node@node-3")
    wait_until(lambda: restarts(machine, "hsm-node@node-3") > before + 3, lambda: "it is tried again and again")
    assert "has no node 'node-9'" in machine.journal("hsm-node@node-3")
    file.write_text(good)
    wait_all_well(machine)


def test_an_encrypted_master_key_and_keys_as_credentials_serve(machine: Machine) -> None:
    plain, encrypted = "/etc/credstore/redoubt.master-key", "/etc/credstore.encrypted/redoubt.master-key"
    machine.run("systemd-creds", "encrypt", "--name=master-key", plain, encrypted)
    drop_in = machine.root / "etc/systemd/system/hsm-node@node-3.service.d"
    drop_in.mkdir(parents=True)
    (drop_in / "encrypted.conf").write_text(f"[Service]\nLoadCredentialEncrypted=master-key:{encrypted}\n")
    for name, unit, store in (("node-3", "hsm-node@node-3", "node-3"), ("proxy-1", "hsm-proxy", "proxy")):
        key = f"/etc/redoubt/tls/{name}-key.pem"
        machine.run("install", "--mode=0400", key, f"/etc/credstore/redoubt.{store}.tls-key")
        machine.run("rm", key)
        file = machine.root / f"etc/redoubt/{'proxy' if name == 'proxy-1' else name}.toml"
        file.write_text(file.read_text().replace(f"tls/{name}-key.pem", f"/run/credentials/{unit}.service/tls-key"))
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "hsm-node@node-3", "hsm-proxy")
    wait_all_well(machine)
    assert "all answers right" in machine.run("hsmctl", "selftest")


def test_a_sealed_node_is_started_and_root_unseals_it(machine: Machine) -> None:
    unit, file = "hsm-node@node-1", machine.root / "etc/redoubt/node-1.toml"
    good, shares = file.read_text(), "/var/tmp/shares"
    split = ["--master-key", "/etc/credstore/redoubt.master-key", "--threshold", "2", "--shares", "3"]
    machine.run("hsmctl", "unseal", "split", *split, "--out-dir", shares)
    file.write_text(good.replace('{ credential = "master-key" }', "{ shares = {} }"))
    machine.run("systemctl", "restart", unit)
    assert machine.shown(unit, "StatusText").startswith("node-1 is sealed")
    for share in machine.run("ls", shares).split()[:2]:
        words = machine.run("cat", f"{shares}/{share}")
        said = machine.run("hsmctl", "unseal", "--socket", "/var/lib/redoubt/node-1/admin.sock", stdin=words)
    assert said == "node-1 is unsealed"
    assert machine.shown(unit, "StatusText") == "node-1 serves on 127.0.0.1:2421"
    wait_all_well(machine)
    assert restarts(machine, unit) == 0
    file.write_text(good)


# ---- last: the machine itself


def test_the_machine_reboots_and_all_comes_back(machine: Machine) -> None:
    data = machine.root / SIGNED.relative_to("/")
    data.write_text("signed before the reboot\n")
    signature = f"{SIGNED}.sig"
    signing = ["--key", KEY, "--mechanism", "ecdsa-sha256"]
    machine.run("hsmctl", "sign", *signing, "--in", str(SIGNED), "--out", signature)
    machine.reboot()
    wait_all_well(machine)
    machine.run("hsmctl", "verify", *signing, "--in", str(SIGNED), "--signature", signature)
    machine.run("hsmctl", "sign", *signing, "--in", str(SIGNED), "--out", signature)
    assert machine.run("systemctl", "--failed", "--quiet") == ""
    assert [restarts(machine, unit) for unit in DAEMONS] == [0] * len(DAEMONS)

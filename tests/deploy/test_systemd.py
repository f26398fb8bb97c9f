"""deploy/: what systemd says of the units, and the daemons of the examples. Booted they are in tests/system/booted."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import Authority
from programs import bound_to_parent, free_port, get, wait_until

from hsm_client.config import load_config
from hsm_node.app import OPENING_LIMIT_S
from hsmctl.dev.etcd_program import get_etcd

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "deploy" / "systemd"
EXAMPLE = ROOT / "deploy" / "examples" / "one-host"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
DAEMONS = ["hsm-node@.service", "hsm-proxy.service"]
EXPOSURE_LIMIT = 20
"""Of `systemd-analyze security`, in tenths."""
PROGRAMS = ("opt/redoubt/bin/hsm-proxy", "opt/redoubt/bin/hsm-node", "opt/redoubt/bin/hsmctl", "bin/sh", "usr/bin/etcd")


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run systemd-analyze; it asks no running systemd."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is missing: install systemd")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def settings(unit: str) -> list[tuple[str, str]]:
    """Return the settings of a unit in order."""
    return re.findall(r"^([A-Za-z]+)=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A system that has the units and programs where they say."""
    shutil.copytree("/lib/systemd/system", tmp_path / "lib/systemd/system", symlinks=True)
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    for unit in UNITS.glob("*.*"):
        shutil.copy(unit, folder)
    for program in PROGRAMS:
        path = tmp_path / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)
    return tmp_path


def test_systemd_finds_nothing_wrong_with_the_units(installed: Path) -> None:
    units = [path.name.replace("@", "@node-1") for path in UNITS.glob("*.*") if path.suffix != ".conf"]
    assert {"hsm-proxy.service", "hsm-proxy.socket", "hsm-node@node-1.service", "redoubt-doctor.timer"} <= set(units)
    found = analyze("verify", "--root", str(installed), *units)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_systemd_would_find_a_mistake(installed: Path) -> None:
    with (installed / "etc/systemd/system/hsm-proxy.service").open("a") as unit:
        unit.write("[Service]\nWatchdogSecs=3\n")
    assert "Unknown key 'WatchdogSecs'" in analyze("verify", "--root", str(installed), "hsm-proxy.service").stderr


@pytest.mark.parametrize("unit", SERVICES)
def test_every_service_is_hardened(unit: str) -> None:
    found = analyze("security", "--offline=true", f"--threshold={EXPOSURE_LIMIT}", "--no-pager", str(UNITS / unit))
    assert found.returncode == 0, found.stdout[-500:]
    assert "Overall exposure level" in found.stdout


@pytest.mark.parametrize("unit", DAEMONS)
def test_no_setting_of_a_daemon_contradicts_its_limits(unit: str) -> None:
    held = dict(settings(unit))
    assert float(held["WatchdogSec"]) <= 5
    assert int(held["TimeoutStopSec"]) > 30  # `shutdown_s` of both
    assert (held["Restart"], held["StartLimitIntervalSec"]) == ("always", "0")


def test_a_store_member_waits_for_its_quorum_as_long_as_it_takes() -> None:
    held = dict(settings("redoubt-etcd.service"))
    assert (held["Restart"], held["StartLimitIntervalSec"]) == ("always", "0")
    assert (held["Type"], held["TimeoutStartSec"]) == ("notify", "infinity")


def test_etcd_takes_the_example_of_a_member(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "examples" / "three-sites" / "etcd.yaml").read_text()
    authority = Authority(tmp_path / "tls")
    authority.issue("spiffe://example/store/etcd-zurich", "etcd-zurich", ["127.0.0.1"], "redoubt-etcd")
    ports = {number: free_port() for number in (2379, 2380, 2381)}
    text = re.sub(r"(127\.0\.0\.1|192\.0\.2\.10):(\d+)", lambda found: f"127.0.0.1:{ports[int(found[2])]}", text)
    text = re.sub(r"^(initial-cluster: [^,]*),.*$", r"\1", text, flags=re.MULTILINE)  # the only member
    text = text.replace("/var/lib/redoubt-etcd", str(tmp_path)).replace(
        "/etc/redoubt/tls/store-ca.pem", str(authority.path)
    )
    (tmp_path / "etcd.yaml").write_text(text.replace("/etc/redoubt/tls", str(tmp_path / "tls")))
    command = [str(get_etcd()), "--config-file", str(tmp_path / "etcd.yaml")]
    with (tmp_path / "log").open("wb") as log:
        member = subprocess.Popen(bound_to_parent(command, signal.SIGKILL), stdout=log, stderr=log)
    try:
        wait_until(lambda: get(ports[2381], "/health")[0] == 200, (tmp_path / "log").read_text)
        assert "unrecognized" not in (tmp_path / "log").read_text()
    finally:
        member.kill()
        member.wait()


def test_unsealing_may_take_as_long_as_a_start() -> None:
    assert int(dict(settings("hsm-node@.service"))["TimeoutStartSec"]) == OPENING_LIMIT_S


def test_threads_of_a_node_can_leave_the_real_time_class() -> None:
    denied = [value for name, value in settings("hsm-node@.service") if name == "SystemCallFilter" and value[0] == "~"]
    assert denied == ["~@privileged"]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example's files, with certificates beside them."""
    folder = tmp_path / "redoubt"
    shutil.copytree(EXAMPLE, folder)
    authority = Authority(folder / "tls")
    for name in ("node/node-1", "node/node-2", "node/node-3", "proxy/proxy-1", "client/app"):
        authority.issue(f"spiffe://example/{name}", name.rpartition("/")[2])
    return folder


@pytest.mark.parametrize(
    ("module", "name"),
    [("proxy.cli", "proxy"), *(("hsm_node.cli", f"node-{number}") for number in (1, 2, 3))],
)
def test_a_daemon_takes_its_example(example: Path, module: str, name: str) -> None:
    command = [sys.executable, "-m", module, "--config", str(example / f"{name}.toml"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
    shown = json.loads(checked.stdout)
    assert shown["listen"].endswith((":2410", ":2421", ":2422", ":2423"))


def test_an_application_takes_its_example(example: Path) -> None:
    assert [str(proxy) for proxy in load_config(example / "client.toml").proxies] == ["127.0.0.1:2410"]


def test_each_credential_of_the_example_is_one_that_the_unit_gives() -> None:
    given = [value.partition(":")[0] for name, value in settings("hsm-node@.service") if name == "LoadCredential"]
    asked = {key for path in EXAMPLE.glob("*.toml") for key in re.findall('credential = "(.*)"', path.read_text())}
    assert asked == {"master-key"}
    assert asked <= set(given)

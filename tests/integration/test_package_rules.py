"""`--check` of both programs: a cluster that does not meet its package is refused, by name and number."""

import json
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import Authority

from hsm_cluster.errors import ConfigurationError
from hsm_node.config import load_node_config
from proxy.config import load_config

SITE = """[[sites]]
name = "{name}"
role = "{role}"
risk_zone = "{zone}"
latitude = {latitude}
longitude = 8.5417
uplinks = ["isp-a", "isp-b"]
"""
ZURICH = SITE.format(name="zurich", role="active", zone="CH-ZH", latitude=47.3769)
BERN = SITE.format(name="bern", role="active", zone="CH-BE", latitude=46.9)
ALPS = SITE.format(name="alps", role="disaster-recovery", zone="CH-VS", latitude=46.2)
KM_19_9 = 47.3769 - 19.95 / 111.195
"""A latitude so far from Zurich's: one degree is 111.195 km."""
KM_10 = 47.3769 - 10.05 / 111.195
NODE = """[[nodes]]
name = "{name}"
site = "{site}"
paths = [{{ uplink = "isp-a", address = "{address}" }}]
"""
ZRH = NODE.format(name="zrh-1", site="zurich", address="192.0.2.1:2420")
BRN = NODE.format(name="brn-1", site="bern", address="192.0.2.2:2420")
DR = NODE.format(name="dr-1", site="alps", address="192.0.2.3:2420")
REST = """[[partitions]]
id = 1
name = "cards"
clients = [{ identity = "spiffe://payments/client/issuer", roles = ["use"] }]
"""
GOOD = '[cluster]\nname = "payments"\npackage = "economy"\n' + ZURICH + BERN + ALPS + ZRH + BRN + DR + REST
MORE = "".join(NODE.format(name=f"zrh-{n}", site="zurich", address=f"192.0.2.{n + 10}:2420") for n in (2, 3, 4))

REFUSED = {
    "one site only": (
        {BERN: "", BRN: NODE.format(name="zrh-2", site="zurich", address="192.0.2.2:2420")},
        "1 active sites: package economy needs at least 2",
    ),
    "sites 19.9 km apart": (
        {"latitude = 46.9\n": f"latitude = {KM_19_9}\n"},
        "active sites bern, zurich are 19.9 km apart: two of them must be 20 km or more apart",
    ),
    "the same risk zone twice": ({'"CH-BE"': '"CH-ZH"'}, "sites bern, zurich share the risk zone 'CH-ZH'"),
    "one uplink": (
        {BERN: BERN.replace(', "isp-b"', "")},
        "site 'bern' has 1 uplink: it needs 2",
    ),
    "five nodes": ({REST: MORE + REST}, "5 active nodes: package economy allows at most 4"),
    "one node": ({BRN: ""}, "1 active nodes: package economy needs at least 2"),
    "no DR site": ({ALPS: "", DR: ""}, "no disaster-recovery site: package economy needs one"),
    "a DR site in sandbox": ({'"economy"': '"sandbox"'}, "disaster-recovery site 'alps': package sandbox has none"),
    "a DR site 10 km from an active one": (
        {"latitude = 46.2\n": f"latitude = {KM_10}\n"},
        "disaster-recovery site 'alps' is 10.0 km from site 'zurich': it must be 20 km or more",
    ),
    "an unknown key": ({'name = "cards"': 'name = "cards"\ncolour = "red"'}, "unknown key 'colour'"),
    "an unknown table": ({REST: REST + "[quotas]\n"}, "unknown key 'quotas'"),
    "an unknown package": ({'"economy"': '"gold"'}, "package 'gold' is unknown"),
    "a site's name twice": ({'name = "bern"': 'name = "zurich"'}, "site 'zurich' is there twice"),
    "a node's name twice": ({'"brn-1"': '"zrh-1"'}, "node 'zrh-1' is there twice"),
    "an address twice": ({"192.0.2.2:2420": "192.0.2.1:2420"}, "address 192.0.2.1:2420 is there twice"),
    "quotas of its own": (
        {"id = 1\n": "id = 1\nsignatures_per_minute = 9\n"},
        "partition 'cards' has quotas of its own: package economy",
    ),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rules")
    authority = Authority(folder)
    (folder / "master.key").touch(mode=0o600)
    (folder / "master.key").write_text(secrets.token_hex(32))
    proxy = authority.issue("spiffe://payments/proxy/p1", "p1").as_toml()
    node = authority.issue("spiffe://payments/node/zrh-1", "zrh-1").as_toml()
    head = 'cluster = "cluster.toml"\n'
    (folder / "proxy.toml").write_text(f'{head}name = "p1"\nsite = "zurich"\ntls = {proxy}\n')
    (folder / "node.toml").write_text(
        f'{head}name = "zrh-1"\ntls = {node}\nstate_dir = "state"\nstore = {{ path = "store.db" }}\n'
        'keystore = { master_key = { file = "master.key" } }\n'
    )
    return folder


def write(folder: Path, changes: dict[str, str]) -> None:
    text = GOOD
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "cluster.toml").write_text(text)


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_meet_its_package_is_named_with_its_number_by_both_programs(files: Path, case: str) -> None:
    changes, said = REFUSED[case]
    write(files, changes)
    for load, file in ((load_config, "proxy.toml"), (load_node_config, "node.toml")):
        with pytest.raises(ConfigurationError, match=re.escape(said)) as caught:
            load(files / file)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("module", "file"), [("proxy.cli", "proxy.toml"), ("hsm_node.cli", "node.toml")])
def test_check_says_yes_with_0_and_no_with_2_and_one_line(files: Path, module: str, file: str) -> None:
    command = [sys.executable, "-m", module, "--config", str(files / file), "--check"]
    write(files, {})
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # The node's store is a file of its host, and its cluster is at several sites: that is warned of, and no error.
    warned = done.stderr.startswith("hsm-node: warning: ") and done.stderr.count("\n") == 1
    assert (done.returncode, warned or done.stderr) == (0, file == "node.toml" or "")
    assert json.loads(done.stdout)["durability"] == "quorum"
    changes, said = REFUSED["sites 19.9 km apart"]
    write(files, changes)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr

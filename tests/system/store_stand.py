"""Data centres on one machine (`hsmctl dev --store etcd`) with a reader's terminal, a load, and members to be hurt."""

import datetime
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

from load import Load
from process_table import end_all_of
from programs import bound_to_parent, free_port, get, wait_until
from scale import SLACK
from terminals import Terminals

from hsm_client import sync
from hsm_client.errors import HsmError
from hsmctl.certificates import LEAF_LIFETIME, Authority
from hsmctl.dev.configuration import STORE_MEMBERS
from hsmctl.dev.etcd_program import get_etcd
from hsmctl.files import replace_file

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "how-to"
START = """<!-- first terminal -->
```sh
.venv/bin/hsmctl dev --store etcd
```
```text
…
Ctrl-C stops everything.
```
"""
FIXED_ADDRESS = re.compile(r"127\.0\.0\.\d:[29]42\d")
"""What the page writes for a new node; here any free port, since tests run beside other programs."""
NOTICED_S = 15.0 * SLACK
"""Nodes look at every member every five seconds."""
COMMAND_S = 20.0
RATE = 20.0
"""Signatures a second, from four clients, while a member is in trouble."""


class StoreStand:
    """A running cluster of package dedicated: five nodes, three members of the store."""

    def __init__(self, folder: Path) -> None:
        (folder / ".venv").symlink_to(ROOT / ".venv")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("HSM_", "ETCD"))}
        self.folder = folder / "redoubt-dev"
        self.client_config = self.folder / "client.toml"
        self.terminals = Terminals(folder, folder, environment)
        try:
            self.terminals.follow(START)
            self.terminals.follow((GUIDES / "index.md").read_text(encoding="utf-8"))
            self.follow("Try it")
            with sync.connect(self.client_config) as hsm:
                self.key = bytes.fromhex(hsm.generate_key("ec-p256").id)
        except BaseException:
            self.terminals.close()
            raise

    def close(self) -> None:
        """Stop everything, as Ctrl-C does, and what was started from the page."""
        try:
            self.terminals.close()
        finally:
            end_all_of(self.folder)

    def load(self) -> Load:
        """Return signatures at a rate, not begun."""
        return Load(self.client_config, clients=4, rate=RATE, key_id=self.key, verify=False)

    def follow(self, title: str, *, page: str = "store.md", **names: str) -> None:
        """Do what a page says below that title; `names` are members, or nodes, that stand there for others."""
        section = section_of(title, page)
        for name, other in names.items():
            section = section.replace(name.replace("_", "-"), other)
        for address in set(FIXED_ADDRESS.findall(section)):
            section = section.replace(address, f"127.0.0.1:{free_port()}")
        self.terminals.follow(section)

    def restart(self, name: str) -> None:
        """Kill a daemon or member, and have it started again."""
        self.kill(name)
        self.type(f"hsmctl dev start {name} --dir .")

    def issue_for(self, name: str, seconds: float) -> None:
        """Give a member, or a node as it shows itself to the members, a certificate that expires in so many seconds."""
        now = datetime.datetime.now(datetime.UTC)
        pem = ((self.folder / file).read_bytes() for file in ("store-ca.pem", "store-ca-key.pem"))
        authority = Authority.maybe_load(*pem, now)
        assert authority is not None
        begin = now - LEAF_LIFETIME + datetime.timedelta(seconds=seconds)
        common_name = STORE_MEMBERS if name.startswith("etcd-") else ""
        certificate, key = authority.issue(f"spiffe://dev/store/{name}", begin, common_name)
        replace_file(self.folder / f"{name}-key.pem", key, 0o600)
        replace_file(self.folder / f"{name}.pem", certificate)

    def type(self, line: str) -> None:
        """Type a line that is on no page."""
        self.terminals.follow(f"```sh\n{line}\n```\n")

    def entry(self, name: str) -> dict[str, Any]:
        """Return what dev.json says of a daemon or member."""
        manifest = json.loads((self.folder / "dev.json").read_text())
        return next(
            entry for kind in ("nodes", "proxies", "store") for entry in manifest[kind] if entry["name"] == name
        )

    def kill(self, name: str) -> None:
        """Kill a daemon or member, and wait until it has gone."""
        pid = self.entry(name)["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), lambda: f"{name} ends")

    def wait_ended(self, name: str) -> None:
        """Wait until a member has ended by itself."""
        pid = self.entry(name)["pid"]
        wait_until(lambda: not alive(pid), lambda: f"{name} ends; its log:\n{self.log(name)[-2000:]}", NOTICED_S)

    def try_to_start(self, name: str) -> str:
        """Start a member that cannot; return its reason."""
        before = len(self.log(name))
        self._start(name)
        self.wait_ended(name)
        return self.log(name)[before:]

    def log(self, name: str) -> str:
        """Return what it has written."""
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_logged(self, name: str, pattern: str, since: int = 0) -> str:
        """Wait for a line, and return it."""

        def found() -> re.Match[str] | None:
            return re.search(rf"^.*{pattern}.*$", self.log(name)[since:], re.MULTILINE)

        wait_until(lambda: found() is not None, lambda: f"{pattern}:\n{self.log(name)[-3000:]}", NOTICED_S)
        line = found()
        assert line is not None
        return line[0]

    def metrics(self, node: str) -> str:
        """Return a node's page of metrics."""
        return get(int(self.entry(node)["admin"].rpartition(":")[2]), "/metrics")[1].decode()

    def state(self, node: str) -> str:
        """Return what a node says of itself."""
        found = re.search(r'^hsm_node_state\{.*state="(\w+)"\} 1(\.0)?$', self.metrics(node), re.MULTILINE)
        return found[1] if found else ""

    def wait_member(self, name: str, node: str = "node-3", *, usable: bool) -> None:
        """Wait until a node's metrics say so of a member."""
        line = rf'^hsm_node_store_member_usable\{{member="{re.escape(self.entry(name)["address"])}"\}} {int(usable)}'

        def said() -> bool:
            return re.search(line, self.metrics(node), re.MULTILINE) is not None

        wait_until(said, lambda: f"{line}\n{self.metrics(node)}", NOTICED_S)

    def wait_problem(self, begins: str, *, there: bool) -> None:
        """Wait until the status has a problem that begins so, or none."""

        def said() -> bool:
            problems = json.loads(get(port, "/status")[1])["problems"]
            return any(problem.startswith(begins) for problem in problems) is there

        port = int(self.entry("proxy-1")["admin"].rpartition(":")[2])
        wait_until(said, lambda: f"{begins}: {there}, in {get(port, '/status')[1].decode()[:2000]}", NOTICED_S)

    def make_keys(self, count: int = 5) -> None:
        """Make keys, and use each: changes go on. During an election one may be refused: it is asked for again."""
        said = ""

        def made() -> bool:
            nonlocal said
            try:
                hsm.generate_key("ec-p256").sign(b"made meanwhile", "ecdsa-sha256")
            except HsmError as error:
                said = str(error)
                return False
            return True

        with sync.connect(self.client_config) as hsm:
            for _ in range(count):
                wait_until(made, lambda: f"a key is made: {said}", NOTICED_S)

    def try_to_start_node(self, name: str) -> str:
        """Kill a node, start it where it cannot, and return what it said of it."""
        self.kill(name)
        before = len(self.log(name))
        assert self._start(name).returncode != 0
        return self.log(name)[before:]

    def start_unready(self, name: str) -> None:
        """Start a node that is killed and will not be ready soon; wait only until its process is there."""
        before = self.entry(name)["pid"]
        command = [str(ROOT / ".venv/bin/hsmctl"), "dev", "start", name, "--dir", str(self.folder)]
        asking = run_bound(command, self.folder / "logs" / "start.log")
        try:
            wait_until(lambda: bool(self.entry(name)["pid"] != before), lambda: f"{name} is started")
        finally:
            asking.kill()
            asking.wait()

    def member_settings(self, name: str) -> dict[str, Any]:
        """Return what a member's file has."""
        found: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        return found

    def edit_member(self, name: str, **changes: Any) -> None:
        """Change settings in a member's file."""
        new = {key.replace("_", "-"): value for key, value in changes.items()}
        text = json.dumps(self.member_settings(name) | new, indent=2)
        (self.folder / f"{name}.json").write_text(text + "\n")

    def etcdctl(self, *arguments: str, address: str) -> Any:
        """Ask one member, and return its answer."""
        program = get_etcd().with_name("etcdctl")
        pem = {name: str(self.folder / file) for name, file in _FILES.items()}
        command = [str(program), "--endpoints", address, "--write-out", "json"]
        command += [part for name, path in pem.items() for part in (f"--{name}", path)]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=COMMAND_S, check=True)
        return json.loads(done.stdout)

    def members(self) -> list[dict[str, Any]]:
        """Return the members as the store has them."""
        listed = self.etcdctl("member", "list", address=self.entry("etcd-zurich")["address"])
        found: list[dict[str, Any]] = listed["members"]
        return found

    def _start(self, name: str) -> subprocess.CompletedProcess[bytes]:
        command = [str(ROOT / ".venv/bin/hsmctl"), "dev", "start", name, "--dir", str(self.folder)]
        return subprocess.run(command, capture_output=True, timeout=3 * COMMAND_S, check=False)


_FILES = {"cacert": "store-ca.pem", "cert": "node-1-store.pem", "key": "node-1-store-key.pem"}


def section_of(title: str, page: str) -> str:
    """Return what a page says below a title."""
    text = (GUIDES / page).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"the page has no section {title!r}"
    return found[1]


def alive(pid: int) -> bool:
    """Whether that process runs; one that its parent has not looked at yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def run_bound(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a program of the test's own, which ends with it."""
    with log.open("ab") as output:
        return subprocess.Popen(bound_to_parent(command, signal.SIGKILL), stdout=output, stderr=output)

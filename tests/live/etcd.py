"""etcd members as real processes, with a CA of their own, that can be killed, stopped and brought back."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, Identity
from programs import bound_to_parent, free_port, get, wait_until

from hsm_cluster.address import Address
from hsm_daemon.tls import TlsFiles
from hsm_node.store.etcd.channels import Link, credentials_of
from hsm_node.store.etcd.messages_pb2 import PutRequest, RequestOp, TxnRequest
from hsmctl.dev.etcd_program import get_etcd
from hsmctl.failures import CommandError

HOST = "127.0.0.1"
STOP_DEADLINE_S = 10.0
CALL_S = 20.0
"""For etcdctl: an election may be under way."""


class Member:
    """One member."""

    def __init__(self, cluster: "EtcdCluster", number: int, host: str = HOST) -> None:
        self.cluster = cluster
        self.name = f"etcd-{number}"
        self.address = Address(host, free_port())
        self.peer = Address(host, free_port())
        self.metrics = free_port()
        self.data = cluster.folder / self.name
        self.log = cluster.folder / f"{self.name}.log"
        self.identity: Identity | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For clients."""
        return f"{self.cluster.scheme}://{self.address}"

    @property
    def peer_url(self) -> str:
        """For the other members."""
        return f"{self.cluster.scheme}://{self.peer}"

    def start(self) -> None:
        """Start the process; does not wait until it serves."""
        assert self._process is None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                bound_to_parent(self.command(), signal.SIGKILL),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={name: value for name, value in os.environ.items() if not name.startswith("ETCD_")},
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Wait until it says that it is healthy: there is a leader, and it can be written to."""
        wait_until(lambda: self.page("/health")[0] == 200, lambda: f"{self.name}: {self.log.read_text()[-2000:]}")

    def page(self, path: str) -> tuple[int, bytes]:
        """GET what it says of itself; status 0 when it says nothing."""
        return get(self.metrics, path)

    def signal(self, number: signal.Signals) -> None:
        """Send SIGSTOP or SIGCONT."""
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        """Process id of a running member."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill the process, whatever state it is in."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_DEADLINE_S)
            self._process = None

    def command(self) -> list[str]:
        """Return the command line."""
        cluster = self.cluster
        members = ",".join(f"{member.name}={member.peer_url}" for member in cluster.members)
        command = [
            str(cluster.program), "--name", self.name, "--data-dir", str(self.data), "--log-level", "warn",
            "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url,
            "--initial-cluster", members, "--initial-cluster-token", cluster.token,
            "--listen-metrics-urls", f"http://{HOST}:{self.metrics}", "--unsafe-no-fsync", *cluster.flags,
        ]  # fmt: skip
        if self.identity is not None:
            for prefix in ("", "peer-"):
                command += [
                    f"--{prefix}cert-file", str(self.identity.certificate), f"--{prefix}key-file",
                    str(self.identity.key), f"--{prefix}trusted-ca-file", str(self.identity.ca),
                    f"--{prefix}client-cert-auth",
                ]  # fmt: skip
        return command


class EtcdCluster:
    """Members on free ports of loopback, their data in a folder."""

    def __init__(
        self,
        folder: Path,
        members: int = 1,
        *,
        tls: bool = False,
        flags: tuple[str, ...] = (),
        lifetime: timedelta = timedelta(hours=1),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        try:
            self.program = get_etcd()
        except CommandError as error:
            pytest.skip(str(error))
        self.scheme = "https" if tls else "http"
        self.flags = flags
        self.token = f"test-{folder.name}"
        self.members = [self.make_member(number) for number in range(1, members + 1)]
        self.client: Identity | None = None
        if tls:
            authority = Authority(folder / "store-ca", lifetime)
            for member in self.members:
                identity, hosts = f"spiffe://store/member/{member.name}", [member.address.host]
                member.identity = authority.issue(identity, member.name, hosts)
            self.client = authority.issue("spiffe://store/client/node", "client")

    def make_member(self, number: int) -> Member:
        """Return a member, the first one being number 1."""
        return Member(self, number)

    @property
    def addresses(self) -> list[Address]:
        """What nodes connect to."""
        return [member.address for member in self.members]

    @property
    def tls(self) -> TlsFiles | None:
        """What nodes show of themselves."""
        return None if self.client is None else TlsFiles(self.client.ca, self.client.certificate, self.client.key)

    def start(self) -> "EtcdCluster":
        """Start all members, and wait until they serve."""
        for member in self.members:
            member.start()
        for member in self.members:
            member.wait_ready()
        return self

    def stop(self) -> None:
        """End all members, whatever state they are in."""
        for member in self.members:
            member.kill()

    def store_toml(self) -> str:
        """Return the value of a node's `store`."""
        endpoints = ", ".join(f'"{address}"' for address in self.addresses)
        tls = '"off"' if self.client is None else self.client.as_toml()
        return f'{{ driver = "etcd", endpoints = [{endpoints}], tls = {tls} }}'

    def ctl_command(self, *arguments: str, member: Member | None = None) -> list[str]:
        """Return the command line of etcdctl that asks a member, or all of them."""
        command = [str(self.program.with_name("etcdctl")), "--write-out", "json"]
        urls = [one.url for one in ([member] if member else self.members)]
        command += ["--endpoints", ",".join(urls)]
        if self.client is not None:
            command += ["--cacert", str(self.client.ca), "--cert", str(self.client.certificate)]
            command += ["--key", str(self.client.key)]
        return [*command, *arguments]

    def ctl(self, *arguments: str, member: Member | None = None) -> Any:
        """Run etcdctl and return what it says as JSON."""
        return self.ctl_says(self.ctl_command(*arguments, member=member))

    @staticmethod
    def ctl_says(command: list[str]) -> Any:
        """Run such a command line, wherever it leads, and return what it says as JSON."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=CALL_S, check=False)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.strip().splitlines()
        return json.loads(lines[-1]) if lines and lines[-1].startswith(("{", "[")) else done.stdout

    def put(self, key: bytes, value: bytes) -> None:
        """Write any bytes; etcdctl takes text only."""
        with contextlib.closing(Link(self.members[0].address, credentials_of(self.tls))) as link:
            link.txn(TxnRequest(success=[RequestOp(put=PutRequest(key=key, value=value))]), timeout=CALL_S)

    def empty(self) -> None:
        """Delete everything, as nobody does in earnest: the next test has an empty store."""
        self.ctl("del", "", "--prefix")

    def leader(self) -> Member:
        """Return the member that leads now."""
        deadline = time.monotonic() + CALL_S
        while time.monotonic() < deadline:
            for member in self.members:
                if b"etcd_server_is_leader 1" in member.page("/metrics")[1]:
                    return member
        raise AssertionError("no leader")

    def wipe(self, member: Member) -> None:
        """Remove a killed member's data."""
        shutil.rmtree(member.data)

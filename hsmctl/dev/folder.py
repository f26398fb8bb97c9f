"""The folder of a development cluster: what is kept over runs and what is written at each start."""

import datetime
import fcntl
import json
import os
import secrets
import time
from pathlib import Path
from typing import IO, Final

from hsmctl.certificates import Authority
from hsmctl.dev import configuration
from hsmctl.dev.data_centres import keep_ports
from hsmctl.dev.plan import CLIENT_IDENTITY, CLUSTER, OPERATOR_IDENTITY, Plan
from hsmctl.dev.soft_tokens import make_tokens
from hsmctl.failures import USAGE, CommandError
from hsmctl.files import replace_file

MASTER_KEY_BYTES: Final = 32
LOCK_PATIENCE_S: Final = 0.3
"""`hsmctl dev start` holds the lock for an instant to see whether it is free; that must not refuse a start."""
LOCK_INTERVAL_S: Final = 0.02
MAX_PID_CHARACTERS: Final = 20
"""As much of the lock file as is read: the process id of who has it."""


class Folder:
    """Paths in the folder. `master.key`, the store and the CAs are kept; everything else is made anew."""

    def __init__(self, path: Path) -> None:
        # `..` behind a link does not lead where it seems to; other links stay as the user wrote them.
        self.path = path.resolve() if ".." in path.parts else path.absolute()
        self.manifest = self.path / "dev.json"
        self.client_config = self.path / "client.toml"
        self.logs = self.path / "logs"
        self.requests = self.path / "requests"
        """A file with a daemon's name in it asks the running `hsmctl dev` to start that daemon."""
        self._lock: IO[str] | None = None

    def config_of(self, name: str) -> Path:
        """Return the path of a daemon's configuration."""
        return self.path / f"{name}.toml"

    def store_config_of(self, name: str) -> Path:
        """Return the path of the configuration of a store's member."""
        return self.path / f"{name}.json"

    def log_of(self, name: str) -> Path:
        """Return the path of a daemon's log."""
        return self.logs / f"{name}.log"

    def take(self) -> None:
        """Make the folder and take it for this process; a second `hsmctl dev` on it is refused."""
        try:
            # Private if we make it; a folder that the user made keeps its mode: each secret file has its own.
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.logs, self.requests):
                folder.mkdir(exist_ok=True)
            self._lock = self._locked()
            self.manifest.unlink(missing_ok=True)
        except OSError as error:
            raise CommandError(
                f"cannot use the folder {self.path}: {error.strerror}; name another by --dir", USAGE
            ) from None
        self.take_requests()

    def _locked(self) -> IO[str]:
        deadline = time.monotonic() + LOCK_PATIENCE_S
        # Not "w": that would empty the file of who has it.
        lock = (self.path / "dev.lock").open("a+")
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise self._in_use(lock) from None
            else:
                lock.truncate(0)
                lock.write(f"{os.getpid()}\n")
                lock.flush()
                return lock
            time.sleep(LOCK_INTERVAL_S)

    def _in_use(self, lock: IO[str]) -> CommandError:
        with lock:
            lock.seek(0)
            pid = lock.read(MAX_PID_CHARACTERS).strip()
        known = pid.isdecimal()
        return CommandError(
            f"{self.path} is in use by another `hsmctl dev`{f' (process {pid})' if known else ''}; "
            f"stop that one{f' with `kill {pid}`' if known else ''} or name another folder by --dir",
            USAGE,
        )

    def ours(self) -> bool:
        """Whether the folder is still the one that was taken: a removed one may have been made anew by another."""
        if self._lock is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._lock.fileno()), (self.path / "dev.lock").stat())
        except OSError:
            return False

    def release(self) -> None:
        """Let another `hsmctl dev` have the folder."""
        if self._lock is None:
            return
        if self.ours():
            self.manifest.unlink(missing_ok=True)
        self._lock.close()
        self._lock = None

    def ask_for(self, name: str) -> None:
        """Ask the running `hsmctl dev` to start that daemon."""
        try:
            self.requests.mkdir(exist_ok=True)
            (self.requests / name).touch()
        except OSError as error:
            raise CommandError(f"cannot write to {self.requests}: {error.strerror}; check its permissions") from None

    def take_requests(self) -> list[str]:
        """Return the names of the daemons that were asked for since the last call."""
        names = []
        try:
            for request in list(self.requests.iterdir()):
                request.unlink()
                names.append(request.name)
        except OSError:
            # Somebody tidies the folder meanwhile: what is still to be read is there at the next call.
            pass
        return names

    def held(self) -> bool:
        """Whether a running `hsmctl dev` has the folder."""
        try:
            with (self.path / "dev.lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def fill(self, plan: Plan, now: datetime.datetime) -> None:
        """Write configurations, certificates and, in a new folder, the master key: a file, or objects of tokens."""
        self._check_backend(plan)
        if plan.softhsm is None:
            self._fill_master_key()
        self._write("cluster.toml", configuration.cluster_toml(plan))
        for node in plan.nodes:
            (self.path / "state" / node.name).mkdir(parents=True, exist_ok=True)
            self._write(f"{node.name}.toml", configuration.node_toml(plan, node))
        for proxy in plan.proxies:
            self._write(f"{proxy.name}.toml", configuration.proxy_toml(plan, proxy))
        self._write("client.toml", configuration.client_toml(plan, "client"))
        # Without TLS everybody is the client; an operator.toml of an earlier run would lead nowhere.
        (self.path / "operator.toml").unlink(missing_ok=True)
        if plan.tls:
            self._write("operator.toml", configuration.client_toml(plan, "operator"))
            self._certify(plan, now)
        if plan.stores:
            self._fill_stores(plan, now)
        if plan.softhsm is not None:
            make_tokens(self.path, plan)

    def _check_backend(self, plan: Plan) -> None:
        """Refuse another backend than that of an earlier run: its keys are under the master key that it made."""
        if plan.softhsm is None:
            other, flag = self.path / "tokens", "--backend softhsm"
        else:
            other, flag = self.path / "master.key", "--backend software"
        if other.exists():
            raise CommandError(f"{self.path} was made with {flag}; give that, or name another folder by --dir", USAGE)

    def _fill_master_key(self) -> None:
        master_key = self.path / "master.key"
        if not master_key.exists():
            kept = next((name for name in ("store.db", "etcd") if (self.path / name).exists()), None)
            if kept is not None:
                raise CommandError(
                    f"{master_key} is missing, so the keys in {kept} beside it cannot be opened; "
                    "bring it back, or remove the folder to start anew", USAGE,
                )  # fmt: skip
            replace_file(master_key, (secrets.token_hex(MASTER_KEY_BYTES) + "\n").encode(), 0o600)

    def _fill_stores(self, plan: Plan, now: datetime.datetime) -> None:
        """Write what the store's members need. Their CA is their own: with a certificate of it one may do anything."""
        keep_ports(self.path, plan)
        authority = self._authority(now, "store-ca")
        (self.path / "etcd").mkdir(mode=0o700, exist_ok=True)
        for store in plan.stores:
            self._write(f"{store.name}.json", json.dumps(configuration.store_json(plan, store, self.path), indent=2))
            identity = f"spiffe://{CLUSTER}/store/{store.name}"
            self._issue(authority, store.name, identity, now, configuration.STORE_MEMBERS)
        for node in plan.nodes:
            self._issue(authority, f"{node.name}-store", node.identity, now)

    def _issue(
        self, authority: Authority, name: str, identity: str, now: datetime.datetime, common_name: str = ""
    ) -> None:
        certificate, key = authority.issue(identity, now, common_name)
        replace_file(self.path / f"{name}-key.pem", key, 0o600)
        replace_file(self.path / f"{name}.pem", certificate)

    def _certify(self, plan: Plan, now: datetime.datetime) -> None:
        authority = self._authority(now, "ca")
        identities = {"client": CLIENT_IDENTITY, "operator": OPERATOR_IDENTITY}
        identities |= {member.name: member.identity for member in plan.members}
        for name, identity in identities.items():
            self._issue(authority, name, identity, now)

    def _authority(self, now: datetime.datetime, name: str) -> Authority:
        certificate, key = self.path / f"{name}.pem", self.path / f"{name}-key.pem"
        if certificate.exists() and key.exists():
            kept = Authority.maybe_load(certificate.read_bytes(), key.read_bytes(), now)
            if kept is not None:
                return kept
        made = Authority.create("dev", now)
        replace_file(key, made.key_pem, 0o600)
        replace_file(certificate, made.certificate_pem)
        return made

    def _write(self, name: str, text: str) -> None:
        replace_file(self.path / name, text.encode())

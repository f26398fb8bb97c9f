"""The folder of a development cluster: what is kept over runs and what is written at each start."""

import datetime
import fcntl
import secrets
from pathlib import Path
from typing import IO

from hsmctl.certificates import Authority
from hsmctl.dev import configuration
from hsmctl.dev.plan import CLIENT_IDENTITY, OPERATOR_IDENTITY, Plan
from hsmctl.failures import USAGE, CommandError
from hsmctl.files import replace_file

MASTER_KEY_BYTES = 32


class Folder:
    """Paths in the folder. `master.key`, `store.db` and the CA are kept; everything else is made anew."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.manifest = self.path / "dev.json"
        self.client_config = self.path / "client.toml"
        self.logs = self.path / "logs"
        self.requests = self.path / "requests"
        """A file with a daemon's name in it asks the running `hsmctl dev` to start that daemon."""
        self._lock: IO[str] | None = None

    def config_of(self, name: str) -> Path:
        """Return the path of a daemon's configuration."""
        return self.path / f"{name}.toml"

    def log_of(self, name: str) -> Path:
        """Return the path of a daemon's log."""
        return self.logs / f"{name}.log"

    def take(self) -> None:
        """Make the folder and take it for this process; a second `hsmctl dev` on it is refused."""
        try:
            for folder in (self.path, self.logs, self.requests):
                folder.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o700)
            lock = (self.path / "dev.lock").open("w")
        except OSError as error:
            raise CommandError(
                f"cannot use the folder {self.path}: {error.strerror}; name another by --dir", USAGE
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise CommandError(
                f"{self.path} is in use by another `hsmctl dev`; stop that one or name another folder by --dir", USAGE
            ) from None
        self._lock = lock
        self.manifest.unlink(missing_ok=True)
        for request in self.requests.iterdir():
            request.unlink()

    def release(self) -> None:
        """Let another `hsmctl dev` have the folder."""
        self.manifest.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

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
        """Write configurations, certificates and, in a new folder, the master key."""
        master_key = self.path / "master.key"
        if not master_key.exists():
            if (self.path / "store.db").exists():
                raise CommandError(
                    f"{master_key} is missing, so the keys in store.db beside it cannot be opened; "
                    "bring it back, or remove the folder to start anew", USAGE,
                )  # fmt: skip
            replace_file(master_key, (secrets.token_hex(MASTER_KEY_BYTES) + "\n").encode(), 0o600)
        self._write("cluster.toml", configuration.cluster_toml(plan))
        for node in plan.nodes:
            (self.path / "state" / node.name).mkdir(parents=True, exist_ok=True)
            self._write(f"{node.name}.toml", configuration.node_toml(plan, node))
        for proxy in plan.proxies:
            self._write(f"{proxy.name}.toml", configuration.proxy_toml(plan, proxy))
        for client in ("client", "operator") if plan.tls else ("client",):
            self._write(f"{client}.toml", configuration.client_toml(plan, client))
        if plan.tls:
            self._certify(plan, now)

    def _certify(self, plan: Plan, now: datetime.datetime) -> None:
        authority = self._authority(now)
        identities = {"client": CLIENT_IDENTITY, "operator": OPERATOR_IDENTITY}
        identities |= {member.name: member.identity for member in plan.members}
        for name, identity in identities.items():
            certificate, key = authority.issue(identity, now)
            replace_file(self.path / f"{name}-key.pem", key, 0o600)
            replace_file(self.path / f"{name}.pem", certificate)

    def _authority(self, now: datetime.datetime) -> Authority:
        certificate, key = self.path / "ca.pem", self.path / "ca-key.pem"
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

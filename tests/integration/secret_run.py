"""One full run of a cluster, the secrets that it uses, and everything that is said in it."""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from cluster import Cluster
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hsmctl_forks import run_hsmctl
from programs import Program, get
from secret_search import Secrets

from hsm_client import Hsm, connect
from hsm_client.errors import HsmError

VERBOSE = (
    "from hsm_daemon import log_settings, logs; configure = logs.configure;"
    "most = log_settings.LogSettings(level='debug', slow_request_s=0.001);"
    "verbose = lambda program: (configure(program, most), logs.event(logs.logger('test'), 'debug', 'verbose'));"
    "logs.configure = lambda program, settings=most: verbose(program);"
    "logs.reconfigure = lambda settings: None;"
    "from {module} import main; main()"
)
PAGES = ("/metrics", "/status", "/livez", "/readyz", "/", "/nothing")
DEADLINE_S = 60.0
Work = Callable[[Hsm], Coroutine[Any, Any, None]]


class Run:
    """One full run, what it used and what it wrote."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.secrets = Secrets()
        self.given = self._folder("given")
        self.taken = self._folder("taken")
        self.said = self._folder("said")
        for program in (*cluster.nodes, *cluster.proxies):
            code = VERBOSE.format(module=program.module)
            program.command = self._command(code, program)  # type: ignore[method-assign]  # of this one only

    def _folder(self, name: str) -> Path:
        made = self.cluster.folder / name
        made.mkdir()
        return made

    @staticmethod
    def _command(code: str, program: Program) -> Callable[[], list[str]]:
        return lambda: [sys.executable, "-c", code, "--config", str(program.config)]

    def say(self, name: str, text: str | bytes) -> None:
        """Keep what somebody was told."""
        number = len(list(self.said.iterdir()))
        (self.said / f"{number:03}-{name}").write_bytes(text if isinstance(text, bytes) else text.encode())

    def give(self, name: str, data: bytes, *values: bytes | int) -> Path:
        """Write a file of the user's that holds a secret; return its path."""
        path = self.given / name
        path.write_bytes(data)
        for number, value in enumerate(values or (data,)):
            self.secrets.add(f"{name} {number}", value, path)
        return path

    def ctl(self, *arguments: object, client: str = "app", data: bytes = b"", code: int | None = 0) -> str:
        """Run hsmctl, keep all it says; return its standard output. `code` None: it may fail."""
        environment = {**os.environ, "HSM_CLIENT_CONFIG": str(self.cluster.config_of(client))}
        done = run_hsmctl(arguments, environment=environment, timeout_s=DEADLINE_S, data=data)
        self.say(f"hsmctl-{arguments[0]}", done.stdout + done.stderr)
        assert code is None or done.returncode == code, done.stderr
        return done.stdout.decode().strip()

    def library(self, *work: Work) -> None:
        """Do something with the client library; what it raises is written down as an application would."""

        async def main() -> None:
            async with connect(self.cluster.client_config) as hsm:
                for one in work:
                    await one(hsm)

        self.cluster.run(main)

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """Expect something of the library to fail, and keep what it says."""
        try:
            yield
        except (HsmError, TypeError, ValueError) as error:
            self.say("error", f"{error!r}\n{error}\n{''.join(traceback.format_exception(error))}")
        else:
            raise AssertionError("this was to fail")

    def pages(self) -> None:
        """Read every page of every daemon."""
        for program in (*self.cluster.nodes, *self.cluster.proxies):
            for page in PAGES:
                self.say(program.name, get(program.admin_port, page)[1])
            self.say(program.name, Path(f"/proc/{program.pid}/cmdline").read_bytes())


def private_numbers(key: Any) -> list[int | bytes]:
    """Return what is secret in a private key; the rest of its encodings is known or public."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        return [numbers.p, numbers.q, numbers.d, numbers.dmp1, numbers.dmq1, numbers.iqmp]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return [key.private_numbers().private_value]
    return [key.private_bytes_raw()]


def pem(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def der(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))

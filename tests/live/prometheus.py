"""A real Prometheus (Debian's program, never its service) that scrapes daemons of a test with the deployed files.

    with Prometheus(tmp_path / "prometheus", targets_of(cluster)) as prometheus:
        prometheus.wait_scraped()
        prometheus.query("sum(hsm_proxy_requests_total)")

The files are those of deploy/prometheus, with every duration divided by `TIME_FACTOR`: a minute becomes a second. Only
scraping is not hurried so much: a busy machine that is late with one scrape would interrupt what an alert waits for.
"""

import http.client
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from programs import Program, bound_to_parent, free_port, wait_until

DEPLOYED = Path(__file__).parents[2] / "deploy" / "prometheus"
TIME_FACTOR = 60
SCRAPE_INTERVAL = "1s"
"""Five samples in the shortest range of the rules, `[5m]`; also the time-out of a scrape."""
QUERY_TIMEOUT_S = 10.0
START_DEADLINE_S = 30.0
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = r"(\d+)(ms|s|m|h|d)"
# Where a duration is a wait or a range; numbers in expressions (seconds until a certificate ends) are left alone.
_SCRAPING = re.compile(r"^(\s*scrape_(?:interval|timeout): )\S+$", re.MULTILINE)
_SHORTENED = re.compile(rf"(^\s*(?:- )?(?:for|interval|evaluation_interval): |\[){_DURATION}(?=$|\s|\])", re.M)


class Target(NamedTuple):
    """One daemon to scrape: of which job, under which labels, on which loopback port."""

    job: str
    labels: dict[str, str]
    port: int


class Sample(NamedTuple):
    """One row of an answer to a query."""

    labels: dict[str, str]
    value: float


class Alert(NamedTuple):
    """One alert that is pending or firing."""

    name: str
    state: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Watched(Protocol):
    """What has daemons to scrape: a cluster of tests/integration."""

    nodes: list[Program]
    proxies: list[Program]


def targets_of(cluster: Watched, name: str = "test", site: str = "local") -> list[Target]:
    """Return the proxies and nodes of a cluster, labelled as deploy/prometheus/targets does it."""
    proxies = [
        Target("hsm-proxy", {"cluster": name, "proxy": one.name, "proxy_site": site}, one.admin_port)
        for one in cluster.proxies
    ]
    nodes = [
        Target("hsm-node", {"cluster": name, "node": one.name, "site": site}, one.admin_port) for one in cluster.nodes
    ]
    return [*proxies, *nodes]


def shortened(text: str, factor: int = TIME_FACTOR) -> str:
    """Return a configuration or rules with every wait, interval and range divided; none below 1 ms."""
    text = _SCRAPING.sub(rf"\g<1>{SCRAPE_INTERVAL}", text)
    return _SHORTENED.sub(lambda found: f"{found[1]}{max(1, int(found[2]) * _UNIT_MS[found[3]] // factor)}ms", text)


class Prometheus:
    """One Prometheus on a free port of loopback; its data and its files are in `folder`."""

    def __init__(self, folder: Path, targets: Iterable[Target], *, factor: int = TIME_FACTOR) -> None:
        """Write all files; nothing is started."""
        self.folder = folder
        self.port = free_port()
        self.wanted = list(targets)
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "targets").mkdir(parents=True)
        (folder / "rules").mkdir()
        for file in (DEPLOYED / "prometheus.yml", *(DEPLOYED / "rules").glob("*.yml")):
            (folder / file.relative_to(DEPLOYED)).write_text(shortened(file.read_text(encoding="utf-8"), factor))
        for job in ("hsm-proxy", "hsm-node", "redoubt-etcd"):
            groups = [
                {"targets": [f"127.0.0.1:{target.port}"], "labels": target.labels}
                for target in self.wanted
                if target.job == job
            ]
            (folder / "targets" / f"{job}.json").write_text(json.dumps(groups))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Prometheus":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers queries."""
        program = shutil.which("prometheus")
        assert program is not None, "prometheus is missing: run sh tools/system_components.sh test"
        command = [
            program,
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--storage.tsdb.retention.time=1d",
            "--log.level=warn",
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                bound_to_parent(command, signal.SIGKILL), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._ready, lambda: f"Prometheus is ready; its log:\n{self.log()[-2000:]}", START_DEADLINE_S)

    def stop(self) -> None:
        """End it, whatever state it is in."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def query(self, expression: str) -> list[Sample]:
        """Return the rows of an instant query.

        Raises:
            AssertionError: Prometheus refuses it.
        """
        data = self._get("/api/v1/query", query=expression)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(row["metric"], float(row["value"][1])) for row in data["result"]]

    def value(self, expression: str) -> float:
        """Return the only row of an instant query."""
        rows = self.query(expression)
        assert len(rows) == 1, f"{expression} has {len(rows)} rows: {rows}"
        return rows[0].value

    def alerts(self) -> list[Alert]:
        """Return what is pending or firing."""
        found = self._get("/api/v1/alerts")["alerts"]
        return [Alert(row["labels"]["alertname"], row["state"], row["labels"], row["annotations"]) for row in found]

    def firing(self) -> set[str]:
        """Return the names of alerts that fire."""
        return {alert.name for alert in self.alerts() if alert.state == "firing"}

    def targets(self) -> dict[str, str]:
        """Return the health ("up", "down", "unknown") of each target by its address."""
        found = self._get("/api/v1/targets")["activeTargets"]
        return {row["labels"]["instance"]: row["health"] for row in found}

    def rules(self) -> list[dict[str, Any]]:
        """Return every rule that is loaded, with its health and last error."""
        return [rule for group in self._get("/api/v1/rules")["groups"] for rule in group["rules"]]

    def wait_scraped(self) -> None:
        """Wait until each target was scraped, and a second time, so that rates have two points."""
        jobs = len(self.wanted)
        wait_until(
            lambda: self.query(f"count(count_over_time(up[1h]) >= 2) == {jobs}") != [],
            lambda: f"{jobs} targets scraped twice; there is {self.targets()}",
        )

    def wait_firing(self, names: Sequence[str], deadline_s: float) -> None:
        """Wait until all of these alerts fire."""
        wait_until(lambda: set(names) <= self.firing(), lambda: f"{names} fire; there is {self.alerts()}", deadline_s)

    def wait_resolved(self, names: Sequence[str], deadline_s: float) -> None:
        """Wait until none of these alerts is firing or pending."""
        wait_until(
            lambda: not set(names) & {alert.name for alert in self.alerts()},
            lambda: f"{names} resolve; there is {self.alerts()}",
            deadline_s,
        )

    def log(self) -> str:
        """Return all that it said."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def _log(self) -> Path:
        return self.folder / "prometheus.log"

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"Prometheus ended with {self._process.returncode}:\n{self.log()}"
        try:
            return self._fetch("/-/ready")[0] == 200
        except OSError:
            return False

    def _get(self, path: str, **parameters: str) -> Any:
        status, body = self._fetch(f"{path}?{urlencode(parameters)}")
        answer = json.loads(body)
        assert answer["status"] == "success", f"{path} {parameters} answered {status}: {answer.get('error')}"
        return answer["data"]

    def _fetch(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=QUERY_TIMEOUT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

"""What all tests share."""

import importlib.util
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

from hsm_daemon import log_limit
from hsm_wire.messages import StoreMember
from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.parties import Link
from proxy.core.reporting.health import problems, problems_of_proxy
from proxy.core.reporting.shared_store import store_problems
from proxy.core.settings import Settings

# The machine may be slow or busy: how long one example takes says nothing about the code.
settings.register_profile("redoubt", deadline=None, print_blob=True)
settings.load_profile("redoubt")

# The published vectors are a plain package beside the tests; pytest's import mode leaves the path alone.
sys.path.append(str(Path(__file__).parent / "vectors"))

OTHER_LOOP = "asyncio"
"""The event loop that is not the daemons' own choice."""

COUNTED = "counted: "
"""Before the name of what a test has counted, among the properties that its report brings to the controller."""


def pytest_configure() -> None:
    """Let children that are interrupted end: a shell ignores SIGINT for what it starts in the background."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


TOOLS = Path(__file__).resolve().parents[1] / "tools"


@pytest.fixture(scope="session")
def load_tool() -> Callable[[str], ModuleType]:
    """Return a function that loads a program of `tools`, with the path that it has when it is started."""

    def load(name: str) -> ModuleType:
        before = sys.path[:]
        sys.path.insert(0, str(TOOLS))
        try:
            spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        finally:
            sys.path[:] = before
        return module

    return load


@pytest.fixture(scope="session")
def wrong_in_every_way() -> list[str]:
    """Every sentence about what is wrong that a proxy has: who tells more by them must know each."""
    table = NodeTable([Node(name, "zurich", 1, [("a", "h:1"), ("b", "h:2")]) for name in ("n1", "n2")], Settings(), 0.0)
    said = [*problems(table)]
    for node in table.nodes:
        link = Link(node.paths[0], lambda raw: None)
        node.paths[0].link = link
        table.path_up(link, 1.0)
    table.nodes[0].store_faults["behind"] = "it lacks what n2 has seen"
    table.nodes[0].slowness = 0.5
    said += problems(table)
    for node in table.nodes:
        node.outdated = "it lacks what n3 has seen"
        table.judge(node, 2.0)
    said += problems(table)
    for node in table.nodes:
        node.outdated = ""
        table.judge(node, 3.0, "drain")
    said += problems(table)
    faults = "no answer", "its quota is full, and changes are refused", "the members' data differ"
    members = [StoreMember(f"10.0.0.{number}:2379", fault) for number, fault in enumerate(faults)]
    table.nodes[0].nodes_out, table.nodes[0].store_members = ["n3"], members
    said += store_problems(table.nodes)
    for urgent_s in (0.0, 5.0):
        said += problems_of_proxy(overload="queue_full", urgent_s=urgent_s, reload_failed=True)
    return sorted({*said})


@pytest.fixture(autouse=True)
def fresh_log_limits() -> None:
    """No test finds a limit of log lines that another one has used up."""
    for log in list(log_limit._all):
        log._kinds.clear()


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Callable[[str, float], None]:
    """Add to a number that is printed at the end of the run, under its name."""
    return lambda name, number: record_property(COUNTED + name, number)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked `other_loop_in_system` runs on uvloop in `make test`, and on asyncio in `make test-system`."""
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if item.get_closest_marker("other_loop_in_system") and parameters.get("event_loop_name") == OTHER_LOOP:
            item.add_marker(pytest.mark.system)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests have counted."""
    counts: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for name, number in report.user_properties:
                    if name.startswith(COUNTED):
                        counts[name.removeprefix(COUNTED)] += number
    for name, number in sorted(counts.items()):
        terminalreporter.write_line(f"{name}: {round(number, 1):,}")

"""What the fixed words of a log line and its fields are as a sentence for people: one row for each line that is an
event as well. Names of clients, ids of keys and addresses are in the log only."""

from collections.abc import Mapping
from typing import Final

from proxy.core.changes import duration_words
from proxy.core.reporting.expiry import EXPIRED, EXPIRES

STOOD_STILL: Final = "this proxy stood still"
RELOAD_FAILED: Final = "the newest configuration has a fault and is not used; the log of this proxy names it"

SENTENCES: Final[Mapping[str, str]] = {
    "a node has started anew": "{node} has started anew",
    "a node is slow and gets less": "{node} is slow and gets fewer requests: {mean_s} for one, {others_s} elsewhere",
    "a node is as fast as the others again": "{node} is as fast as the others again",
    "a node told of use that cannot be": "{node} told of use that cannot be, and that is not counted: {what}",
    "a node has its full share again, it may be slow": "{node} has its full share again: too few requests to tell",
    "a node's store lacks what another node has seen": "{node} has an old state of the store: {reason}; {what}",
    "a node lacks nothing of the store any more that another one has seen": "{node} has the whole store again",
    "two nodes were shown different stores": "{nodes} were shown different stores: {what}",
    "two nodes follow different stores": "{nodes} follow different stores: {what}",
    "two nodes follow different epochs of the store": "{nodes} follow different epochs of the store: {what}",
    "two nodes agree about the store again, or one is gone": "{nodes} agree about the store again, or one is gone",
    "the cluster has a new epoch": "the cluster has epoch {epoch}, as {node} says: {what}",
    "an epoch cannot be kept": "epoch {epoch} cannot be kept on disk: {reason}; {what}",
    "a request is refused from now on: nodes were lost with it": (
        "a request is refused for {seconds}: {nodes} were lost while they worked on it"
    ),
    "overload begins": "overload: requests are refused ({reason})",
    "overload is over": "overload is over: {refused} requests were refused in {for_s}",
    EXPIRES: "this proxy's certificate expires in {left_s}: {what}",
    EXPIRED: "this proxy's certificate has expired: {what}",
    "configuration differs": "{node} has another cluster.toml than this proxy",
    "path unreachable": "{node} cannot be reached over {path}: {reason}",
    "no bulk connection": "{node} has no connection for large requests over {path}: {reason}",
    "configuration loaded": "a new configuration is in use: {nodes_added} nodes more, {nodes_removed} fewer",
    "settings need a restart": "{settings}: {what}",
    STOOD_STILL: "this proxy stood still for {for_s}: {what}",
    "ready": "this proxy has started",
    "a worker has ended": "worker {worker} has ended (exit code {code}) and is started again",
    "a worker cannot be started": "worker {worker} cannot be started: {reason}",
    "a worker is ended by force": "worker {worker} is ended by force: {reason}",
    "a worker is replaced": "worker {worker} is replaced: {reason}",
    "a worker has another version": "worker {worker} has another version than its parent: {what}",
}
"""Fixed words -> sentence; fields in seconds are shown with their unit."""
_SECONDS: Final = ("left_s", "mean_s", "others_s", "for_s", "seconds")


def sentence(text: str, fields: Mapping[str, object]) -> str:
    """Return the sentence; the fixed words themselves where there is no row."""
    form = SENTENCES.get(text)
    if form is None:
        return text
    return form.format_map({name: _shown(name, value) for name, value in fields.items()})


def _shown(name: str, value: object) -> object:
    if name in _SECONDS and isinstance(value, int | float):
        return f"{1000 * value:.0f} ms" if value < 1 else duration_words(value)
    return value

"""hsmctl master-key: rotation of the master key. No secret crosses the wire: nodes have their keys from their host."""

import time
from typing import Any, Final

import click

import hsm_client.sync
from hsm_wire.administration import MasterKeyStatus, Report
from hsm_wire.messages import Empty, StatusResult
from hsm_wire.opcodes import Opcode
from hsmctl.failures import CommandError
from hsmctl.output import pairs
from hsmctl.overview.assurance import SOFTWARE
from hsmctl.printable import printable
from hsmctl.session import Session, cluster_options

POLL_INTERVAL_S: Final = 0.5
"""Between two looks at a rotation: nodes take a second to notice that another one has begun it."""
NOTE_INTERVAL_S: Final = 5.0
"""Between two lines about its progress."""
NOTICE_LOOKS: Final = 10
"""Looks without --wait until a node answers that has noticed: five seconds, of which one is enough."""


@click.group("master-key")
def master_key() -> None:
    """Rotate the master key, which all keys of the cluster are wrapped under.

    Example: hsmctl master-key status
    """


@master_key.command()
@cluster_options
def status(session: Session) -> None:
    """Show which master keys the nodes hold and how many records are under an old one.

    A fingerprint tells keys apart and says nothing of them. A node that shows none has said nothing yet, as all do in a
    cluster whose master key was never rotated.

    Example: hsmctl master-key status --json
    """
    with session.cluster() as cluster:
        seen = _status(cluster)
    if not session.out.as_json:
        session.out.result(None, _text(seen))
    columns = ["node", "holds", "seals under"]
    rows = [[node.node, " ".join(node.held) or "-", node.used or "-"] for node in seen.nodes]
    session.out.table(_document(seen), columns, rows)


@master_key.command()
@click.option("--wait", is_flag=True, help="Return when no record is under the old master key any more.")
@cluster_options
def rotate(session: Session, wait: bool) -> None:
    """Take the next master key into use and put every record under it, in the background.

    Refused while a node does not hold it, and where one has the master key in a device, which takes no next one. Sent
    again it says how far the rotation is. Clients notice nothing.

    Example: hsmctl master-key rotate --wait
    """
    with session.cluster() as cluster:
        _check_devices(cluster.status())
        report = cluster.request(Opcode.ROTATE_MASTER_KEY, Empty(), Report)
        seen = _noticed(cluster)
        if not wait:
            more = [] if _is_over(seen) else ["`hsmctl master-key status` says when the old one may go"]
            session.out.result(_document(seen), "\n".join(map(printable, [*report.lines, *more])))
            return
        for line in report.lines:
            session.out.note(line)
        seen = _settled(session, cluster, seen)
    text = (
        f"master key version {seen.version} ({printable(seen.fingerprint)}): {seen.records} records, 0 left under "
        "another one; make it master_key on every node and remove next_master_key"
    )
    session.out.result(_document(seen), text)


def _check_devices(seen: StatusResult) -> None:
    """Refuse what a device makes impossible, as far as a proxy sees which nodes have one."""
    devices = [node.name for node in seen.nodes if node.backend not in ("", SOFTWARE)]
    if not devices:
        return
    where = (
        f"{', '.join(map(printable, devices))}: the master key is in a device, which brings no key under another one"
    )
    if len(devices) == len(seen.nodes):
        what = "where somebody may know it, make new keys in a cluster with another master key: docs/ceremony.md"
    else:
        what = "take those nodes out of cluster.toml first, or make new keys in another cluster: docs/master-key.md"
    raise CommandError(f"{where}, so it is not rotated; {what}")


def _settled(session: Session, cluster: hsm_client.sync.Hsm, seen: MasterKeyStatus) -> MasterKeyStatus:
    """Return the state when the rotation is over; nodes that have not noticed it yet are asked again."""
    version = seen.version
    next_note_s = time.monotonic() + NOTE_INTERVAL_S
    while not (_is_over(seen) and seen.version >= version):
        time.sleep(POLL_INTERVAL_S)
        seen = _status(cluster)
        version = max(version, seen.version)
        if time.monotonic() >= next_note_s:
            next_note_s += NOTE_INTERVAL_S
            behind = [node.node for node in seen.nodes if node.used != seen.fingerprint]
            others = f"; waiting for {', '.join(behind)}" if behind else ""
            session.out.note(f"{seen.left} of {seen.records} records are left{others}")
    return seen


def _is_over(seen: MasterKeyStatus) -> bool:
    """Whether the rotation is: a node that still has a next key has not noticed it, and speaks of the one before."""
    return seen.settled and not seen.next_fingerprint


def _noticed(cluster: hsm_client.sync.Hsm) -> MasterKeyStatus:
    """Return the state as a node sees it that has noticed the rotation, if one answers soon."""
    seen = _status(cluster)
    for _ in range(NOTICE_LOOKS - 1):
        if not seen.next_fingerprint:
            break
        time.sleep(POLL_INTERVAL_S)
        seen = _status(cluster)
    return seen


def _status(cluster: hsm_client.sync.Hsm) -> MasterKeyStatus:
    return cluster.request(Opcode.MASTER_KEY_STATUS, Empty(), MasterKeyStatus)


def _text(seen: MasterKeyStatus) -> str:
    rotated = any(node.held for node in seen.nodes)
    fields: dict[str, object] = {
        "master key": f"version {seen.version}, fingerprint {seen.fingerprint}",
        "next": seen.next_fingerprint or "none",
        "records": f"{seen.records}, {seen.left} left under another master key",
    }
    if seen.refused:
        fields["refused"] = f"{seen.refused} records must not be used and stay as they are; see the nodes' logs"
    if rotated:
        fields["settled"] = _settled_text(seen)
    return pairs(fields)


def _settled_text(seen: MasterKeyStatus) -> str:
    if not seen.settled:
        return "no: keep the old master key on every node"
    return "yes, and the next master key is not in use: keep this one" if seen.next_fingerprint else "yes"


def _document(seen: MasterKeyStatus) -> dict[str, Any]:
    return {
        "version": seen.version,
        "fingerprint": seen.fingerprint,
        "next_fingerprint": seen.next_fingerprint or None,
        "records": seen.records,
        "left": seen.left,
        "refused": seen.refused,
        "settled": seen.settled,
        "nodes": [{"node": node.node, "held": list(node.held), "used": node.used or None} for node in seen.nodes],
    }

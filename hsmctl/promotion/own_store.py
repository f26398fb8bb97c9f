"""The member that is left becomes a store of its own: saved, restored under another token, put in its old place.

Theory (design.md, section 6). A member without the others answers one question still: its snapshot; one that was
started without them answers none, and a copy of its data is asked. Restored, that is a cluster of one with another id,
so no old member ever mixes with it. Revisions go on a million above the old ones, and all below is compacted, so nobody
who followed the old store takes a new change for one that he has seen. The old data stay beside: nothing is deleted.
Old and new change places in one step, for a member that starts without data is a new one of the old cluster, and has
nothing to promote. What is about to change places is noted first, so a run that follows one that was killed knows which
is which, and makes no second one.
"""

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from hsmctl.failures import CommandError
from hsmctl.files import sync_folder
from hsmctl.promotion.cold_copy import save_copy
from hsmctl.promotion.exchange import exchange
from hsmctl.promotion.host import Host, LocalStore
from hsmctl.promotion.member_file import MemberFile, read_member_file
from hsmctl.promotion.programs import etcdctl, run, unused
from hsmctl.promotion.work_folder import WorkFolder, check_room, clear, remove, work_folder

REVISIONS: Final = 1_000_000
"""By which the new store's are above the old one's: more than anybody can have seen that the snapshot lacks."""
SNAPSHOT: Final = "snapshot"
"""In the work folder."""
PROBE_S: Final = 5
"""For a member to say how it is: it does that at once, or was started without the others."""


class Made(NamedTuple):
    """A store that was made."""

    epoch: int
    """That it was to have."""
    kept: Path
    """Where the old data are."""


def make_own_store(host: Host, store: LocalStore, cluster: str, epoch: int) -> Path:
    """Make it, and start it; return where the old data are.

    Args:
        host: of the member.
        store: how it is reached.
        cluster: its name.
        epoch: that it is to have.

    Raises:
        CommandError: that failed; the line says what is there now.
    """
    member = read_member_file(host.member_file)
    try:
        with work_folder(member.data) as work:
            clear(work)  # `settle` came first: what is left there is of no use.
            check_room(member.data)
            try:
                _save(host, store, member, work)
                _restore(host, member, work, f"{cluster}-epoch-{epoch}")
                host.stop_member()
                work.write_plan(epoch)
                exchange(work.new, member.data)
                kept = _keep(member, work, epoch)
            finally:
                if work.exchanged(member.data) is None:
                    remove(work, member.data)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}; the old data are in {member.data.parent}") from None
    host.start_member()
    return kept


def settle(host: Host) -> None:
    """End what a run that was killed has begun: the old data get their name, and what else it left goes.

    Raises:
        CommandError: that failed.
    """
    try:
        member = read_member_file(host.member_file)
    except CommandError:
        return  # No member is here, so none was made a store of its own.
    if not member.data.parent.is_dir():
        return
    try:
        with work_folder(member.data) as work:
            plan = work.exchanged(member.data)
            if plan is not None:
                _keep(member, work, plan.epoch)
            remove(work, member.data)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}; run this as root") from None


def made_before(host: Host) -> Made | None:
    """Return the last store that was made here, by this run or an earlier one; None: none was."""
    try:
        data = read_member_file(host.member_file).data
    except CommandError:
        return None
    name = re.compile(re.escape(data.name) + r"\.before-epoch-([0-9]{1,18})(\.([0-9]{1,9}))?")
    there = data.parent.iterdir() if data.parent.is_dir() else ()
    found = [(int(match[1]), int(match[3] or 1), path) for path in there if (match := name.fullmatch(path.name))]
    if not found:
        return None
    epoch, _, kept = max(found)
    return Made(epoch, kept)


def _keep(member: MemberFile, work: WorkFolder, epoch: int) -> Path:
    """Give the old data, which have changed places, the name under which they are kept."""
    kept = unused(member.data.parent, f"{member.data.name}.before-epoch-{epoch}")
    work.new.rename(kept)
    sync_folder(member.data.parent)
    return kept


def _save(host: Host, store: LocalStore, member: MemberFile, work: WorkFolder) -> None:
    snapshot = work.path / SNAPSHOT
    if _answers(host, store):
        with_it = "nothing has changed; look into the member's log, then run this again"
        live = etcdctl(host, store, "snapshot", "save", str(snapshot))
        run(live, f"the member {store.endpoint} gives no snapshot", with_it)
        return
    host.stop_member()
    save_copy(host, member, work.path, snapshot)


def _answers(host: Host, store: LocalStore) -> bool:
    """Whether the member serves: one that was started without the others takes connections and does not."""
    try:
        run(etcdctl(host, store, f"--command-timeout={PROBE_S}s", "endpoint", "status"), "", "")
    except CommandError:
        return False
    return True


def _restore(host: Host, member: MemberFile, work: WorkFolder, token: str) -> None:
    snapshot = work.path / SNAPSHOT
    command = [str(host.program("etcdutl")), "snapshot", "restore", str(snapshot), "--name", member.name]
    command += ["--initial-cluster", ",".join(f"{member.name}={url}" for url in member.peer_urls.split(","))]
    command += ["--initial-cluster-token", token, "--initial-advertise-peer-urls", member.peer_urls]
    command += ["--data-dir", str(work.new), "--bump-revision", str(REVISIONS), "--mark-compacted"]
    run(command, "the snapshot could not be restored", "nothing has changed; look at the disk")
    owner = member.data.stat()
    for path in (work.new, *work.new.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    work.new.chmod(0o700)

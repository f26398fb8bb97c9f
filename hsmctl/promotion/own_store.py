"""The member that is left becomes a store of its own: saved, restored under another token, put in its old place.

Theory (design.md, section 6). A member without the others answers one question still: its snapshot. Restored, that is
a cluster of one with another id, so no old member ever mixes with it. Revisions go on a million above the old ones, and
all below is compacted, so nobody who followed the old store takes a new change for one that he has seen. The old data
stay beside: nothing is deleted. Old and new change places in one step, for a member that starts without data is a new
one of the old cluster, and has nothing to promote.
"""

import os
import re
import shutil
from pathlib import Path
from typing import Final

from hsmctl.failures import CommandError
from hsmctl.promotion.exchange import exchange
from hsmctl.promotion.host import Host, LocalStore
from hsmctl.promotion.member_file import MemberFile, read_member_file
from hsmctl.promotion.programs import etcdctl, run, unused

REVISIONS: Final = 1_000_000
"""By which the new store's are above the old one's: more than anybody can have seen that the snapshot lacks."""


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
    parent, token = member.data.parent, f"{cluster}-epoch-{epoch}"
    snapshot, restored = parent / f"{token}.snapshot", parent / f"{token}.new"
    part = snapshot.with_name(f"{snapshot.name}.part")  # As etcdctl calls it until it is whole.
    kept = unused(parent, f"{member.data.name}.before-epoch-{epoch}")
    _remove(snapshot, part, restored)
    try:
        _save(host, store, snapshot)
        _restore(host, member, snapshot, restored, token)
        host.stop_member()
        restored.rename(kept)
        exchange(kept, member.data)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}; the old data are in {parent}") from None
    finally:
        _remove(snapshot, part, restored)
    host.start_member()
    return kept


def unfinished(host: Host, epoch: int) -> int:
    """Return the epoch that an earlier run was to give a store which it made, and that is still to come; 0: none is.

    Args:
        host: of the member.
        epoch: that its store has.
    """
    try:
        data = read_member_file(host.member_file).data
    except CommandError:
        return 0  # No member is here, so none was made a store of its own.
    kept = re.compile(re.escape(data.name) + r"\.before-epoch-([0-9]{1,18})(\.[0-9]+)?")
    made = [int(found[1]) for path in data.parent.iterdir() if (found := kept.fullmatch(path.name))]
    return max((number for number in made if number > epoch), default=0)


def _save(host: Host, store: LocalStore, snapshot: Path) -> None:
    with_it = "start the store's member of this site, then run this again"
    run(
        etcdctl(host, store, "snapshot", "save", str(snapshot)),
        f"the member {store.endpoint} gives no snapshot",
        with_it,
    )


def _restore(host: Host, member: MemberFile, snapshot: Path, restored: Path, token: str) -> None:
    command = [str(host.program("etcdutl")), "snapshot", "restore", str(snapshot), "--name", member.name]
    command += ["--initial-cluster", ",".join(f"{member.name}={url}" for url in member.peer_urls.split(","))]
    command += ["--initial-cluster-token", token, "--initial-advertise-peer-urls", member.peer_urls]
    command += ["--data-dir", str(restored), "--bump-revision", str(REVISIONS), "--mark-compacted"]
    run(command, "the snapshot could not be restored", "nothing has changed; look at the disk")
    owner = member.data.stat()
    for path in (restored, *restored.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    restored.chmod(0o700)


def _remove(*paths: Path) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

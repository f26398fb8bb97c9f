"""The steps of a return: the member of an old site becomes a new one of the store that went on, its nodes follow that.

Theory. What the old member has is of the store that was left behind, so nothing of it is used: it is put aside, and the
member gets everything from the others, without a vote until it has it. The nodes' memory of the old store goes aside
too: what was joined is written otherwise than they have seen it, and they would refuse it. The epoch that they have
seen stays. Each step looks whether it was done, so a run that was interrupted is run again: what cannot be asked then
was noted before the first step.

What only the old member has is out of sight then, so its node is asked first whether `hsmctl dr reconcile` would still
find something.

A host that has nodes and no member of the store has only their part of that to do.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from hsm_client.errors import HsmError
from hsm_wire.administration import DrDemote, DrReturn
from hsm_wire.messages import Empty, InfoResult
from hsm_wire.opcodes import Opcode
from hsmctl.failures import USAGE, CommandError
from hsmctl.files import sync_folder
from hsmctl.local_node import local_node
from hsmctl.promotion.host import Host, LocalStore, StoreTls
from hsmctl.promotion.member_file import MemberFile, join_existing, read_member_file
from hsmctl.promotion.members import Member, Members
from hsmctl.promotion.programs import unused
from hsmctl.promotion.rejoin_notes import ASIDE, Note, RejoinNotes

_FORCED: Final = "`hsmctl dr rejoin --force` goes on without them"


class Rejoined(msgspec.Struct, frozen=True):
    """What was done."""

    cluster: str
    member: str
    kept: str
    """Where its old data are; empty where it had joined before."""
    seconds: float


class Rejoining:
    """One run of the command on a host of an old site."""

    def __init__(self, host: Host, note: Callable[[str], None], endpoint: str = "") -> None:
        """Do nothing yet; `endpoint`: a member of the store to join, empty: that of the DR site."""
        self._host = host
        self._note = note
        self._endpoint = endpoint
        self._file: MemberFile | None = None
        self._notes = RejoinNotes([socket.parent for socket in host.sockets])

    def look(self) -> str:
        """Return the cluster's name, unless this host cannot come back.

        Raises:
            CommandError, HsmError: it cannot; the line says why.
        """
        if not self._endpoint and not self._host.recovery:
            text = (
                "the nodes' files name no dr_endpoint; without a DR site nothing rejoins, else name its member by --to"
            )
            raise CommandError(text, USAGE)
        if self._host.member_file.exists():
            self._file = read_member_file(self._host.member_file)
            if not _endpoint(self._file):
                text = f"{self._host.member_file}: advertise-client-urls must be there, on a line of its own"
                raise CommandError(text, USAGE)
        own, noted = self._own(), self._notes.found
        if noted is not None and (own is not None or self._file is None):
            return noted.cluster  # A run was interrupted that had looked; nobody here can be asked before it ends.
        if own is not None:
            self._host.start_nodes()  # Somebody may have stopped them.
        with local_node(self._host.sockets[0]) as node:
            cluster = node.request(Opcode.INFO, Empty(), InfoResult).cluster
            seen = node.request(Opcode.DR_DEMOTE, DrDemote(cluster, look=True), DrReturn)
        if seen.seen_epoch > seen.epoch or (own is not None and (own.is_learner or not own.name)):
            return cluster
        if own is not None:
            raise CommandError(
                f"{own.name} is a member of the store of epoch {seen.epoch} already; there is nothing to do"
            )
        raise CommandError(
            f"{seen.node} follows epoch {seen.epoch} and has seen no higher one: no promotion has left it behind; if "
            "there was one, let it reach the DR site's member first"
        )

    def check_joined(self, cluster: str) -> None:
        """Refuse while the old side has something that the promoted one lacks, after `look`.

        A host without a member has no data to put aside, and who is a member of the promoted store has done it.

        Raises:
            CommandError: it has, or nobody can say; the line says what to do.
        """
        if self._file is None or self._own() is not None:
            return
        try:
            with local_node(self._host.sockets[0]) as node:
                unjoined = node.request(Opcode.DR_DEMOTE, DrDemote(cluster, look=True, compare=True), DrReturn).unjoined
        except HsmError as error:
            raise CommandError(
                f"nobody can say whether the old side has something that the promoted one lacks ({error.detail}); if "
                f"`hsmctl dr reconcile` at the DR site finds nothing more to import, {_FORCED}"
            ) from None
        if unjoined:
            raise CommandError(
                f"{unjoined} keys or objects are on the old side alone, or stricter there; run `hsmctl dr reconcile "
                f"--apply` on a host of the DR site first; if they are to be given up, {_FORCED}"
            )

    def run(self, cluster: str) -> Rejoined:
        """Come back to the promoted store of the cluster of that name, after `look`.

        Raises:
            CommandError: that failed; the line says what to do.
        """
        begun = time.monotonic()
        noted = self._begun(cluster)
        if self._file is not None:
            self._join(self._file, Path(noted.kept))
        self._host.stop_nodes()
        self._note("nodes of this host follow the promoted store")
        self._notes.forget()
        self._host.start_nodes()
        self._notes.end()
        kept = noted.kept if noted.kept and Path(noted.kept).exists() else ""
        name = "" if self._file is None else self._file.name
        return Rejoined(cluster, name, kept, round(time.monotonic() - begun, 1))

    def _begun(self, cluster: str) -> Note:
        """Return what is noted for a later run: of one that was interrupted, else of this one."""
        own, noted = self._own(), self._notes.found
        if noted is None or (own is None and self._file is not None):
            data = None if self._file is None else self._file.data
            kept = "" if data is None else str(unused(data.parent, f"{data.name}{ASIDE}"))
            noted = Note(cluster, kept)
        self._notes.begin(noted)
        return noted

    def _join(self, file: MemberFile, kept: Path) -> None:
        """Make the member a new one of the promoted store, and have its old data at `kept`."""
        own = self._own()
        if own is None:
            self._members.add(file.name, file.peer_urls)
            own = self._own()
        if own is None:
            raise CommandError(f"{file.name} was added and is not listed; run this again")
        if not own.name:
            self._note("the member joins the promoted store without its old data")
            self._host.stop_nodes()
            self._host.stop_member()
            # First the file: whoever starts the member without data has a new one of the promoted store, and no empty
            # one of the old store that says it were the one it was.
            join_existing(self._host.member_file, self._initial_cluster(file.name))
            _put_aside(file.data, kept)
        self._host.start_member()
        if own.is_learner:
            self._members.promote(own)
        # Nodes that find it silent would follow the next member, which may be one of the old store still.
        Members(self._host, LocalStore(_endpoint(file), self._tls)).await_answer()

    @property
    def _members(self) -> Members:
        return Members(self._host, LocalStore(self._endpoint or self._host.recovery, self._tls))

    @property
    def _tls(self) -> StoreTls | None:
        known = self._host.store
        return None if known is None else known.tls

    def _own(self) -> Member | None:
        """Return this host's member of the promoted store; None: it has none there."""
        urls = set(self._file.peer_urls.split(",")) if self._file is not None else set[str]()
        return next((member for member in self._members.all() if urls & set(member.peer_urls)), None)

    def _initial_cluster(self, own: str) -> str:
        """Return all members as etcd wants them: the one that was never started has no name there yet."""
        named = [(member.name or own, url) for member in self._members.all() for url in member.peer_urls]
        return ",".join(f"{name}={url}" for name, url in named)


def _endpoint(file: MemberFile) -> str:
    """Return where the member serves nodes."""
    return urlsplit(file.client_urls.split(",")[0].strip()).netloc


def _put_aside(data: Path, kept: Path) -> None:
    """Once: what is there after that is of the promoted store."""
    if kept.exists() or not data.exists():
        return
    try:
        data.rename(kept)
        sync_folder(data.parent)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}; run this as root") from None

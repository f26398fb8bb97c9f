"""The steps of a return, before members that are listed as a test says."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from fake_host import FakeHost

from hsm_client.errors import make_error
from hsm_wire.administration import DrReturn
from hsm_wire.messages import InfoResult
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsmctl.failures import CommandError
from hsmctl.promotion import rejoin_notes
from hsmctl.promotion import rejoining as module
from hsmctl.promotion.members import Member
from hsmctl.promotion.rejoining import Rejoined, Rejoining

OWN = "https://127.0.0.1:2380"
ALPS = Member(1, ["https://127.0.0.9:2380"], "etcd-alps")


class FakeMembers:
    """Members of the promoted store."""

    def __init__(self) -> None:
        self.known = [ALPS]
        self.steps: list[str] = []
        self.asked: list[str] = []
        self.answered = 0

    def all(self) -> list[Member]:
        return self.known

    def add(self, name: str, peer_urls: str) -> None:
        self.steps.append(f"add {name}")
        self.known.append(Member(2, [peer_urls], "", is_learner=True))

    def await_answer(self) -> None:
        self.answered += 1

    def promote(self, member: Member) -> None:
        self.steps.append(f"promote {member.id}")


class Site:
    """A host of an old site, its node, and the members of the promoted store."""

    def __init__(self, folder: Path) -> None:
        self.host = FakeHost(folder)
        self.host.recovery = "127.0.0.9:2379"
        self.members = FakeMembers()
        self.seen = DrReturn("node-1", "zurich", 1, 2, promoted=False)
        self.compared: int | Exception = 0
        for name in ("seen.db", "seen.db-wal", "store.json"):
            (folder / name).write_text(name)

    def request(self, opcode: int, body: Any, _form: type) -> Any:
        if opcode == Opcode.INFO:
            return InfoResult("dev", "node-1", "", [], [])
        if not body.compare:
            return self.seen
        if isinstance(self.compared, Exception):
            raise self.compared
        return msgspec.structs.replace(self.seen, unjoined=self.compared)

    def check(self) -> None:
        rejoining = Rejoining(self.host, lambda _text: None)
        rejoining.check_joined(rejoining.look())

    def rejoin(self, endpoint: str = "") -> Rejoined:
        rejoining = Rejoining(self.host, lambda _text: None, endpoint)
        return rejoining.run(rejoining.look())


def connect(made: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the steps ask it."""

    @contextlib.contextmanager
    def connected(_path: Path) -> Iterator[Site]:
        yield made

    def members(_host: FakeHost, store: Any) -> FakeMembers:
        made.members.asked.append(store.endpoint)
        return made.members

    monkeypatch.setattr(module, "local_node", connected)
    monkeypatch.setattr(module, "Members", members)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path)
    connect(made, monkeypatch)
    return made


def test_a_member_joins_without_its_data_and_its_nodes_without_what_they_have_seen(site: Site) -> None:
    done = site.rejoin()
    host = site.host
    assert (done.cluster, done.member, Path(done.kept).name) == ("dev", "etcd-alps", "data.before-rejoin")
    assert host.steps == ["stop nodes", "stop member", "start member", "stop nodes", "start nodes"]
    assert site.members.steps == ["add etcd-alps", "promote 2"]
    assert (Path(done.kept) / "old").read_text() == "what it was"
    said = host.member_file.read_text()
    assert f"initial-cluster: etcd-alps={ALPS.peer_urls[0]},etcd-alps={OWN}\n" in said
    assert "initial-cluster-state: existing\n" in said
    left = sorted(path.name for path in host.folder.iterdir() if path.name.startswith(("seen", "store")))
    assert left == ["seen.db-wal.before-rejoin", "seen.db.before-rejoin", "store.json"]
    assert (site.members.asked[0], site.members.asked[-1]) == ("127.0.0.9:2379", "127.0.0.1:2379")
    assert site.members.answered == 1, "nodes begin when the own member serves them"


@pytest.mark.parametrize(
    ("own", "steps", "asked"),
    [
        (Member(2, [OWN], "", is_learner=True), ["stop nodes", "stop member", "start member"], ["promote 2"]),
        (Member(2, [OWN], "etcd-alps", is_learner=True), ["start member"], ["promote 2"]),
        (Member(2, [OWN], "etcd-alps"), ["start member"], []),
    ],
)
def test_a_run_that_was_interrupted_goes_on_where_it_was(
    site: Site, own: Member, steps: list[str], asked: list[str]
) -> None:
    site.members.known.append(own)
    site.rejoin()
    assert site.host.steps == ["start nodes", *steps, "stop nodes", "start nodes"]
    assert site.members.steps == asked


def test_a_host_without_a_member_has_its_nodes_follow_the_promoted_store(site: Site) -> None:
    site.host.member_file.unlink()
    done = site.rejoin("127.0.0.8:2379")
    assert (done.member, done.kept, site.host.steps) == ("", "", ["stop nodes", "start nodes"])
    assert (site.members.steps, set(site.members.asked)) == ([], {"127.0.0.8:2379"})


def test_what_was_not_left_behind_stays_as_it_is(site: Site) -> None:
    site.seen = DrReturn("node-1", "zurich", 2, 2, promoted=True)
    with pytest.raises(CommandError, match="has seen no higher one: no promotion has left it behind"):
        site.rejoin()
    file, text = site.host.member_file, site.host.member_file.read_text()
    file.write_text(text.replace("advertise-client-urls: https", "other: https"))
    with pytest.raises(CommandError, match="advertise-client-urls must be there"):
        site.rejoin()
    file.write_text(text)
    site.members.known.append(Member(2, [OWN], "etcd-alps"))
    with pytest.raises(CommandError, match="etcd-alps is a member of the store of epoch 2 already"):
        site.rejoin()
    site.host.recovery = ""
    with pytest.raises(CommandError, match="name no dr_endpoint"):
        site.rejoin()
    assert (site.host.steps, site.members.steps) == (["start nodes"], [])


STEPS: Final = 15
"""That one whole run has."""


class Killed(BaseException):
    """The process ended: nothing of it handles that."""


class Killer:
    """Ends a run after so many of the steps that change something."""

    def __init__(self, after: int) -> None:
        self.left = after

    def watch(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def step(*arguments: Any) -> Any:
            done = real(*arguments)
            self.left -= 1
            if self.left == 0:
                raise Killed
            return done

        monkeypatch.setattr(owner, name, step)


class Returning(Site):
    """The same, and what each step has for a consequence."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, killer: Killer) -> None:
        super().__init__(folder)
        self.nodes_run = True
        self.second = folder / "node-2"
        self.second.mkdir()
        (self.second / "seen.db").write_text("of the second node")
        self.host.sockets.append(self.second / "admin.sock")
        for owner, name, does in (
            (self.host, "start_nodes", self._start_nodes),
            (self.host, "stop_nodes", self._stop_nodes),
            (self.host, "start_member", self._start_member),
            (self.members, "promote", self._promote),
        ):
            monkeypatch.setattr(owner, name, does)
        for owner, name in (
            *((self.host, name) for name in ("stop_nodes", "stop_member", "start_member", "start_nodes")),
            (self.members, "add"),
            (self.members, "promote"),
            (module, "join_existing"),
            (module, "_put_aside"),
            (rejoin_notes, "_put_seen_aside"),
            (rejoin_notes, "_write"),
        ):
            killer.watch(monkeypatch, owner, name)

    def request(self, opcode: int, body: Any, form: type) -> Any:
        if not self.nodes_run:
            raise CommandError("no node answers there")
        return super().request(opcode, body, form)

    @property
    def own(self) -> list[Member]:
        return self.members.known[1:]

    def _stop_nodes(self) -> None:
        self.nodes_run = False

    def _start_nodes(self) -> None:
        """Their store has no majority while the member is on its way."""
        if any(member.is_learner for member in self.own):
            raise CommandError("node-1 ended at its start")
        self.nodes_run = True
        if self.own:
            self.seen = DrReturn("node-1", "zurich", 2, 2, promoted=True)
            (self.second / "seen.db").touch()

    def _start_member(self) -> None:
        self.host.data.mkdir(exist_ok=True)
        (self.host.data / "joined").touch()
        self.members.known[1] = msgspec.structs.replace(self.own[0], name="etcd-alps")

    def _promote(self, _member: Member) -> None:
        self.members.known[1] = msgspec.structs.replace(self.own[0], is_learner=False)


@pytest.mark.parametrize("steps", range(1, STEPS + 1))
def test_a_run_that_was_killed_after_any_step_is_run_again_and_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    killer = Killer(steps)
    site = Returning(tmp_path, monkeypatch, killer)
    connect(site, monkeypatch)
    with pytest.raises(Killed):
        site.rejoin()
    done = site.rejoin()
    assert (Path(done.kept).name, site.nodes_run) == ("data.before-rejoin", True)
    assert [path.name for path in Path(done.kept).iterdir()] == ["old"]
    assert [path.name for path in site.host.data.iterdir()] == ["joined"]
    assert site.own == [Member(2, [OWN], "etcd-alps")]
    assert sorted(path.name for path in tmp_path.glob("seen*")) == [
        "seen.db-wal.before-rejoin",
        "seen.db.before-rejoin",
    ]
    assert (site.second / "seen.db.before-rejoin").read_text() == "of the second node"
    assert not list(tmp_path.rglob("rejoin.json"))
    with pytest.raises(CommandError, match="already; there is nothing to do"):
        site.rejoin()


def test_what_only_the_old_side_has_is_not_put_aside_unless_somebody_gives_it_up(site: Site) -> None:
    site.check()
    site.compared = 3
    with pytest.raises(
        CommandError, match="3 keys or objects are on the old side alone.*dr reconcile --apply.*--force"
    ):
        site.check()
    site.compared = make_error(Status.BAD_REQUEST, "no member of each side answers")
    with pytest.raises(CommandError, match=r"nobody can say .*\(no member of each side answers\).*--force"):
        site.check()


def test_who_has_no_data_to_put_aside_is_not_asked(site: Site) -> None:
    site.compared = 3
    site.members.known.append(Member(2, [OWN], "etcd-alps", is_learner=True))
    site.check()
    site.members.known.pop()
    site.host.member_file.unlink()
    site.check()

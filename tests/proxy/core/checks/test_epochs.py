"""Nothing from before a promotion that this proxy has seen is passed on."""

from hsm_wire.messages import Pong
from proxy.core.checks.epochs import Epochs
from proxy.core.nodes.node_table import Node
from proxy.core.notices import Notices

ID, OTHER = b"c" * 16, b"d" * 16


class Scene:
    """Three nodes, and what was kept."""

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, int]] = []
        self.wrong = ""
        self.notices = Notices()
        self.epochs = Epochs(self.notices)
        self.nodes = [Node(f"n{number}", "s", 1, [("a", f"h{number}:1")]) for number in range(3)]

    def keep(self, cluster_id: bytes, epoch: int) -> str:
        self.kept.append((cluster_id, epoch))
        return self.wrong

    def says(self, number: int, epoch: int, cluster_id: bytes = ID) -> list[str]:
        """A node says that; return whose state changed by it."""
        pong = Pong(b"b", 0, 1, 1, 0, cluster_id=cluster_id, epoch=epoch)
        return [node.name for node in self.epochs.take(self.nodes[number], pong)]

    @property
    def fenced(self) -> list[str]:
        return [node.name for node in self.nodes if node.fenced]


def test_a_higher_epoch_is_kept_before_all_nodes_of_a_lower_one_are_fenced() -> None:
    scene = Scene()
    scene.epochs.remember(b"", 0, scene.keep)
    assert [scene.says(number, 1) for number in range(3)] == [[], [], []]
    assert (scene.kept, scene.notices.take()) == ([(ID, 1)], [])
    assert scene.says(2, 2) == ["n0", "n1"]
    assert (scene.kept[-1], scene.fenced) == ((ID, 2), ["n0", "n1"])
    assert "epoch 1, and epoch 2 was seen" in scene.nodes[0].fenced
    assert [notice.text for notice in scene.notices.take()] == ["the cluster has a new epoch"]
    assert scene.says(0, 1) == []
    assert scene.says(0, 2) == ["n0"]
    assert scene.fenced == ["n1"]
    assert len(scene.kept) == 2


def test_a_node_that_follows_no_store_or_is_gone_is_not_judged() -> None:
    scene = Scene()
    scene.says(0, 1)
    scene.says(1, 2)
    assert scene.fenced == ["n0"]
    assert scene.says(0, 0, b"") == ["n0"]
    scene.says(0, 1)
    scene.epochs.forget(scene.nodes[0])
    scene.says(1, 3)
    assert scene.fenced == ["n0"]  # As it was; it is in nobody's table any more.


def test_what_a_restart_remembers_fences_from_the_first_answer_on() -> None:
    scene = Scene()
    scene.epochs.remember(ID, 2, scene.keep)
    assert scene.says(0, 1) == ["n0"]
    assert scene.says(1, 9, OTHER) == ["n1"]
    assert "another one than this proxy has seen" in scene.nodes[1].fenced
    assert (scene.says(2, 2), scene.kept) == ([], [])


def test_without_a_memory_two_stores_are_not_judged() -> None:
    scene = Scene()
    scene.says(0, 1)
    scene.says(1, 2, OTHER)
    assert (scene.fenced, scene.epochs.epoch) == ([], 1)


def test_a_disk_that_does_not_take_it_is_said_and_the_nodes_are_fenced_all_the_same() -> None:
    scene = Scene()
    scene.wrong = "no space"
    scene.epochs.remember(ID, 1, scene.keep)
    scene.says(0, 1)
    scene.says(1, 2)
    assert scene.fenced == ["n0"]
    assert [notice.text for notice in scene.notices.take()] == [
        "an epoch cannot be kept",
        "the cluster has a new epoch",
    ]

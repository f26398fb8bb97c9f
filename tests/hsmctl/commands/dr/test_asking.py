from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dr_answers import GOOD

from hsm_wire.opcodes import Opcode
from hsmctl.commands.dr import asking


def test_the_node_at_a_socket_is_asked_without_a_proxy(shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    class Node:
        def request(self, opcode: int, _body: Any, _form: Any) -> Any:
            asked.append(opcode)
            return GOOD

    @contextmanager
    def local_node(path: Path) -> Iterator[Node]:
        asked.append(path)
        yield Node()

    monkeypatch.setattr(asking, "local_node", local_node)
    socket = tmp_path / "admin.sock"
    assert "good" in shell.good("dr", "drill", "--socket", str(socket)).decode()
    assert asked == [socket, Opcode.DR_DRILL]


def test_a_socket_where_nobody_answers_is_said(shell, tmp_path: Path) -> None:
    assert "no node answers there" in shell.bad(3, "dr", "status", "--socket", str(tmp_path / "admin.sock"))

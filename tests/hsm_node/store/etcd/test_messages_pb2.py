"""The generated messages are those of messages.proto."""

import subprocess
import sys
from pathlib import Path

from hsm_node.store.etcd import messages_pb2

ROOT = Path(messages_pb2.__file__).parents[3]


def test_the_generated_module_is_current(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "tools" / "make_etcd_messages.py", tmp_path], check=True)
    for name in ("messages_pb2.py", "messages_pb2.pyi"):
        kept = Path(messages_pb2.__file__).with_name(name)
        assert kept.read_text() == (tmp_path / name).read_text(), f"{name} is old: run `make etcd-messages`"


def test_fields_that_are_not_ours_are_passed_over() -> None:
    # cluster_id 1, raft_term (4) 9: a field of etcd that the driver does not use.
    header = messages_pb2.Header.FromString(b"\x08\x01\x20\x09")
    assert header.cluster_id == 1

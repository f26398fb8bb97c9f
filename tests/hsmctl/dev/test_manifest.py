"""dev.json."""

import json
from pathlib import Path

from hsmctl.dev.manifest import Entry, Manifest, maybe_read

NODE = Entry("node-1", "local", 42, "127.0.0.1:1", "127.0.0.1:2")


def test_what_is_written_is_read_and_has_the_documented_fields(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    manifest = Manifest("/d/client.toml", [], [NODE])
    manifest.write(path)
    assert maybe_read(path) == manifest
    document = json.loads(path.read_bytes())
    assert set(document) == {"client_config", "proxies", "nodes", "store"}
    assert set(document["nodes"][0]) == {"name", "site", "pid", "address", "admin"}


def test_a_missing_or_damaged_file_is_none(tmp_path: Path) -> None:
    assert maybe_read(tmp_path / "none") is None
    (tmp_path / "bad").write_text("{")
    assert maybe_read(tmp_path / "bad") is None


def test_a_member_is_found_by_name() -> None:
    manifest = Manifest("c", [], [NODE])
    assert manifest.maybe_member("node-1") == NODE
    assert manifest.maybe_member("node-2") is None

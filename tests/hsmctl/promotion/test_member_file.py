"""What a member's configuration says."""

import json
from pathlib import Path

import pytest

from hsmctl.failures import CommandError
from hsmctl.promotion.member_file import MemberFile, join_existing, read_member_file

CLIENTS = "https://192.0.2.10:2379"
EXAMPLE = Path("deploy/examples/three-sites/etcd.yaml")


def test_the_example_and_the_file_of_a_development_cluster_are_understood(tmp_path: Path) -> None:
    example = MemberFile("etcd-zurich", Path("/var/lib/redoubt-etcd/data"), "https://192.0.2.10:2380", CLIENTS)
    assert read_member_file(EXAMPLE) == example
    as_json = tmp_path / "etcd.json"
    said = {"name": "a", "data-dir": "/d", "initial-advertise-peer-urls": "https://h:1", "pre-vote": True}
    as_json.write_text(json.dumps(said))
    assert read_member_file(as_json) == MemberFile("a", Path("/d"), "https://h:1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\n", "data-dir, initial-advertise-peer-urls must be there"),
        ("[]", "name, data-dir"),
        ("name: a\ndata-dir: /d\ninitial-advertise-peer-urls: https://h:1\nwal-dir: /w\n", "wal-dir is not supported"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "etcd.yaml"
    with pytest.raises(CommandError, match="cannot read"):
        read_member_file(file)
    file.write_text(text)
    with pytest.raises(CommandError, match=said):
        read_member_file(file)


def test_a_member_that_joins_others_says_so_and_all_else_of_its_file_stays(tmp_path: Path) -> None:
    plain = tmp_path / "etcd.yaml"
    plain.write_text(
        "# a comment\nname: a\ninitial-cluster: a=https://h:1  # all\ninitial-cluster-state: new\npre-vote: true\n"
    )
    plain.chmod(0o640)
    join_existing(plain, "a=https://h:1,b=https://h:2")
    assert plain.read_text() == (
        "# a comment\nname: a\ninitial-cluster: a=https://h:1,b=https://h:2\n"
        "initial-cluster-state: existing\npre-vote: true\n"
    )
    assert plain.stat().st_mode & 0o777 == 0o640
    as_json = tmp_path / "etcd.json"
    as_json.write_text(json.dumps({"name": "a", "pre-vote": True}))
    join_existing(as_json, "a=https://h:1")
    said = json.loads(as_json.read_text())
    assert said == {
        "name": "a", "pre-vote": True, "initial-cluster": "a=https://h:1", "initial-cluster-state": "existing"
    }  # fmt: skip
    with pytest.raises(CommandError, match="cannot write"):
        join_existing(tmp_path / "none", "a=https://h:1")

"""The measurements that are kept: a part that is measured again replaces its rows."""

from pathlib import Path

from bench import kept

OLD = {
    "workload": "64-sync",
    "size": 128,
    "tls": False,
    "peer": "redoubt",
    "build": "python",
    "cpu_us_per_request": 9.0,
}
OTHER = OLD | {"peer": "haproxy"}
STUDY = {"study": "client", "mode": "blocking", "cpu_us_per_request": 80.0}


def test_a_row_that_is_measured_again_replaces_the_old_one_and_others_stay() -> None:
    data = kept.merged(kept.Kept({}, []), {"cores": "1"}, [OLD, OTHER, STUDY], "2026-11-01")
    data = kept.merged(data, {"cores": "2"}, [OLD | {"cpu_us_per_request": 8.0}], "2026-11-02")
    costs = {(row.get("peer"), row["day"]): row["cpu_us_per_request"] for row in data.rows}
    assert costs == {("redoubt", "2026-11-02"): 8.0, ("haproxy", "2026-11-01"): 9.0, (None, "2026-11-01"): 80.0}
    assert data.machine == {"cores": "2"}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    data = kept.merged(kept.Kept({}, []), {"cores": "2"}, [STUDY, OLD], "2026-11-01")
    kept.save(data, tmp_path / "kept.json")
    found = kept.load(tmp_path / "kept.json")
    assert found.machine == data.machine
    assert sorted(map(str, found.rows)) == sorted(map(str, data.rows))


def test_where_nothing_was_kept_there_is_nothing(tmp_path: Path) -> None:
    assert kept.load(tmp_path / "none.json") == ({}, [])

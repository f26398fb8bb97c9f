"""`hsmctl dev --store etcd`: a whole data centre is lost on this machine, and its clients notice nothing."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from data_centres import BACKENDS, READY_S, Dev

from hsm_client import sync

MESSAGE = b"made in one data centre, used in another"


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[list[Dev]]:
    """Those that a test starts; all are stopped."""
    made: list[Dev] = []
    yield made
    for one in made:
        one.stop()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_data_centre_is_lost_and_comes_back_and_the_keys_are_kept_over_runs(
    dev: list[Dev], tmp_path: Path, count: Any, backend: str
) -> None:
    dev.append(Dev(tmp_path / "dc", backend))
    running = dev[0]
    config = running.folder / "client.toml"
    assert [store["site"] for store in running.manifest["store"]] == ["zurich", "geneva", "alps"]
    with sync.connect(config) as hsm:
        keys = [hsm.generate_key("ec-p256", label=f"key-{number}") for number in range(10)]
        lost = running.kill_site("zurich")
        assert sorted(lost) == ["etcd-zurich", "node-1", "node-2", "proxy-1"]
        for _ in range(10):
            for key in keys:
                key.verify(MESSAGE, key.sign(MESSAGE, "ecdsa-sha256"), "ecdsa-sha256")
        begun = time.monotonic()
        keys.append(hsm.generate_key("ec-p256", label="without zurich"))
        count("milliseconds until a key was made without a site", round(1000 * (time.monotonic() - begun)))
        for name in sorted(lost):
            running.again(name)
        for key in keys * 4:
            key.sign(MESSAGE, "ecdsa-sha256")
    count("milliseconds until data centres were ready", round(1000 * running.ready_s))
    assert running.ready_s < READY_S or running.in_tokens
    running.stop()
    dev[0] = Dev(tmp_path / "dc", backend)
    with sync.connect(config) as hsm:
        for key in keys:
            hsm.key(key.id).sign(MESSAGE, "ecdsa-sha256")

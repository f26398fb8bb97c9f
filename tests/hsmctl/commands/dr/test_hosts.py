"""Which host the commands act on."""

from pathlib import Path
from typing import Any

import pytest

from hsmctl.commands.dr import hosts
from hsmctl.session import Session


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "DevHost", lambda folder, site: (folder.path, site))
    monkeypatch.setattr(hosts, "SystemdHost", lambda: "this one")
    monkeypatch.delenv("HSM_CLIENT_CONFIG", raising=False)


def host(config: Path | None, folder: Path | None = None, site: str | None = None) -> Any:
    return hosts.host_of(Session(None if config is None else str(config), None, False, None), folder, site)


def test_a_development_cluster_is_found_by_its_folder_or_its_client_toml_else_it_is_this_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "client.toml"
    assert [host(None), host(config)] == ["this one"] * 2
    (tmp_path / "dev.json").touch()
    assert host(config) == (tmp_path, None)
    assert host(None, tmp_path, "zurich") == (tmp_path, "zurich")
    monkeypatch.setenv("HSM_CLIENT_CONFIG", str(config))
    assert host(None, None, "zurich") == (tmp_path, "zurich")

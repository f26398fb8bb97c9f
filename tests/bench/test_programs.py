"""Finding nginx with its stream module, however it was built."""

from pathlib import Path

import pytest

from bench import programs


@pytest.fixture
def nginx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name, the only one that can be found; the test says how it was built."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "nginx"
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(programs, "UNPACKED", tmp_path / "unpacked")
    monkeypatch.setattr(programs, "STREAM_MODULE", Path("modules/of/the/test.so"))
    return program


def built_with(program: Path, arguments: str) -> None:
    program.write_text(f"#!/bin/sh\necho 'configure arguments: {arguments}' >&2\n")
    program.chmod(0o755)


@pytest.mark.parametrize("arguments", ["--with-stream --with-threads", "--with-threads --with-stream"])
def test_a_built_in_stream_module_needs_no_loading(nginx: Path, arguments: str) -> None:
    built_with(nginx, arguments)
    assert programs.find_nginx() == programs.Nginx(str(nginx), None)


def test_a_stream_module_that_was_unpacked_is_loaded(nginx: Path) -> None:
    built_with(nginx, "--with-stream=dynamic --with-stream_ssl_module")
    module = programs.UNPACKED / programs.STREAM_MODULE
    module.parent.mkdir(parents=True)
    module.touch()
    assert programs.find_nginx() == programs.Nginx(str(nginx), str(module))


def test_an_nginx_without_the_module_is_of_no_use(nginx: Path) -> None:
    built_with(nginx, "--with-stream=dynamic --with-stream_ssl_module")
    assert programs.find_nginx() is None

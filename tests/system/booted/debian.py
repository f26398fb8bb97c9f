"""A Debian in a folder, to boot: made once and kept beside the user's other caches, copied for each run."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
SUITE: Final = "bookworm"
"""The oldest one that is supported: systemd 252, Python 3.11."""
PYTHON: Final = "3.11"
PACKAGES: Final = "systemd,systemd-sysv,dbus,python3,python3-venv"
MAKE_S: Final = 900.0
"""For debootstrap; it takes two minutes where the mirror is near."""
INSTALL_S: Final = 300.0
PROGRAMS: Final = "/opt/redoubt"
KEPT: Final = ("pyproject.toml", "README.md", "LICENSE")
NOT_KEPT: Final = shutil.ignore_patterns("__pycache__")


def cache() -> Path:
    """Return the folder of what is worth keeping from run to run; never inside the repository."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "redoubt"


@contextmanager
def only_one() -> Iterator[None]:
    """Wait until no other run boots a machine: two of them would be in the same control groups."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "booted.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def base() -> Path:
    """Return a Debian as debootstrap leaves it; made now if it was not there."""
    found = cache() / f"debian-{SUITE}"
    if not found.exists():
        partial = found.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(partial)]
        _run(command, MAKE_S)
        shutil.rmtree(partial / "var/cache/apt/archives")
        partial.rename(found)
    return found


def install(machine: Path, wheels: Path) -> None:
    """Make a copy of the base with the built wheel, its locked dependencies and the units, as docs/systemd.md says."""
    _run(["cp", "--archive", "--reflink=auto", str(base()), str(machine)], INSTALL_S)
    build(wheels)
    shutil.copytree(wheels, machine / "var/tmp/wheels")
    _run(["chroot", str(machine), "python3", "-m", "venv", PROGRAMS], INSTALL_S)
    pip = [f"{PROGRAMS}/bin/pip", "install", "--quiet", "--no-index", "--find-links", "/var/tmp/wheels", "redoubt"]
    _run(["chroot", str(machine), *pip], INSTALL_S)
    _run(["make", "--no-print-directory", "install-units", f"DESTDIR={machine}"], INSTALL_S)


def build(wheels: Path) -> None:
    """Put our wheel and those of the lock file into a folder. The repository stays as it is."""
    source = wheels.with_name("source")
    source.mkdir()
    for name in KEPT:
        shutil.copy(ROOT / name, source)
    for package in {path.parent for path in ROOT.glob("*/__init__.py")} - {ROOT / "bench"}:
        shutil.copytree(package, source / package.name, ignore=NOT_KEPT)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source)], INSTALL_S)
    locked = ["--require-hashes", "--only-binary", ":all:", "--requirement", str(ROOT / "requirements.lock")]
    _run([*pip, "download", "--python-version", PYTHON, *locked, "--dest", str(wheels)], INSTALL_S)


def _run(command: list[str], limit_s: float) -> None:
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"

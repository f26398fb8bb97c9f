"""Where etcd is on this machine: on PATH, unpacked in the cache of an earlier time, or to be had from Debian.

Debian 12's own etcd is too old (3.4), and installing a newer one would mix releases. So the newer package is downloaded
through a private apt folder, in which the machine's own source of Debian has the suite `sid`, and is unpacked into the
cache: nothing is installed, and nothing of the system's apt is touched. The signatures are checked as ever.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from hsmctl.failures import CommandError

LEAST_VERSION: Final = (3, 5, 30)
"""As the nodes ask for it."""
SUITE: Final = "sid"
PACKAGES: Final = ("etcd-server", "etcd-client")
VERSION_S: Final = 10.0
"""For a program to say its version."""
DOWNLOAD_S: Final = 180.0
"""For Debian's list of packages (11 MB) and the two packages (18 MB)."""
_SOURCES: Final = ("etc/apt/sources.list", "etc/apt/sources.list.d")
_HOW: Final = (
    "install etcd 3.5.30 or newer and put it on PATH (a newer Debian has it, or take a release of etcd-io/etcd)"
)


def find_etcd() -> Path | None:
    """Return a suitable etcd that is here already."""
    on_path = shutil.which("etcd")
    candidates = [Path(on_path)] if on_path else []
    return next((path for path in [*candidates, _cached()] if version_of(path) >= LEAST_VERSION), None)


def get_etcd() -> Path:
    """Return a suitable etcd, downloaded if need be.

    Raises:
        CommandError: there is none to be had; it says how to get one.
    """
    found = find_etcd()
    if found is not None:
        return found
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise CommandError(f"there is no suitable etcd, and none is fetched without apt-get; {_HOW}")
    source = debian_source(Path("/"))
    if source is None:
        raise CommandError(f"there is no suitable etcd, and no source of Debian to fetch one from; {_HOW}")
    try:
        fetch(source, cache_folder())
    except (OSError, subprocess.SubprocessError) as error:
        raise CommandError(f"etcd could not be fetched ({_reason(error)}); {_HOW}") from None
    if version_of(_cached()) < LEAST_VERSION:
        raise CommandError(f"the etcd that was fetched does not run, or is too old; {_HOW}")
    return _cached()


def version_of(program: Path) -> tuple[int, ...]:
    """Return the version that an etcd says it has; empty where it does not run."""
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=VERSION_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"etcd Version: (\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def debian_source(root: Path, suite: str = SUITE) -> str | None:
    """Return the machine's own source of Debian with the suite replaced, as apt's deb822; None where it has none."""
    for place in _SOURCES:
        path = root / place
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if file.is_file() and file.suffix in (".list", ".sources"):
                for stanza in _stanzas(file):
                    if "main" in stanza["components"].split() and _is_debian(stanza["uris"]):
                        return _deb822(stanza, suite)
    return None


def cache_folder() -> Path:
    """Return where fetched programs are kept."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "redoubt" / "etcd"


def _cached() -> Path:
    return cache_folder() / "usr" / "bin" / "etcd"


def _stanzas(file: Path) -> list[dict[str, str]]:
    text = file.read_text(errors="replace")
    if file.suffix == ".sources":
        found = []
        for block in re.split(r"\n\s*\n", text):
            lines = re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", block, re.MULTILINE)
            fields = {key.lower(): value.strip() for key, value in lines}
            if fields.get("enabled", "yes") == "yes" and "uris" in fields:
                found.append({"components": "", **fields})
        return found
    lines = re.findall(r"^deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+\S+\s+(.*)$", text, re.MULTILINE)
    signed = {options: re.search(r"signed-by=(\S+)", options) for options, _, _ in lines}
    return [
        {"uris": uri, "components": components, **({"signed-by": match[1]} if (match := signed[options]) else {})}
        for options, uri, components in lines
    ]


def _is_debian(uris: str) -> bool:
    """Whether it is the main archive, not the one of security updates or of a derivative."""
    return re.search(r"/debian/?(\s|$)", uris) is not None


def _deb822(stanza: dict[str, str], suite: str) -> str:
    signed = f"Signed-By: {stanza['signed-by']}\n" if "signed-by" in stanza else ""
    return f"Types: deb\nURIs: {stanza['uris']}\nSuites: {suite}\nComponents: main\n{signed}"


def fetch(source: str, target: Path) -> None:
    """Download the packages, unpack them beside that folder, and put them in its place whole.

    Raises:
        OSError, SubprocessError: that failed; nothing has changed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        work = Path(folder)
        work.chmod(0o755)  # apt downloads as a user of its own
        for name in ("lists/partial", "cache/archives/partial", "packages", "root"):
            (work / name).mkdir(parents=True)
        (work / "debian.sources").write_text(source)
        options = {
            "Dir::Etc::sourcelist": work / "debian.sources",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": work / "lists",
            "Dir::Cache": work / "cache",
        }
        apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
        _run([*apt, "update"], work)
        _run([*apt, "download", *PACKAGES], work / "packages")
        for package in (work / "packages").glob("*.deb"):
            _run(["dpkg-deb", "-x", str(package), str(work / "root")], work)
        shutil.rmtree(target, ignore_errors=True)
        (work / "root").rename(target)


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=DOWNLOAD_S, stdin=subprocess.DEVNULL)


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"{error.cmd[0]} ended with {error.returncode}"
    return str(error)

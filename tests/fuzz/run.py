"""Runs the fuzz targets with atheris, one after the other, and keeps the corpora small.

    python tests/fuzz/run.py --seconds 600 [--target NAME]     # fuzz; exit status 1 and the input's path on a find
    python tests/fuzz/run.py --keep [--target NAME]            # choose the corpus anew from it and what was found

`--seconds` is the time in all, shared by the targets. What is found grows in `--work` (a folder of its own, below
the system's temporary one unless named) and comes into the repository by `--keep` only, which lets files called
`witness-*` be: the inputs of bugs, and of broken variants that few inputs find. Needs the dependency group `fuzz`;
`--keep` and the replay in `make test` do not.
"""

import argparse
import hashlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGES = ("hsm_wire", "hsm_cluster", "hsm_client", "hsm_daemon", "hsm_node", "proxy")
MAX_FILES = 60
MAX_FILE_BYTES = 2048
ROUNDS = 4
SHORT_BYTES = 64
"""Below this an input's length does not matter."""
MEMORY_MB = 1024
ONE_INPUT_S = 10
Edge = tuple[str, int, int]


def names() -> list[str]:
    return sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py") if path.stem != "fuzz_input")


def load(name: str) -> ModuleType:
    for folder in (str(ROOT), str(HERE)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", HERE / f"fuzz_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inside(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process; libFuzzer ends it."""
    import atheris  # Only who fuzzes has it; the corpus is replayed without it.

    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=list(PACKAGES)):
        module = load(name)
    atheris.Setup([f"fuzz_{name}", *arguments], module.one)
    atheris.Fuzz()


def fuzz(name: str, seconds: float, work: Path) -> bool:
    """Fuzz one target in a process of its own; say whether the invariant held."""
    found, kept = work / name, HERE / "corpus" / name
    for folder in (found, kept):
        folder.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={int(seconds)}", f"-max_len={MAX_FILE_BYTES}", f"-rss_limit_mb={MEMORY_MB}"]
    options = [*limits, f"-timeout={ONE_INPUT_S}", f"-artifact_prefix={work}/{name}-", "-verbosity=0"]
    command = [sys.executable, __file__, "--inside", name, *options, str(found), str(kept)]
    print(f"{name}: {int(seconds)} s", flush=True)
    return subprocess.run(command, check=False, timeout=seconds + 120).returncode == 0


def edges_of(one: Callable[[bytes], None], data: bytes) -> set[Edge]:
    """Return the steps from line to line within our packages that an input causes."""
    seen: set[Edge] = set()
    packages = tuple(f"{ROOT / package}/" for package in PACKAGES)

    def local(at: int, file: str) -> Callable[[FrameType, str, Any], Any]:
        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            del argument
            nonlocal at
            if event == "line":
                seen.add((file, at, frame.f_lineno))
                at = frame.f_lineno
            return trace

        return trace

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        del event, argument
        file = frame.f_code.co_filename
        return local(frame.f_lineno, file) if file.startswith(packages) else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        one(data)
    except Exception as error:  # noqa: BLE001 - a find: it is kept, and the replay shows it
        print(f"{len(data)} bytes break the invariant: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.settrace(before)
    return seen


def _worth(left: dict[bytes, set[Edge]], missing: set[Edge], data: bytes) -> float:
    return len(left[data] & missing) / (len(data) + SHORT_BYTES)


def cover(reached: dict[bytes, set[Edge]]) -> list[bytes]:
    """Return few and small inputs by which each step is reached, `ROUNDS` times over where there is room."""
    chosen: list[bytes] = []
    for _ in range(ROUNDS):
        left = {data: edges for data, edges in reached.items() if data not in chosen}
        missing = set().union(*left.values())
        while missing and len(chosen) < MAX_FILES:
            best = max(left, key=partial(_worth, left, missing))
            chosen.append(best)
            missing -= left.pop(best)
    return chosen


def keep(name: str, work: Path) -> None:
    """Choose the smallest inputs that still reach what all of them reach."""
    one, corpus = load(name).one, HERE / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    paths = [*corpus.iterdir(), *work.glob(f"{name}/*"), *work.glob(f"{name}-*")]
    inputs = {data for path in paths if len(data := path.read_bytes()) <= MAX_FILE_BYTES}
    reached = {data: edges_of(one, data) for data in sorted(inputs, key=lambda data: (len(data), data))}
    witnesses = {path.read_bytes() for path in corpus.glob("witness-*")}
    chosen = [data for data in cover(reached) if data not in witnesses][: MAX_FILES - len(witnesses)]
    for path in corpus.iterdir():
        if not path.name.startswith("witness-"):
            path.unlink()
    for data in chosen:
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    print(f"{name}: {len(chosen) + len(witnesses)} of {len(inputs)} inputs")


def main() -> int:
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2], sys.argv[3:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--target", choices=names(), action="append")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "redoubt-fuzz")
    chosen = parser.parse_args()
    targets = chosen.target or names()
    if chosen.keep:
        for name in targets:
            keep(name, chosen.work)
        return 0
    share = max(1.0, chosen.seconds / len(targets))
    broken = [name for name in targets if not fuzz(name, share, chosen.work)]
    if broken:
        print(f"invariant broken: {', '.join(broken)}; the inputs are {chosen.work}/TARGET-*", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

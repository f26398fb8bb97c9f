"""The load generator and the echo nodes: in C where they can be compiled, in Python where not.

They are compiled into `bench/build/`, under a name made from their sources and the command, so that nothing is built
twice and nothing stale is run.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

SOURCES = Path(__file__).parent / "native"
BUILD = Path(__file__).parent / "build"
FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror")
TLS_FLAGS = ("-DWITH_TLS",)
TLS_LIBRARIES = ("-lssl", "-lcrypto")
DEVICE_LIBRARIES = ("-ldl", "-lpthread")
COMPILE_SECONDS = 60.0  # for one program; it takes two


class Tools(NamedTuple):
    """Commands to which options are added; both kinds take the same ones."""

    kind: str
    """`c` or `python`: goes into the report as `loader`."""
    load: tuple[str, ...]
    echo_node: tuple[str, ...]
    speaks_tls: bool
    extended: bool
    """Has `--redis` and `--rate`."""


PYTHON = Tools(
    "python",
    (sys.executable, "-m", "bench.load"),
    (sys.executable, "-m", "bench.echo_node"),
    speaks_tls=True,
    extended=False,
)


class CompileError(Exception):
    """The text is one line for the user."""


def compiler() -> str | None:
    """Return the C compiler's path: $CC, or what is usual."""
    names = [name for name in (os.environ.get("CC"), "cc", "gcc", "clang") if name]
    return next((path for path in map(shutil.which, names) if path), None)


def _has_openssl(program: str) -> bool:
    """Say whether a program with OpenSSL can be compiled and linked."""
    with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as folder:
        source = Path(folder) / "probe.c"
        source.write_text("#include <openssl/ssl.h>\nint main(void) { return SSL_CTX_new(TLS_method()) == 0; }\n")
        command = [program, *FLAGS, str(source), "-o", str(source.with_suffix("")), *TLS_LIBRARIES]
        done = subprocess.run(command, capture_output=True, check=False, timeout=COMPILE_SECONDS)
    return done.returncode == 0


def _compile(program: str, name: str, flags: tuple[str, ...], libraries: tuple[str, ...]) -> Path:
    """Return the executable of NAME.c, built now unless it is there."""
    texts = sorted([*SOURCES.glob("*.h"), SOURCES / f"{name}.c"])
    digest = hashlib.sha256(" ".join([program, *flags, *libraries]).encode())
    for path in texts:
        digest.update(path.read_bytes())
    target = BUILD / f"{name}-{digest.hexdigest()[:16]}"
    if target.exists():
        return target
    BUILD.mkdir(exist_ok=True)
    # Built beside its place and moved there: two runs may compile at the same time.
    handle, temporary = tempfile.mkstemp(prefix=f".{name}-", dir=BUILD)
    os.close(handle)
    try:
        command = [program, *flags, str(SOURCES / f"{name}.c"), "-o", temporary, *libraries]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMPILE_SECONDS)
        if done.returncode:
            first = next((line for line in done.stderr.splitlines() if "error" in line), "no reason given")
            raise CompileError(f"{name}.c does not compile with {program}: {first}")
        Path(temporary).chmod(0o755)
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return target


def compiled(*, with_tls: bool | None = None) -> Tools:
    """Return the tools in C; `with_tls` None: where OpenSSL's headers are.

    Raises:
        CompileError: there is no compiler, or it does not take the sources.
    """
    program = _compiler()
    tls = _has_openssl(program) if with_tls is None else with_tls
    flags = FLAGS + TLS_FLAGS if tls else FLAGS
    libraries = TLS_LIBRARIES if tls else ()
    load, echo = (str(_compile(program, name, flags, libraries)) for name in ("load", "echo_node"))
    return Tools("c", (load,), (echo,), speaks_tls=tls, extended=True)


def device_load() -> Path:
    """Return the program that has a PKCS#11 token sign by itself.

    Raises:
        CompileError: there is no compiler, or it does not take the source.
    """
    return _compile(_compiler(), "device_load", FLAGS, DEVICE_LIBRARIES)


def _compiler() -> str:
    program = compiler()
    if program is None:
        raise CompileError("there is no C compiler; install one with: sudo apt-get install gcc libc6-dev")
    return program


def tools(*, tls: bool) -> Tools:
    """Return the best tools that this machine has; what is missing is said on standard error."""
    try:
        best = compiled()
    except (CompileError, subprocess.TimeoutExpired) as error:
        print(f"{error}: load and echo nodes are Python, which costs throughput", file=sys.stderr)
        return PYTHON
    if tls and not best.speaks_tls:
        print("OpenSSL's headers are missing (libssl-dev): with TLS, load and echo nodes are Python", file=sys.stderr)
        return PYTHON
    return best

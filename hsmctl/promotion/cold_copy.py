"""A snapshot of a member that serves nobody: of a copy of its data, by a private member of its own.

Theory. A member that was started without the others waits for them and answers nothing. Its data are whole, but the
last of them are in its log only. So a copy is started as a cluster of one (--force-new-cluster), which reads the log
to its end, gives its snapshot, and is ended. It is reached by sockets in a folder that only root enters; the network
sees nothing of it, and the member's own data stay as they are.
"""

import contextlib
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hsmctl.dev.daemon import bound_command
from hsmctl.failures import CommandError
from hsmctl.promotion.host import Host
from hsmctl.promotion.member_file import MemberFile
from hsmctl.promotion.programs import clean_environment, run
from hsmctl.promotion.write_ahead import count_all

COPY: Final = "copy"
CLIENTS: Final = "unix://client:1"
PEERS: Final = "unix://peer:1"
"""Sockets beside the copy: etcd takes them by relative names of this form."""
LOG: Final = "copy.log"
READY_S: Final = 60.0
"""For the copy to read its log: up to 100,000 changes."""
ASK_S: Final = 3
"""For one question to it."""
END_S: Final = 10.0
"""For it to end; then it is killed: it is a copy."""
POLL_S: Final = 0.1


def save_copy(host: Host, member: MemberFile, work: Path, snapshot: Path) -> None:
    """Write a snapshot of the member's data, which nobody has open.

    Args:
        host: of the member.
        member: what its file says.
        work: a folder of this run alone.
        snapshot: to be made, in it.

    Raises:
        CommandError: that failed; nothing of the data has changed.
        OSError: the copy could not be made.
    """
    copy = work / COPY
    shutil.copytree(member.data, copy, copy_function=_copy_file, symlinks=True)
    copy.chmod(0o700)
    if any(path.is_symlink() for path in copy.rglob("*")):
        raise CommandError(f"{member.data} has links in it, which are not followed; put there what they lead to")
    count_all(copy / "member" / "wal")
    with _serving(host, member, work):
        asked = [str(host.program("etcdctl")), "--endpoints", CLIENTS, "snapshot", "save", str(snapshot)]
        run(asked, "the copy of the member's data gives no snapshot", "look at the disk", folder=work)
    shutil.rmtree(copy)


@contextlib.contextmanager
def _serving(host: Host, member: MemberFile, work: Path) -> Iterator[None]:
    command = [str(host.program("etcd")), "--name", member.name, "--data-dir", str(work / COPY), "--force-new-cluster"]
    command += ["--listen-client-urls", CLIENTS, "--advertise-client-urls", CLIENTS, "--listen-peer-urls", PEERS]
    command += ["--initial-advertise-peer-urls", member.peer_urls, "--log-level", "error"]
    command += ["--initial-cluster", ",".join(f"{member.name}={url}" for url in member.peer_urls.split(","))]
    with (work / LOG).open("wb") as log:
        process = subprocess.Popen(
            bound_command(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=work,
            env=clean_environment(),
        )
    try:
        _await_answer(host, process, work)
        yield
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answer(host: Host, process: "subprocess.Popen[bytes]", work: Path) -> None:
    asked = [str(host.program("etcdctl")), "--endpoints", CLIENTS, f"--command-timeout={ASK_S}s", "endpoint", "health"]
    deadline = time.monotonic() + READY_S
    while True:
        if process.poll() is not None:
            lines = (work / LOG).read_text(errors="replace").splitlines()
            why = lines[-1].strip() if lines else f"exit code {process.returncode}"
            raise CommandError(f"no member can be made of the copied data ({why}); the data are as they were")
        try:
            run(asked, "the copy of the member's data does not answer", "look at the disk", folder=work)
        except CommandError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(POLL_S)
        else:
            return


def _copy_file(source: str, target: str) -> str:
    """Copy a file, and only that: the folder is not root's, so what is named there may have become a link."""
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as read:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is no file", source)
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            shutil.copyfileobj(read, written, 1 << 20)
    return target

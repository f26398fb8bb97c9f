"""`hsmctl` as processes of their own, forked off one that has imported it: an interpreter's start is paid for once.

Each command has its own arguments, environment, files and exit code, as if it had been started from a shell.
"""

import atexit
import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

PROGRAM = "hsmctl"
REQUEST_BYTES = 128 << 10
"""Arguments and environment of one command, in one packet."""
START_S = 60.0
"""Until everything is imported, on a busy machine."""
STOP_S = 10.0


def run_hsmctl(
    arguments: Sequence[object], *, environment: Mapping[str, str], timeout_s: float, data: bytes = b""
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command to its end; `data` is its standard input."""
    request = json.dumps([[*map(str, arguments)], dict(environment), os.getcwd()]).encode()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, contextlib.ExitStack() as files:
        given, said, complained = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write(data)
        given.seek(0)
        socket.send_fds(_control(), [request], [given.fileno(), said.fileno(), complained.fileno(), theirs.fileno()])
        theirs.close()
        ours.settimeout(START_S)
        pid = int(ours.recv(32))
        ours.settimeout(timeout_s)
        try:
            code = int(ours.recv(32))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired([PROGRAM, *map(str, arguments)], timeout_s) from None
        said.seek(0)
        complained.seek(0)
        return subprocess.CompletedProcess([PROGRAM, *map(str, arguments)], code, said.read(), complained.read())


def run_hsmctl_text(
    *arguments: object, environment: Mapping[str, str], timeout_s: float = 60.0, data: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Do the same with texts."""
    done = run_hsmctl(arguments, environment=environment, timeout_s=timeout_s, data=data.encode())
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


_started: list[socket.socket] = []


def _control() -> socket.socket:
    """Return where commands are asked for; start the process that forks them off, if it is the first."""
    if not _started:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            process = subprocess.Popen(command, pass_fds=[theirs.fileno()], process_group=0)
        _started.append(ours)
        atexit.register(_stop, ours, process)
    return _started[0]


def _stop(control: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    control.close()
    process.wait(STOP_S)


def _serve(control: socket.socket) -> None:
    """Fork a command off for each request, until nobody is there who asks."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those who wait for the commands are waited for by nobody
    while True:
        request, files, _, _ = socket.recv_fds(control, REQUEST_BYTES, 4)
        if not request:
            return
        if os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _run(request, files)
        for file in files:
            os.close(file)


def _run(request: bytes, files: Sequence[int]) -> NoReturn:
    """Run a command in a process of its own, and tell its process id and its exit code."""
    pid = os.fork()
    if pid == 0:
        _become(request, files)
    with socket.socket(fileno=files[3]) as answers, contextlib.suppress(BrokenPipeError):
        answers.send(str(pid).encode())
        answers.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
    os._exit(0)


def _become(request: bytes, files: Sequence[int]) -> NoReturn:
    """Be that command."""
    from hsmctl.cli import main

    arguments, environment, folder = json.loads(request)
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [PROGRAM, *arguments]
    main()
    raise AssertionError("click ends the process")


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])
    import hsmctl.cli  # noqa: F401 - so that commands find it imported

    gc.freeze()  # a command's end would go through all of it, and copy each page
    _serve(socket.socket(fileno=int(sys.argv[1])))

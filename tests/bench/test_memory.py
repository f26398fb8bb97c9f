"""Memory of a process and of its workers."""

import os
import subprocess
import sys

from bench.memory import resident_bytes


def test_workers_count_as_the_program_that_has_them() -> None:
    alone = resident_bytes(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        both = resident_bytes(os.getpid())
        child.communicate(b"\n")
    assert 0 < alone < both

"""A program of the node that does something and ends, run by a command: its report, its progress, its failure.

Standard output is one JSON document, and lines on standard error are progress, but for those that say why it failed.
"""

import subprocess
from collections.abc import Callable
from typing import Final

import msgspec

from hsmctl.dev.daemon import bound_command
from hsmctl.failures import FAILED, OK, CommandError

FAILURE: Final = "error: "
"""Before the one line that says why."""


def run_to_report(command: list[str], note: Callable[[str], None]) -> dict[str, object]:
    """Run it to its end, which comes with this process at the latest; return its report.

    Args:
        command: the program and its arguments.
        note: gets each line about progress.

    Raises:
        CommandError: it failed, with its line and its exit code.
    """
    why = ""
    with subprocess.Popen(
        bound_command(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        for line in program.stderr:  # To its end, before the report: that is short, and waits in the pipe.
            if line.startswith(FAILURE):
                why = line.removeprefix(FAILURE).rstrip("\n")
            else:
                note(line.rstrip("\n"))
        report = program.stdout.read()
    if program.returncode != OK:
        ended = f"it ended with {program.returncode}" if program.returncode > 0 else f"signal {-program.returncode}"
        code = program.returncode if why and program.returncode > 0 else FAILED
        raise CommandError(why or f"{' '.join(command)} failed ({ended}); run it to see why", code)
    try:
        return msgspec.json.decode(report, type=dict[str, object])
    except msgspec.DecodeError:
        raise CommandError(f"{' '.join(command)} gave no report; is it of the same version?") from None

"""Where the programs of others are: on the PATH, among the system's, or unpacked by `fetch_peers.sh`."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from bench.native import BUILD

UNPACKED = BUILD / "peers"
SYSTEM = ("/usr/local/sbin", "/usr/sbin")  # not on everybody's PATH
STREAM_MODULE = Path("usr/lib/nginx/modules/ngx_stream_module.so")


def find_program(name: str) -> str | None:
    """Return the program's path, or None."""
    folders = [os.environ.get("PATH", os.defpath), *SYSTEM, str(UNPACKED / "usr" / "sbin")]
    return shutil.which(name, path=os.pathsep.join(folders))


class Nginx(NamedTuple):
    """An nginx that can balance TCP."""

    program: str
    module: str | None
    """The stream module to load, where it is not built in."""


def find_nginx() -> Nginx | None:
    """Return an nginx with its stream module, or None."""
    program = find_program("nginx")
    if program is None:
        return None
    built = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stderr
    if re.search(r"--with-stream(?=\s|$)", built):
        return Nginx(program, None)
    for root in (Path("/"), UNPACKED):
        if (root / STREAM_MODULE).exists():
            return Nginx(program, str(root / STREAM_MODULE))
    return None

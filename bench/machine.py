"""The machine and the programs that were measured, for whoever reads the figures later."""

import importlib.metadata
import os
import platform
import re
import ssl
import subprocess
from pathlib import Path

from bench.programs import find_nginx, find_program

GIB = 1 << 30


def describe() -> dict[str, str]:
    """Return what is worth knowing, by its name."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    nginx = find_nginx()
    return {
        "processor": f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}, {ssl.OPENSSL_VERSION}",
        "uvloop": importlib.metadata.version("uvloop"),
        "cryptography": importlib.metadata.version("cryptography"),
        "HAProxy": _version([find_program("haproxy"), "-v"], r"version (\S+)"),
        "nginx": _version([nginx.program if nginx else None, "-v"], r"nginx/(\S+)"),
        "twemproxy": _version([find_program("nutcracker"), "-V"], r"nutcracker-(\S+)"),
    }


def _version(command: list[str | None], pattern: str) -> str:
    """Return the version that a program tells, `absent` where there is none."""
    words = [word for word in command if word is not None]
    if len(words) < len(command):
        return "absent"
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "unknown"

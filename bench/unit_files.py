"""What the systemd units of deploy/systemd allow a daemon."""

import re
from pathlib import Path
from typing import Final

UNITS: Final = Path(__file__).resolve().parent.parent / "deploy" / "systemd"
PROXY: Final = "hsm-proxy.service"
NODE: Final = "hsm-node@.service"
STORE: Final = "redoubt-etcd.service"


def limit(unit: str, name: str) -> int:
    """Return a limit of a unit, such as LimitNOFILE.

    Raises:
        LookupError: the unit does not set it to a number.
    """
    found = re.search(rf"^{re.escape(name)}=(\d+)$", (UNITS / unit).read_text(), re.MULTILINE)
    if found is None:
        raise LookupError(f"{unit} sets no number for {name}")
    return int(found[1])

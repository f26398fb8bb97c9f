"""`hsmctl dr rejoin`, whose process is killed after the step that KILLED_AFTER names."""

import os
import signal
import sys
from typing import Any, Final

from hsmctl.cli import main
from hsmctl.promotion import rejoin_notes, rejoining
from hsmctl.promotion.dev_host import DevHost
from hsmctl.promotion.members import Members

STEPS: Final[dict[str, tuple[Any, str]]] = {
    "the run is noted for one node": (rejoin_notes, "_write"),
    "the member is expected": (Members, "add"),
    "the nodes are stopped": (DevHost, "stop_nodes"),
    "the member is stopped": (DevHost, "stop_member"),
    "its file is changed": (rejoining, "join_existing"),
    "its data are aside": (rejoining, "_put_aside"),
    "the member is started": (DevHost, "start_member"),
    "the member has its vote": (Members, "promote"),
    "one node has forgotten": (rejoin_notes, "_put_seen_aside"),
    "the nodes are started": (DevHost, "start_nodes"),
}
"""In their order. A run that follows one which was killed comes to the next of them."""


def kill_after(step: str) -> None:
    """Have this process end as by the system, right after that."""
    owner, name = STEPS[step]
    real = getattr(owner, name)

    def killed(*arguments: Any) -> None:
        real(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, killed)


if __name__ == "__main__":
    kill_after(os.environ["KILLED_AFTER"])
    sys.argv[0] = "hsmctl"
    main()

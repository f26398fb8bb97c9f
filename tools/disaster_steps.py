"""The steps of `make demo-disaster`: from two data centres that serve, over the loss of both, and back."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lasting_client import LastingClient
from run_steps import DemoError, Runner

from hsmctl.dev import readiness
from hsmctl.dev.manifest import AnyEntry, Entry, maybe_read

SITES: Final = ("zurich", "geneva")
"""Where keys are used."""
DR_SITE: Final = "alps"
NOBODY_S: Final = 3
"""For a request that nobody can serve."""
STATES_S: Final = 60.0
"""For nodes to say what they are, after a start."""
POLL_S: Final = 0.2
KEY: Final = "demo-contracts"
_SIGN: Final = f"--key {KEY} --mechanism ecdsa-sha256 --in document.txt"


class Play:
    """What the steps work with."""

    def __init__(self, folder: Path, client: LastingClient) -> None:
        self.folder = folder
        work = folder / "demo"
        work.mkdir(exist_ok=True)
        (work / "document.txt").write_bytes(Path(__file__).read_bytes())
        self.run = Runner(work, folder / "client.toml")
        self.client = client
        self._signed = 0

    def sign(self) -> None:
        """Sign the document; openssl checks that with the public key of the beginning."""
        self._signed += 1
        name = f"document-{self._signed}.sig"
        self.run.hsmctl(f"sign {_SIGN} --out {name}")
        self.run.openssl(f"dgst -sha256 -verify contracts.pem -signature {name} document.txt")

    def entries(self, *sites: str) -> list[AnyEntry]:
        """Return the daemons and members of these sites."""
        manifest = maybe_read(self.folder / "dev.json")
        if manifest is None:
            raise DemoError("the cluster has ended")
        everything: list[AnyEntry] = [*manifest.proxies, *manifest.nodes, *manifest.store]
        return [entry for entry in everything if entry.site in sites]

    def lose(self, site: str) -> None:
        """Kill all that runs at a site."""
        lost = self.entries(site)
        print(
            f"  $ kill -9 {' '.join(str(entry.pid) for entry in lost)}    # {', '.join(entry.name for entry in lost)}"
        )
        for entry in lost:
            os.kill(entry.pid, signal.SIGKILL)

    def wait_for(self, state: str, *sites: str) -> None:
        """Wait until every node of these sites says that of itself."""
        entries = [entry for entry in self.entries(*sites) if isinstance(entry, Entry)]
        admins = {entry.name: entry.admin for entry in entries if entry.name.startswith("node-")}
        deadline = time.monotonic() + STATES_S
        while (
            said := {name: readiness.status(admin).get("state", "") for name, admin in admins.items()}
        ) != dict.fromkeys(admins, state):
            if time.monotonic() > deadline:
                raise DemoError(f"nodes are not {state} after {STATES_S:g} s: {said}")
            time.sleep(POLL_S)
        print(f"    {', '.join(admins)}: {state}")


@dataclass(frozen=True)
class Step:
    """A title for people and what to do."""

    title: str
    run: Callable[[Play], None]


def begin(play: Play) -> None:
    """Make a key, and sign."""
    play.run.shown(f"key generate --type ec-p256 --label {KEY} --durability dr")
    play.run.hsmctl(f"key public {KEY} --out contracts.pem")
    play.sign()
    play.run.shown("dr status")
    play.client.goes_on()


def lose_one(play: Play) -> None:
    """Lose a data centre: nothing is to be done."""
    play.lose(SITES[0])
    play.sign()
    play.run.shown("key generate --type ec-p256 --label demo-meanwhile --durability dr")
    play.client.goes_on()


def lose_both(play: Play) -> None:
    """Lose the other one: nobody may serve."""
    play.lose(SITES[1])
    play.run.refused(f"--timeout {NOBODY_S} sign {_SIGN} --out nothing.sig")


def promote(play: Play) -> None:
    """Have the DR site serve."""
    play.run.shown("dr promote --force --yes")


def go_on(play: Play) -> None:
    """Use the same keys."""
    play.sign()
    play.run.hsmctl("sign --key demo-meanwhile --mechanism ecdsa-sha256 --in document.txt --out meanwhile.sig")
    play.run.shown("key generate --type ec-p256 --label demo-after --durability dr")
    play.client.goes_on()


def come_back(play: Play) -> None:
    """Start what was lost: it is kept out."""
    for entry in sorted(play.entries(*SITES), key=lambda entry: not entry.name.startswith("etcd-")):
        play.run.hsmctl(f"dev start {entry.name} --dir {play.folder}")
    play.wait_for("fenced", *SITES)
    play.sign()
    play.client.goes_on()


def take_back(play: Play) -> None:
    """Bring both sides together, and let the old sites serve again."""
    play.run.shown("dr reconcile --apply")
    for site in SITES:
        play.run.shown(f"dr rejoin --site {site} --yes")
    play.wait_for("up", *SITES)
    play.run.shown("dr demote --yes")
    play.wait_for("standby", DR_SITE)
    play.client.goes_on()


def end(play: Play) -> None:
    """Use the same keys, and show who did."""
    play.sign()
    play.run.hsmctl("sign --key demo-after --mechanism ecdsa-sha256 --in document.txt --out after.sig")
    play.client.goes_on()
    for node in json.loads(play.run.quiet("status --json"))["nodes"]:
        print(f"    {node['name']}  {node['site']:<7} {node['state']}")


STEPS: Final = (
    Step("A key is made, its OK waits for the DR site too, and a document is signed.", begin),
    Step("Data centre zurich is lost. Nothing is to be done: the other one signs, and makes keys.", lose_one),
    Step("Data centre geneva is lost as well. The DR site stands by, so nobody may serve.", lose_both),
    Step("The DR site is promoted: one command, as root on its host.", promote),
    Step("The same keys sign. The client went on by itself; for it this was a pause.", go_on),
    Step("Both data centres come back. What they have is old, so they are kept out.", come_back),
    Step("What only they have is brought over, they join anew, and take over again.", take_back),
    Step("Both data centres sign with the same keys, also with that of meanwhile; the DR site stands by.", end),
)

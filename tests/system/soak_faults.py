"""Faults at random, from a seed, against the processes of a cluster.

The first node and the first proxy live through the whole soak (they are stopped, reloaded and lose every connection,
but never end), so that their memory and their files can be compared over time. All others end in every way.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from cluster import Cluster
from networks import Links
from process_table import pids_with
from programs import START_DEADLINE_S, Program, wait_until

QUIET_S = (1.0, 6.0)
"""Between two faults."""
DOWN_S = (0.1, 5.0)
BACK_S = 40.0
"""Until all nodes are in rotation again after a fault, in every proxy (ejections double, slow machines)."""
CALM_S = 150.0
"""Without a fault, all clients at the first proxy: as long as it takes until each has sent its largest request there.
What a connection needs for that it keeps, so memory is compared at the end of such calms only."""

OPERATOR_S = 60.0
"""For one command of the operator."""


class FaultMaker:
    """A thread that hurts one process after the other, now and then a node and a proxy at once."""

    def __init__(self, cluster: Cluster, links: Links, seed: int, violation: Callable[[str], None]) -> None:
        """`links` are those of the last node."""
        self._cluster = cluster
        self._links = links
        self._chance = random.Random(seed)
        self._violation = violation
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._main, name="faults")
        # A daemon is killed when the thread that started it ends (PR_SET_PDEATHSIG): these threads outlive the cluster.
        self._hands = ThreadPoolExecutor(2, "fault")
        self.done: Counter[str] = Counter()
        self._node_faults: list[Callable[[Program], None]] = [
            self._kill, self._kill, self._terminate, self._stand_still, self._go_slowly, self._drain, self._renew,
        ]  # fmt: skip
        self._proxy_faults: list[Callable[[Program], None]] = [
            self._kill, self._terminate, self._stand_still, self._renew, self._hot_restart,
        ]  # fmt: skip

        self._ending = (self._kill, self._terminate, self._hot_restart)
        self._calms: list[float] = []
        self._at_calm: Callable[[], None] = lambda: None

    def calm(self, after_s: list[float], then: Callable[[], None]) -> None:
        """Have a calm after so many seconds each, and call `then` at its end; before `start`."""
        self._calms = sorted(after_s)
        self._at_calm = then

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the fault that goes on."""
        self._stop.set()
        self._thread.join()

    def _main(self) -> None:
        try:
            began = time.monotonic()
            while not self._stop.wait(self._chance.uniform(*QUIET_S)):
                if self._calms and time.monotonic() - began >= self._calms[0]:
                    del self._calms[0]
                    self._hands.submit(self._be_calm).result()
                else:
                    self._strike()
                self._wait_whole()
        except Exception as error:  # noqa: BLE001 - a soak without faults proves nothing: it ends as broken
            self._violation(f"the faults ended: {error!r}")

    def _strike(self) -> None:
        cluster = self._cluster
        proxy = self._chance.choice(cluster.proxies) if self._chance.random() < 0.4 else None
        node = self._chance.choice(cluster.nodes) if proxy is None or self._chance.random() < 0.2 else None
        strikes = []
        for program, faults in ((node, self._node_faults), (proxy, self._proxy_faults)):
            if program is None:
                continue
            spared = program in (cluster.nodes[0], cluster.proxies[0])
            possible = [fault for fault in faults if not spared or fault not in self._ending]
            if program is cluster.nodes[-1]:
                possible += [self._drop_packets, self._drop_packets]
            fault = self._chance.choice(possible)
            down_s = self._chance.uniform(*DOWN_S)
            name = fault.__name__.strip("_")
            self.done[f"{program.module.split('.')[0]} {name}"] += 1
            print(f"fault  {name} {program.name} {down_s:.1f} s", flush=True)
            strikes.append(self._hands.submit(self._run, fault, program, down_s))
        wait(strikes)

    def _run(self, fault: Callable[..., None], program: Program, down_s: float) -> None:
        try:
            fault(program, down_s)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is what the soak looks for
            self._violation(f"{fault.__name__} {program.name}: {error!r}")

    def _wait_whole(self) -> None:
        for proxy in self._cluster.proxies:

            def whole(proxy: Program = proxy) -> bool:
                try:
                    return all(state == "up" for state in self._cluster.states(proxy).values())
                except AssertionError:
                    return False  # Not there yet.

            try:
                wait_until(whole, lambda: "all nodes up", BACK_S)
            except AssertionError:
                self._violation(f"{proxy.name} does not see all nodes up {BACK_S:g} s after the last fault")

    def _be_calm(self) -> None:
        print(f"calm   {CALM_S:.0f} s, all clients at {self._cluster.proxies[0].name}", flush=True)
        others = self._cluster.proxies[1:]
        for proxy in others:
            proxy.terminate()
        if not self._stop.wait(CALM_S):
            self._at_calm()
        for proxy in others:
            self._start_again(proxy, 0.0)

    def _kill(self, program: Program, down_s: float) -> None:
        program.kill()
        self._start_again(program, down_s)

    def _terminate(self, program: Program, down_s: float) -> None:
        code = program.terminate()
        if code != 0:
            self._violation(f"{program.name} ended with {code} after SIGTERM")
        self._start_again(program, down_s)

    def _start_again(self, program: Program, down_s: float) -> None:
        time.sleep(down_s)
        program.start()
        program.wait_ready()

    def _stand_still(self, program: Program, down_s: float) -> None:
        pid = newest(program)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(down_s)
        os.kill(pid, signal.SIGCONT)

    def _go_slowly(self, program: Program, down_s: float) -> None:
        """A tenth of the time it runs."""
        pid = newest(program)
        end = time.monotonic() + down_s
        while time.monotonic() < end:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.045)
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.005)

    def _drop_packets(self, program: Program, down_s: float) -> None:
        self._links.drop(0)
        time.sleep(down_s)
        self._links.restore(0)

    def _drain(self, program: Program, down_s: float) -> None:
        self._operate("drain", program)
        time.sleep(down_s)
        self._operate("enable", program)

    def _operate(self, wish: str, program: Program) -> None:
        """As an operator does it. The operator asks again when a fault takes what carries the request."""
        config = str(self._cluster.config_of("operator"))
        command = [sys.executable, "-m", "hsmctl.cli", "node", wish, program.name, "--config", config]
        done = subprocess.run(command, capture_output=True, timeout=OPERATOR_S, check=False)
        if done.returncode != 0:
            self._violation(f"hsmctl node {wish} {program.name}: {done.returncode}, {done.stderr.decode()[-200:]}")

    def _renew(self, program: Program, down_s: float) -> None:
        """A new certificate and SIGHUP."""
        self._cluster.renew(program)
        os.kill(newest(program), signal.SIGHUP)

    def _hot_restart(self, program: Program, down_s: float) -> None:
        """SIGUSR2; the successor is not our child, so it is ended and started anew by us afterwards."""
        old = newest(program)
        os.kill(old, signal.SIGUSR2)

        def succeeded() -> bool:
            program.reap()
            found = pids_with(str(program.config))
            return len(found) == 1 and found != [old]

        wait_until(succeeded, lambda: "a successor that serves alone", 2 * START_DEADLINE_S)
        successor = newest(program)
        time.sleep(down_s)
        program.kill()  # Only forgets the first process: it has ended.
        os.kill(successor, signal.SIGTERM)
        wait_until(lambda: not pids_with(str(program.config)), lambda: "the successor ends", 2 * START_DEADLINE_S)
        program.start()
        program.wait_ready()


def newest(program: Program) -> int:
    """Return the process that serves with this program's file now."""
    return pids_with(str(program.config))[-1]

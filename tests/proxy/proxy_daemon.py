"""A proxy as a real process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

LIMIT_S = 20.0


class Daemon:
    """One hsm-proxy and its successors."""

    def __init__(self, stage):
        self.log = stage.folder / "log.txt"
        self.argv = ["-m", "proxy.cli", "--config", str(stage.folder / "proxy.toml")]
        self.address = self.admin = ""
        self._process = None

    def start(self, before=(), **more):
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, *before, *self.argv], stderr=log, **more)

    async def until(self, condition):
        async with asyncio.timeout(LIMIT_S):
            while not (found := await asyncio.to_thread(condition)):
                await asyncio.sleep(0.02)
        return found

    def lines(self, event):
        words = (f' event="{event}" ', f" event={event} ")
        return [line for line in self.log.read_text().splitlines() if any(word in f"{line} " for word in words)]

    async def ready(self):
        await self.until(lambda: self.lines("ready"))
        fields = dict(pair.split("=", 1) for pair in self.lines("ready")[0].split() if "=" in pair)
        self.address, self.admin = fields["address"], fields["admin"]
        await self.until(lambda: (self.status() or {}).get("ready"))

    def status(self):
        try:
            with urllib.request.urlopen(f"http://{self.admin}/status", timeout=2) as answer:
                return json.load(answer)
        except (urllib.error.URLError, OSError):
            return None  # the one that stops closes it unanswered: ask again

    async def pid(self):
        return (await self.until(self.status))["pid"]

    def ended(self):
        """Return the first process's exit code, when it has one."""
        return self._process.poll()

    async def close(self):
        if not self.admin or self._process is None:
            return
        status = await asyncio.to_thread(self.status)
        workers = {row["pid"] for row in (status or {}).get("workers", [])} - {0}
        for pid in {self._process.pid} | ({status["pid"]} if status else set()) | workers:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False

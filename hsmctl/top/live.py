"""Draws the screen of `top` while keys, answers and signals come in. The terminal is left as it was found."""

import asyncio
import os
import signal
from typing import Final

from rich.console import Console, Group
from rich.live import Live

from hsmctl.overview.merging import View, merged
from hsmctl.overview.observer import Observer
from hsmctl.proxies import Asker
from hsmctl.top.controls import Controls, pressed
from hsmctl.top.frame import frame
from hsmctl.top.keyboard import Keyboard

EVENTS_PER_LOOK: Final = 100
"""New events of one proxy that one look takes; what is above comes with the next."""


class Top:
    """See the module."""

    def __init__(self, asker: Asker, console: Console, keyboard: Keyboard, controls: Controls) -> None:
        self.view: View | None = None
        self._asker = asker
        self._console = console
        self._keyboard = keyboard
        self._controls = controls
        self._screen = self._new_screen()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Run until a key or a signal ends it."""
        loop = asyncio.get_running_loop()
        with self._keyboard:
            self._screen.start()
            try:
                loop.add_reader(self._keyboard.file_number, self._typed)
                loop.add_signal_handler(signal.SIGWINCH, self._draw)
                loop.add_signal_handler(signal.SIGTSTP, self._suspend)
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    loop.add_signal_handler(number, self._press, "q")
                self._draw()
                await self._look_until_the_end()
            finally:
                loop.remove_reader(self._keyboard.file_number)
                self._screen.stop()

    async def _look_until_the_end(self) -> None:
        observer = Observer(self._asker)
        looking = asyncio.ensure_future(self._look(observer))
        try:
            while not self._controls.quit:
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait([changed, looking], return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                self._changed.clear()
                if looking.done():
                    looking.result()
                    looking = asyncio.ensure_future(self._look(observer))
        finally:
            looking.cancel()
            await asyncio.wait([looking])
            await observer.close()

    async def _look(self, observer: Observer) -> None:
        """Look once, and then wait until it is time for the next."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if not self._controls.paused:
            self.view = merged(await observer.look(EVENTS_PER_LOOK))
            self._draw()
        await asyncio.sleep(max(began + self._controls.interval_s - loop.time(), 0))

    def _typed(self) -> None:
        for key in self._keyboard.typed():
            self._press(key)

    def _press(self, key: str) -> None:
        self._controls = pressed(self._controls, key)
        self._changed.set()
        if not self._controls.quit:
            self._draw()

    def _draw(self) -> None:
        width, height = self._console.size
        self._screen.update(Group(*frame(self.view, self._controls, width, height)), refresh=True)

    def _suspend(self) -> None:
        """Ctrl-Z: give the terminal back, stop, and take it again when the shell says `fg`."""
        self._screen.stop()
        self._keyboard.__exit__()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._keyboard.__enter__()
        self._screen = self._new_screen()
        self._screen.start()
        self._draw()

    def _new_screen(self) -> Live:
        return Live(console=self._console, screen=True, auto_refresh=False, vertical_overflow="crop")

"""Workers without processes."""

from typing import ClassVar

from proxy.workers import messages

SERVING = messages.Beat(0, has_room=True, unready="", rotation=2)


class FakeChild:
    """A worker that does nothing by itself."""

    all: ClassVar["list[FakeChild]"] = []

    def __init__(self, take, ended):
        self.say = take
        self.ends = ended
        self.told = []
        self.pid = 1000 + len(self.all)
        self.deaf = False
        self.forced = False
        self.all.append(self)

    def start(self, begin, listener):
        self.begin, self.listener = begin, listener

    def send(self, message):
        if not self.deaf:
            self.told.append(message)
        return not self.deaf

    def of(self, kind):
        return [message for message in self.told if isinstance(message, kind)]

    def end(self):
        self.forced = True
        self.ends(-6)

    def kill(self):
        self.forced = True

    def serve(self):
        self.say(SERVING)
        self.say(messages.Serving("1.0"))

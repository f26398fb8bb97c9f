"""A change of a node or of a path, and the sentence that tells it: the log has its fields, people read the sentence."""

import msgspec


class StateChange(msgspec.Struct, frozen=True):
    """A change worth a line in the log."""

    node: str
    before: str
    after: str
    reason: str
    path: str = ""
    """The uplink, where a path changed and not the node."""
    why: str = ""
    """The reason in fewer words, where all paths say the same."""
    served: bool = False
    """The node was in rotation before, and
    `serves`: it is now."""
    serves: bool = False
    out_s: float | None = None
    """For how long it had been out of rotation; None where it never was in it, or is out."""

    @property
    def level(self) -> str:
        """Of the line and the event."""
        return "info" if self.after == "up" or self.serves > self.served else "warning"

    @property
    def what(self) -> str:
        """Return it as a sentence."""
        why = self.why or self.reason
        if self.path:
            if self.after == "up":
                return f"{self.node} answers over {self.path}"
            return f"{self.node} does not answer over {self.path} any more: {why}"
        if self.serves and not self.served:
            if self.out_s is None:
                return f"{self.node} is in rotation"
            return f"{self.node} is back in rotation (was out for {duration_words(self.out_s)})"
        if self.served and not self.serves:
            return f"{self.node} left the rotation: {why}"
        state = f"{self.node} is {self.after.replace('/', ', ')} and"
        return f"{state} serves, as no other node can: {why}" if self.serves else f"{state} does not serve: {why}"


def duration_words(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3_600:.0f} h"
    return f"{seconds / 86_400:.0f} days"


def short_reason(reasons: list[str]) -> str:
    """Return one reason for those of all paths: once where they are the same; empty where they differ."""
    if len(set(reasons)) != 1:
        return ""
    words = reasons[0].removeprefix("cannot connect: ")
    return words[:1].lower() + words[1:] if words[1:2].islower() else words

"""Text from elsewhere as a terminal may show it: nothing in it breaks the line, hides, reverses or steers."""

from typing import Final

ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str) -> str:
    """Return the text with every character that is not plainly visible written as its escape.

    `isprintable` is false for control characters, for those that set the direction of text, for invisible ones,
    for separators of lines and paragraphs and for every space but the common one.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ESCAPES.get(c) or c.encode("unicode_escape").decode() for c in text)

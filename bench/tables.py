"""Tables in Markdown, and pages whose parts between `<!-- made: NAME -->` and `<!-- end -->` are made."""

import re
from collections.abc import Callable, Mapping, Sequence


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def figure(value: float | None, digits: int = 2) -> str:
    """Return a number as people read it; a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def filled(text: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    """Return a page with its made parts made anew."""

    def block(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- made: {name} -->\n{blocks[name]()}\n<!-- end -->"

    return re.sub(r"<!-- made: (\w+) -->\n.*?<!-- end -->", block, text, flags=re.DOTALL)

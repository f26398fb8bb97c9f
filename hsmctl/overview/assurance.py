"""Of what assurance the keys are: a node in software that holds the master key lowers the whole cluster to its own."""

from typing import Any, Final

from rich.text import Text

from hsmctl.overview import signs
from hsmctl.overview.merging import View
from hsmctl.printable import printable

SOFTWARE: Final = "software"
DEVICE: Final = "device"
UNKNOWN: Final = "unknown"
"""A node has not said where its keys are."""


def assurance(view: View) -> dict[str, Any]:
    """Return the level, and the nodes in software that it is due to."""
    in_software = [node.name for node in view.nodes if node.backend == SOFTWARE]
    known = bool(view.nodes) and all(node.backend for node in view.nodes)
    return {"level": SOFTWARE if in_software else DEVICE if known else UNKNOWN, "software_nodes": in_software}


def assurance_lines(view: View) -> list[Text]:
    """Return a line where nodes with devices have the assurance of software."""
    in_software = assurance(view)["software_nodes"]
    if not in_software or not any(node.backend not in ("", SOFTWARE) for node in view.nodes):
        return []
    sign, style = signs.UNSURE
    verb = "holds" if len(in_software) == 1 else "hold"
    words = f"{', '.join(in_software)} {verb} the master key in software: all keys are as safe as there, devices or not"
    return [Text.assemble((f"  {sign} ", style), printable(f"assurance of software: {words}"))]

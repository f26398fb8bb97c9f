"""Make Grafana's dashboards in deploy/grafana/dashboards.

python tools/make_dashboards.py            write them
python tools/make_dashboards.py --check    change nothing; exit 1 if a file is not as it would be, or nobody makes it
"""

import json
import sys
from pathlib import Path

from grafana.cluster import cluster_dashboard
from grafana.node import node_dashboard
from grafana.sites import site_dashboard
from made_pages import write_or_check

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "grafana" / "dashboards"


def dashboards(folder: Path) -> dict[Path, str]:
    """Return each file and its text."""
    models = (cluster_dashboard(), node_dashboard(), site_dashboard())
    return {folder / f"{model['uid']}.json": json.dumps(model, indent=2, ensure_ascii=False) + "\n" for model in models}


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Write or check the files; return the exit code."""
    made = dashboards(folder)
    strays = sorted(path.name for path in set(folder.glob("*.json")) - set(made))
    if strays and "--check" in arguments:  # Grafana would load them all the same
        print(f"made by nobody: {', '.join(strays)}; remove them", file=sys.stderr)
        return 1
    return write_or_check(made, arguments, "tools/make_dashboards.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

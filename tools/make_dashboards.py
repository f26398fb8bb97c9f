"""Make Grafana's dashboards in deploy/grafana/dashboards.

python tools/make_dashboards.py            write them
python tools/make_dashboards.py --check    change nothing; exit 1 if a file is not as it would be written
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
    return write_or_check(dashboards(folder), arguments, "tools/make_dashboards.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

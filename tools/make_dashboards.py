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

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "grafana" / "dashboards"


def dashboards() -> dict[str, str]:
    """Return each file's name and text."""
    models = (cluster_dashboard(), node_dashboard(), site_dashboard())
    return {f"{model['uid']}.json": json.dumps(model, indent=2, ensure_ascii=False) + "\n" for model in models}


def main() -> int:
    """Write the files, or compare them."""
    made = dashboards()
    kept = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    if "--check" in sys.argv:
        other = sorted(name for name in made | kept if made.get(name) != kept.get(name))
        if other:
            sys.stderr.write(f"not as tools/make_dashboards.py writes them: {', '.join(other)}; run it\n")
        return 1 if other else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

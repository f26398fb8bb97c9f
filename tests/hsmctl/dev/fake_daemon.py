"""Stands for a daemon where its start and end are the point: serves its admin address, and misbehaves on request.

`behave-NAME` beside its configuration says how: `exits`, `silent` (serves nothing), `stubborn` (ignores SIGTERM).
"""

import http.server
import json
import signal
import sys
import time
import tomllib
from pathlib import Path


def main() -> None:
    """Run until SIGTERM."""
    path = Path(sys.argv[sys.argv.index("--config") + 1])
    config = tomllib.loads(path.read_text())
    nodes = tomllib.loads((path.parent / "cluster.toml").read_text())["nodes"]
    wish = path.parent / f"behave-{config['name']}"
    behaviour = wish.read_text() if wish.exists() else ""
    signal.signal(signal.SIGTERM, lambda *_: None if behaviour == "stubborn" else sys.exit(print("told to stop")))
    if behaviour == "exits":
        sys.exit("fake: something is wrong; mend it")
    if behaviour == "silent":
        time.sleep(60)
    status = {"state": "up", "nodes": [{"state": "up"}] * len(nodes)}

    class Admin(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(status).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    host, _, port = config["admin"].rpartition(":")
    http.server.HTTPServer((host, int(port)), Admin).serve_forever()


if __name__ == "__main__":
    main()

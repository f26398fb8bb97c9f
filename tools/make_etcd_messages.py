"""Writes hsm_node/store/etcd/messages_pb2.py and its types from messages.proto; with a folder as argument, into that.

Needs grpcio-tools of the lock file: the messages run with that release of protobuf and with every newer one below 8.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "hsm_node" / "store" / "etcd"


def make_messages(folder: Path) -> None:
    """Write both files into the folder."""
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={SOURCE}"]
    subprocess.run([*protoc, f"--python_out={folder}", f"--pyi_out={folder}", "messages.proto"], check=True)


if __name__ == "__main__":
    make_messages(Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE)

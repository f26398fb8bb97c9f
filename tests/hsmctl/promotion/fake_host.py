"""A host that notes what it is asked for; its programs are shell scripts that do the same."""

from pathlib import Path

from hsmctl.promotion.host import LocalStore, StoreTls

SERVES = 'case "$*" in *"snapshot save"*) touch $snapshot;; esac'
SILENT = f'case "$*" in *https:*) exit 1;; esac; {SERVES}'
"""As a member that was started without the others; a copy of its data answers."""
TLS = StoreTls(Path("ca.pem"), Path("node.pem"), Path("node-key.pem"))


class FakeHost:
    """Implements `Host`."""

    def __init__(self, folder: Path, *, made: bool = False) -> None:
        self.folder = folder
        self.steps: list[str] = []
        self.sockets = [folder / "admin.sock"]
        self.node_files = [folder / "node-5.toml"]
        self.store: LocalStore | None = LocalStore("127.0.0.1:2379", TLS)
        self.recovery = ""
        self.member_file = folder / "etcd.yaml"
        self.data = folder / "data"
        if made:
            return
        self.data.mkdir()
        (self.data / "old").write_text("what it was")
        self.member_file.write_text(
            f"# a member\nname: etcd-alps\ndata-dir: {self.data}  # its own\n"
            "initial-advertise-peer-urls: 'https://127.0.0.1:2380'\n"
            "advertise-client-urls: https://127.0.0.1:2379\npeer-transport-security:\n  cert-file: x\n"
        )
        self.script("etcdctl", SERVES)
        self.script("etcd", "exec sleep 60")
        self.script("etcdutl", "mkdir -p $restored/member && touch $restored/member/new")

    def script(self, name: str, does: str) -> None:
        """Have a program do that; it notes its arguments."""
        file = self.folder / name
        file.write_text(
            "#!/bin/sh\n"
            f'echo {name} "$@" >> {self.folder}/calls\n'
            f'for snapshot in "$@"; do :; done\n'
            'for word in "$@"; do [ "$before" = --data-dir ] && restored=$word; before=$word; done\n'
            f"{does}\n"
        )
        file.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """What the programs were called with."""
        return (self.folder / "calls").read_text().splitlines()

    def program(self, name: str) -> Path:
        return self.folder / name

    def stop_member(self) -> None:
        self.steps.append("stop member")

    def start_member(self) -> None:
        self.steps.append("start member")

    def stop_nodes(self) -> None:
        self.steps.append("stop nodes")

    def start_nodes(self) -> None:
        self.steps.append("start nodes")

    def restart_nodes(self) -> None:
        self.steps.append("restart nodes")

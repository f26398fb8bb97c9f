"""The steps of the demonstration, each made of commands that a user could type."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

COMMAND_DEADLINE_S: Final = 120.0
"""An RSA key may take some seconds on a busy machine."""


class DemoError(Exception):
    """A step failed; the text says which command and why."""


def python_path() -> str:
    """Return PYTHONPATH with this repository first, so that `hsmctl` is found from any folder."""
    folder = str(Path(__file__).resolve().parent.parent)
    path = os.environ.get("PYTHONPATH")
    return f"{folder}{os.pathsep}{path}" if path else folder


class Runner:
    """Runs commands in the demonstration's folder and shows them."""

    def __init__(self, work: Path, client_config: Path) -> None:
        self.work = work
        self.softhsm = (client_config.parent / "tokens").exists()
        """Whether keys are in tokens of SoftHSM2."""
        # HSM_PROXY of the user's shell would lead elsewhere.
        self._environment = {name: value for name, value in os.environ.items() if name != "HSM_PROXY"}
        self._environment["HSM_CLIENT_CONFIG"] = str(client_config)
        self._environment["PYTHONPATH"] = python_path()

    def hsmctl(self, line: str) -> str:
        """Run an hsmctl command, shown."""
        print(f"  $ hsmctl {line}", flush=True)
        return self._run([sys.executable, "-m", "hsmctl.cli", *shlex.split(line)], f"hsmctl {line}")

    def shown(self, line: str) -> None:
        """Run an hsmctl command; show it and its answer."""
        for said in self.hsmctl(line).strip().splitlines():
            print(f"    {said}")

    def refused(self, line: str) -> None:
        """Run an hsmctl command that must not work; show it and its reason."""
        try:
            self.hsmctl(line)
        except DemoError as failure:
            print(f"    {str(failure).rpartition('hsmctl: ')[2]}")
        else:
            raise DemoError(f"`hsmctl {line}` worked, which it must not now")

    def quiet(self, line: str) -> str:
        """Run an hsmctl command, not shown."""
        return self._run([sys.executable, "-m", "hsmctl.cli", *shlex.split(line)], f"hsmctl {line}")

    def openssl(self, line: str) -> None:
        """Run an openssl command; show it and its answer."""
        print(f"  $ openssl {line}", flush=True)
        answer = self._run(["openssl", *shlex.split(line)], f"openssl {line}").strip()
        print(f"    {answer or 'ok'}")

    def addresses(self, folder: Path) -> Iterator[tuple[str, str, str, str]]:
        """Yield kind, name, address and admin address of each daemon."""
        manifest = json.loads((folder / "dev.json").read_bytes())
        for kind, entries in (("proxy", manifest["proxies"]), ("node", manifest["nodes"])):
            for entry in entries:
                yield kind, entry["name"], entry["address"], entry["admin"]

    def _run(self, command: list[str], shown: str) -> str:
        try:
            done = subprocess.run(
                command,
                cwd=self.work,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_DEADLINE_S,
                check=False,
            )
        except FileNotFoundError:
            raise DemoError(f"`{command[0]}` is not installed; install it and try again") from None
        except subprocess.TimeoutExpired:
            raise DemoError(f"`{shown}` took longer than {COMMAND_DEADLINE_S:.0f} s") from None
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
            raise DemoError(f"`{shown}` ended with {done.returncode}: {said}")
        return done.stdout


@dataclass(frozen=True)
class Step:
    """A title for people and what to do."""

    title: str
    run: Callable[[Runner], None]


def fresh_keys(runner: Runner) -> None:
    """Destroy the keys of an earlier demonstration in the same folder, so that labels are unique again."""
    for key in json.loads(runner.quiet("key list --json")):
        if key["label"].startswith("demo-"):
            runner.quiet(f"key destroy {key['id']} --yes")


def make_keys(runner: Runner) -> None:
    """Make the CA's and the server's key."""
    fresh_keys(runner)
    for kind, label in (("rsa-3072", "demo-ca"), ("ec-p256", "demo-server")):
        print(f"    key {runner.hsmctl(f'key generate --type {kind} --label {label}').strip()}")


def issue_certificates(runner: Runner) -> None:
    """Make the CA's certificate and issue the server's."""
    runner.hsmctl('cert ca --key demo-ca --subject "CN=Demo CA,O=Redoubt" --out ca-cert.pem')
    runner.hsmctl("csr --key demo-server --subject CN=localhost --san dns:localhost --out server.csr")
    runner.hsmctl("cert issue --ca-key demo-ca --ca-cert ca-cert.pem --csr server.csr --out server-cert.pem")


def verify_chain(runner: Runner) -> None:
    """Let openssl check the certificate, as a browser would."""
    runner.openssl("verify -x509_strict -CAfile ca-cert.pem server-cert.pem")


def sign_file(runner: Runner) -> None:
    """Sign a real file in several ways; openssl checks each."""
    source = Path(__file__).resolve()
    (runner.work / "document.txt").write_bytes(source.read_bytes())
    ways = [("pss", "demo-ca", "rsa-pss-sha256"), ("ecdsa", "demo-server", "ecdsa-sha256")]
    if not runner.softhsm:
        runner.hsmctl("key generate --type ed25519 --label demo-ed25519")
        ways.append(("ed25519", "demo-ed25519", "eddsa"))
    else:
        print("    (not with Ed25519: SoftHSM2 keeps no such key that could be brought to another token)")
    for name, key, mechanism in ways:
        runner.hsmctl(f"key public {key} --out {name}-public.pem")
        runner.hsmctl(f"sign --key {key} --mechanism {mechanism} --in document.txt --out {name}.sig")
        checks = {
            "pss": "dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest "
            "-verify pss-public.pem -signature pss.sig document.txt",
            "ecdsa": "dgst -sha256 -verify ecdsa-public.pem -signature ecdsa.sig document.txt",
            "ed25519": "pkeyutl -verify -pubin -inkey ed25519-public.pem -rawin -in document.txt -sigfile ed25519.sig",
        }
        runner.openssl(checks[name])


def encrypt_file(runner: Runner) -> None:
    """Encrypt the file and decrypt it again."""
    runner.hsmctl("key generate --type aes-256 --label demo-secret")
    runner.hsmctl("encrypt --key demo-secret --in document.txt --out document.encrypted")
    runner.hsmctl("decrypt --key demo-secret --in document.encrypted --out document.decrypted")
    plain = (runner.work / "document.txt").read_bytes()
    if (runner.work / "document.decrypted").read_bytes() != plain:
        raise DemoError("the decrypted file differs from the original")
    if plain in (runner.work / "document.encrypted").read_bytes():
        raise DemoError("the encrypted file shows the original")
    print("    decrypted file is the same as the original")


def requests_per_node(runner: Runner) -> dict[str, int]:
    """Return how many requests each node answered, as the proxy counted them."""
    status = json.loads(runner.quiet("status --json"))
    return {node["name"]: node["requests"] for node in status["nodes"]}


STEPS: Final = (
    Step("Two keys are made: one for a certificate authority, one for a server.", make_keys),
    Step(
        "The authority signs its own certificate and the server's, with the key inside the nodes.", issue_certificates
    ),
    Step("openssl checks the server's certificate.", verify_chain),
    Step("A file is signed in several ways; openssl checks each signature.", sign_file),
    Step("The file is encrypted and decrypted with a key inside the nodes.", encrypt_file),
)

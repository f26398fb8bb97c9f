"""doctor as a user has it."""

import json
from pathlib import Path

from certificates import Authority


def test_a_cluster_that_is_well_is_exit_code_0_also_on_its_host(shell) -> None:
    text = shell.good("doctor", "--config-dir", shell.config.parent).decode()
    assert text.endswith("\nNothing found.\n"), text
    assert [line.split()[:2] for line in text.splitlines() if line.startswith("✓")][-1] == ["✓", "ports"]


def test_findings_are_exit_code_1_with_what_to_do(shell) -> None:
    done = shell("doctor", "--proxy", "127.0.0.1:1")
    assert (done.exit_code, done.stderr) == (1, "")
    assert "-> start hsm-proxy on 127.0.0.1" in done.stdout
    assert done.stdout.endswith("Found 1 error; mend them from top to bottom.\n")


def test_what_tls_says_is_a_finding_with_whose_certificate_it_is(shell, tmp_path: Path) -> None:
    folder = shell.config.parent
    proxies = shell.config.read_text().splitlines()[0]
    foreign = Authority(tmp_path / "ca").issue("spiffe://dev/client/dev", "client")

    def found(ca: Path) -> list[tuple[str, str]]:
        config = tmp_path / "client.toml"
        files = f'ca = "{ca}"\ncertificate = "{foreign.certificate}"\nkey = "{foreign.key}"\n'
        config.write_text(f"{proxies}\n{files}")
        document = json.loads(shell("doctor", "--json", "--config", config).stdout)
        return [(finding["check"], finding["wrong"]) for finding in document["findings"]]

    [(check, wrong)] = found(foreign.ca)
    assert check == "proxies"
    assert "its certificate is of another CA than `ca` in client.toml" in wrong
    (_, ours), (check, wrong) = found(folder / "ca.pem")
    assert ours == f"no CA of {folder / 'ca.pem'} issued it"
    assert check == "certificates"
    assert "the certificate of this client is of a CA that the proxy does not know" in wrong


def test_the_json_is_one_document(shell) -> None:
    document = shell.json("doctor")
    assert (document["healthy"], document["findings"]) == (True, [])
    assert {check["result"] for check in document["checks"]} == {"good"}


def test_a_place_that_is_not_there_is_wrong_usage(fake_shell, tmp_path: Path) -> None:
    fake_shell.bad(2, "doctor", "--config-dir", tmp_path / "none")

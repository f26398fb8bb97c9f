"""Signatures and MACs of files, checked by openssl, and what is said when they cannot be made."""

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest
from fake_cluster import FakeCluster

from hsm_wire import mechanisms as mech
from hsm_wire.messages import Sign, decode_body
from hsmctl import files
from hsmctl.commands import signing


def openssl_accepts(shell, label: str, data: Path, signature: Path, folder: Path) -> bool:
    (folder / "public.pem").write_bytes(shell.good("key", "public", label))
    command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", str(signature), str(data)]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("mechanism", "hash_name"),
    [
        ("ecdsa-sha256", "sha256"),
        ("rsa-pss-sha512", "sha512"),
        ("rsa-pkcs1-sha384", "sha384"),
        ("ecdsa", None),
        ("eddsa", None),
        ("hmac-sha256", None),
    ],
)
def test_only_rsa_and_ecdsa_over_whole_data_may_hash_here(mechanism: str, hash_name: str | None) -> None:
    assert signing.local_hash(mechanism) == hash_name


@pytest.mark.parametrize("size", [0, 100, 16 * 1024, 16 * 1024 + 1, 100 << 20])
def test_files_of_every_size_are_signed_as_openssl_expects(shell, tmp_path: Path, size: int) -> None:
    data, signature = tmp_path / "data", tmp_path / "signature"
    with data.open("wb") as file:
        file.truncate(size)
    shell.good("sign", "--key", "p256", "--mechanism", "ecdsa-sha256", "--in", data, "--out", signature)
    assert openssl_accepts(shell, "p256", data, signature, tmp_path)
    verify = ["verify", "--key", "p256", "--mechanism", "ecdsa-sha256", "--in", data, "--signature", signature]
    assert shell.good(*verify) == b"the signature is good\n"


@pytest.mark.parametrize(
    ("label", "mechanism"),
    [("rsa", "rsa-pkcs1-sha256"), ("rsa", "rsa-pss-sha256"), ("ed", "eddsa"), ("mac", "hmac-sha256")],
)
def test_standard_input_to_standard_output(shell, tmp_path: Path, label: str, mechanism: str) -> None:
    (tmp_path / "signature").write_bytes(
        shell.good("sign", "--key", label, "--mechanism", mechanism, "--in", "-", data=b"x")
    )
    verify = ["verify", "--key", label, "--mechanism", mechanism, "--in", "-", "--signature", tmp_path / "signature"]
    assert shell.json(*verify, data=b"x")["valid"] is True
    done = shell(*verify, data=b"y")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "not one of standard input" in done.stderr


def test_with_json_a_signature_is_in_the_json_and_nowhere_else_on_standard_output(shell, tmp_path: Path) -> None:
    made = shell.json("sign", "--key", "ed", "--mechanism", "eddsa", "--in", "-", data=b"x")
    assert (made["key"], made["mechanism"], len(base64.b64decode(made["signature"]))) == ("ed", "eddsa", 64)
    (tmp_path / "s").write_bytes(b"bad")
    done = shell("verify", "--key", "ed", "--mechanism", "eddsa", "--in", "-", "--signature", tmp_path / "s", "--json")
    assert done.exit_code == 1
    assert '"valid": false' in done.stdout


@pytest.mark.parametrize(
    ("key_type", "mechanism"),
    [
        ("ml-dsa-44", "ml-dsa"),
        ("ed448", "eddsa"),
        ("aes-256", "aes-cmac"),
        ("ec-secp256k1", "ecdsa-sha256"),
        ("rsa-2048", "rsa-pkcs1-sha1"),
    ],
)
def test_every_other_mechanism_signs_and_verifies(fake_shell, tmp_path: Path, key_type: str, mechanism: str) -> None:
    fake_shell.good("key", "generate", "--type", key_type, "--label", "k", "--legacy-test")
    names = ["--key", "k", "--mechanism", mechanism, "--in", "-"]
    (tmp_path / "s").write_bytes(fake_shell.good("sign", *names, data=b"x"))
    fake_shell.good("verify", *names, "--signature", tmp_path / "s", data=b"x")
    done = fake_shell("verify", *names, "--signature", tmp_path / "s", data=b"y")
    assert "do not trust the data" in done.stderr


@pytest.mark.parametrize(("size", "mechanism"), [(1 << 19, mech.CKM_ECDSA_SHA256), ((1 << 20) + 1, mech.CKM_ECDSA)])
def test_a_file_goes_whole_where_the_policy_wants_that_and_a_request_can_carry_it(
    fake_shell, fake_cluster: FakeCluster, tmp_path: Path, size: int, mechanism: int
) -> None:
    fake_shell.good("key", "generate", "--type", "ec-p256", "--label", "k", "--mechanism", "ecdsa-sha256")
    (tmp_path / "data").write_bytes(bytes(size))
    fake_shell.good("sign", "--key", "k", "--mechanism", "ecdsa-sha256", "--in", tmp_path / "data")
    assert decode_body(Sign, fake_cluster.proxy.requests[-1].body).mechanism == mechanism


def test_a_context_belongs_to_an_ml_dsa_signature(fake_shell, tmp_path: Path) -> None:
    fake_shell.good("key", "generate", "--type", "ml-dsa-65", "--label", "k")
    names = ["--key", "k", "--mechanism", "ml-dsa", "--in", "-"]
    (tmp_path / "s").write_bytes(fake_shell.good("sign", *names, "--context", "invoices", data=b"x"))
    verify = ["verify", *names, "--signature", tmp_path / "s", "--context"]
    fake_shell.good(*verify, "hex:" + b"invoices".hex(), data=b"x")
    assert fake_shell(*verify, "orders", data=b"x").exit_code == 1
    assert "at most 255" in fake_shell.bad(2, "sign", *names, "--context", "x" * 256, data=b"x")
    other = ["sign", "--key", "k", "--mechanism", "eddsa", "--in", "-", "--context", "invoices"]
    assert "--context goes with ml-dsa" in fake_shell.bad(2, *other, data=b"x")


def test_a_digest_is_signed_where_it_is_said_to_be_one(shell, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"hello")
    digest = subprocess.run(
        ["openssl", "dgst", "-sha256", "-binary", tmp_path / "data"], capture_output=True, check=True
    )
    sign = ["sign", "--key", "p256", "--mechanism", "ecdsa-sha256", "--prehashed", "--in", "-", "--out", tmp_path / "s"]
    shell.good(*sign, data=digest.stdout)
    assert openssl_accepts(shell, "p256", tmp_path / "data", tmp_path / "s", tmp_path)
    assert "32 bytes" in shell.bad(2, *sign, data=b"short")


@pytest.mark.parametrize("size", [2 << 20, 17 << 20])
def test_what_cannot_be_hashed_here_and_is_too_large_is_one_line_with_a_way_out(
    shell, tmp_path: Path, size: int
) -> None:
    with (tmp_path / "data").open("wb") as file:
        file.truncate(size)
    line = shell.bad(2, "sign", "--key", "ed", "--mechanism", "eddsa", "--in", tmp_path / "data")
    assert "one request cannot carry" in line
    assert "digest" in line


def test_wrong_keys_and_files_are_one_line_that_says_what_to_do(shell, tmp_path: Path) -> None:
    sign = ["sign", "--mechanism", "ecdsa-sha256", "--in"]
    assert "hsmctl key list" in shell.bad(1, *sign, "-", "--key", "none")
    assert "choose another mechanism" in shell.bad(1, *sign, "-", "--key", "aes")
    assert "check the path" in shell.bad(2, *sign, tmp_path / "none", "--key", "p256")
    assert "check the path" in shell.bad(2, *sign, tmp_path, "--key", "p256")
    assert "check the path" in shell.bad(2, *sign, "-", "--key", "p256", "--out", tmp_path / "none" / "s")
    verify = ["verify", "--key", "p256", "--mechanism", "ecdsa-sha256", "--in", "-", "--signature", "-"]
    assert "standard input" in shell.bad(2, *verify)


@pytest.mark.parametrize(
    ("mechanism", "words"),
    [
        ("rsa-pss", "use rsa-pss-sha256 (with --prehashed where the file holds the digest)"),
        ("ml-kem", "ml-kem does not do this; choose one of rsa-pkcs1"),
        ("aes-gcm", "aes-gcm does not do this; choose"),
        ("rot13", "'rot13' is no mechanism; choose"),
    ],
)
def test_a_mechanism_that_cannot_sign_here_is_refused_with_what_to_name(shell, mechanism: str, words: str) -> None:
    assert words in shell.bad(2, "sign", "--key", "rsa", "--mechanism", mechanism, "--in", "-")


def test_what_the_text_points_to_works_with_a_digest(shell, tmp_path: Path) -> None:
    options = ["--key", "rsa", "--mechanism", "rsa-pss-sha256", "--in", "-"]
    (tmp_path / "s").write_bytes(shell.good("sign", *options, "--prehashed", data=hashlib.sha256(b"x").digest()))
    shell.good("verify", *options, "--signature", tmp_path / "s", data=b"x")


def test_a_raw_signature_goes_to_a_terminal_only_if_that_is_said(shell, monkeypatch: pytest.MonkeyPatch) -> None:
    sign = ["sign", "--key", "ed", "--mechanism", "eddsa", "--in", "-"]
    monkeypatch.setattr(signing, "raw_output", lambda path, as_json: _on_a_terminal(monkeypatch, path, as_json))
    assert "--out -" in shell.bad(2, *sign)
    assert len(shell.good(*sign, "--out", "-")) == 64
    assert shell.json(*sign)["mechanism"] == "eddsa"


def _on_a_terminal(monkeypatch: pytest.MonkeyPatch, path: str | None, as_json: bool) -> str:
    with monkeypatch.context() as patch:
        patch.setattr(files.sys.stdout, "isatty", lambda: True)
        return files.raw_output(path, as_json)


def test_refusals_name_mechanisms_as_the_command_line_does(shell) -> None:
    line = shell.bad(1, "sign", "--key", "aes", "--mechanism", "eddsa", "--in", "-")
    assert "eddsa does not work with a key of type aes-256" in line


def test_a_disabled_key_signs_nothing_and_the_error_says_how_to_enable_it(shell) -> None:
    key_id = shell.good("key", "generate", "--type", "ed25519").decode().strip()
    shell.good("key", "disable", key_id)
    assert "hsmctl key enable" in shell.bad(1, "sign", "--key", key_id, "--mechanism", "eddsa", "--in", "-")

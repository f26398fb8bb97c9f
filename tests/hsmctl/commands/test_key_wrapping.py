"""Keys wrapped and unwrapped from the command line."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_public_key
from fake_cluster import FakeCluster

from hsmctl import files


@pytest.fixture(
    params=[("aes-256", "aes-kwp"), ("aes-256", "aes-kw"), ("rsa-2048", "rsa-oaep")], ids=lambda each: each[1]
)
def mechanism(request: pytest.FixtureRequest, fake_shell) -> str:
    key_type, name = request.param
    usage = ["--usage", "wrap", "--usage", "unwrap"]
    fake_shell.good("key", "generate", "--type", key_type, "--label", "transport", *usage)
    fake_shell.good("key", "generate", "--type", "hmac-256", "--label", "mac", "--exportable")
    return str(name)


def test_a_key_that_was_wrapped_is_unwrapped_to_the_same_one(fake_shell, tmp_path: Path, mechanism: str) -> None:
    names = ["--with", "transport", "--mechanism", mechanism]
    assert fake_shell.good("key", "wrap", "mac", *names, "--out", tmp_path / "wrapped") == b""
    unwrap = ["key", "unwrap", *names, "--type", "hmac-256", "--in", tmp_path / "wrapped"]
    made = fake_shell.json(*unwrap, "--label", "again", "--allow-mechanism", "hmac-sha256")
    assert (made["label"], made["origin"], made["policy"]["mechanisms"]) == ("again", "unwrapped", ["hmac-sha256"])
    sign = ["sign", "--mechanism", "hmac-sha256", "--in", "-", "--key"]
    assert fake_shell.good(*sign, "again", data=b"x") == fake_shell.good(*sign, "mac", data=b"x")
    assert len(fake_shell.good(*unwrap).decode().strip()) == 32


def test_with_json_what_was_wrapped_is_in_the_json(fake_shell, mechanism: str) -> None:
    document = fake_shell.json("key", "wrap", "mac", "--with", "transport", "--mechanism", mechanism)
    assert (document["key"], document["with"], document["mechanism"]) == ("mac", "transport", mechanism)
    again = ["key", "unwrap", "--with", "transport", "--mechanism", mechanism, "--type", "hmac-256", "--in", "-"]
    fake_shell.json(*again, data=base64.b64decode(document["wrapped"]))


def test_a_private_key_is_wrapped_as_pkcs8(fake_shell, fake_cluster: FakeCluster) -> None:
    transport = fake_shell.good("key", "generate", "--type", "aes-256", "--usage", "wrap").decode().strip()
    fake_shell.good("key", "generate", "--type", "ec-p256", "--label", "tls", "--exportable")
    wrapped = fake_shell.good("key", "wrap", "tls", "--with", transport)
    material = keywrap.aes_key_unwrap_with_padding(
        fake_cluster.proxy.keystore.secrets[bytes.fromhex(transport)], wrapped
    )
    public = load_pem_public_key(fake_shell.good("key", "public", "tls"))
    assert load_der_private_key(material, None).public_key() == public


def test_what_cannot_be_wrapped_or_unwrapped_is_one_line(fake_shell, tmp_path: Path) -> None:
    fake_shell.good("key", "generate", "--type", "aes-256", "--label", "transport")
    fake_shell.good("key", "generate", "--type", "aes-256", "--label", "inside")
    assert "policy does not allow" in fake_shell.bad(1, "key", "wrap", "inside", "--with", "transport")
    assert "hsmctl key list" in fake_shell.bad(1, "key", "wrap", "inside", "--with", "none")
    assert "choose one of rsa-oaep" in fake_shell.bad(
        2, "key", "wrap", "inside", "--with", "transport", "--mechanism", "aes-gcm"
    )
    unwrap = ["key", "unwrap", "--with", "transport", "--type", "aes-256", "--in"]
    fake_shell.bad(1, *unwrap, "-", data=bytes(40))
    assert "check the path" in fake_shell.bad(2, *unwrap, tmp_path / "none")
    assert "--type" in fake_shell.bad(2, "key", "unwrap", "--with", "transport", "--in", "-")


def test_a_wrapped_key_goes_to_a_terminal_only_if_that_is_said(fake_shell, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = type("Sys", (), {"stdout": type("Stdout", (), {"isatty": staticmethod(lambda: True)})})
    monkeypatch.setattr(files, "sys", terminal)
    assert "--out -" in fake_shell.bad(2, "key", "wrap", "mac", "--with", "transport")


def test_a_real_cluster_wraps_what_may_leave_and_nothing_that_came_in_wrapped(shell, tmp_path: Path) -> None:
    transport = (
        shell.good("key", "generate", "--type", "aes-256", "--usage", "wrap", "--usage", "unwrap").decode().strip()
    )
    key = shell.good("key", "generate", "--type", "ec-p256", "--exportable").decode().strip()
    wrap = ["key", "wrap", "--with", transport]
    shell.good(*wrap, key, "--out", tmp_path / "wrapped")
    unwrap = ["key", "unwrap", "--with", transport, "--type", "ec-p256", "--in"]
    again = shell.good(*unwrap, tmp_path / "wrapped").decode().strip()
    assert shell.good("key", "public", again) == shell.good("key", "public", key)
    assert "not exportable" in shell.bad(1, *wrap, again)
    assert "use aes-kwp" in shell.bad(1, *wrap, key, "--mechanism", "aes-kw")
    shell.bad(1, *unwrap, "-", data=bytes(40))

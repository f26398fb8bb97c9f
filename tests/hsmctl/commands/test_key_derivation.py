"""Keys made out of keys from the command line."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from fake_cluster import FakeCluster


def secret_of(cluster: FakeCluster, key_id: str) -> bytes:
    found = cluster.proxy.keystore.secrets[bytes.fromhex(key_id)]
    assert isinstance(found, bytes)
    return found


@pytest.mark.parametrize("form", ["pem", "der"])
def test_an_agreement_with_a_peer_is_hkdf_of_the_shared_secret(
    fake_shell, fake_cluster: FakeCluster, tmp_path: Path, form: str
) -> None:
    outside = x25519.X25519PrivateKey.generate()
    encoding = Encoding.PEM if form == "pem" else Encoding.DER
    (tmp_path / "peer").write_bytes(outside.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo))
    fake_shell.good("key", "generate", "--type", "x25519", "--label", "agree")
    made = fake_shell.json(
        *("key", "derive", "agree", "--mechanism", "ecdh", "--peer", tmp_path / "peer", "--type", "aes-128"),
        *(
            "--hash",
            "sha384",
            "--info",
            "session",
            "--salt",
            "hex:00ff",
            "--label",
            "s",
            "--allow-mechanism",
            "aes-gcm",
        ),
    )
    assert (made["type"], made["label"], made["origin"]) == ("aes-128", "s", "derived")
    assert made["policy"]["mechanisms"] == ["aes-gcm"]
    mine = load_pem_public_key(fake_shell.good("key", "public", "agree"))
    assert isinstance(mine, x25519.X25519PublicKey)
    expected = HKDF(hashes.SHA384(), 16, b"\x00\xff", b"session").derive(outside.exchange(mine))
    assert secret_of(fake_cluster, made["id"]) == expected


def test_hkdf_derives_from_a_secret(fake_shell, fake_cluster: FakeCluster) -> None:
    key = fake_shell.good("key", "import", "--type", "secret-256", "--in", "-", data=bytes(32)).decode().strip()
    made = fake_shell.good("key", "derive", key, "--mechanism", "hkdf", "--type", "hmac-512").decode().strip()
    assert secret_of(fake_cluster, made) == HKDF(hashes.SHA256(), 64, None, b"").derive(bytes(32))


def test_a_peer_goes_with_ecdh_alone_and_is_a_public_key_of_the_same_curve(fake_shell, tmp_path: Path) -> None:
    fake_shell.good("key", "generate", "--type", "ec-p256", "--label", "agree")
    fake_shell.good("key", "generate", "--type", "ec-p384", "--label", "other")
    derive = ["key", "derive", "agree", "--type", "aes-256", "--mechanism"]
    assert "ecdh needs it" in fake_shell.bad(2, *derive, "ecdh")
    assert "--peer goes with" in fake_shell.bad(2, *derive, "hkdf", "--peer", "-")
    assert "no public key" in fake_shell.bad(2, *derive, "ecdh", "--peer", "-", data=b"nonsense")
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    pem = edwards.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert "cannot agree on keys" in fake_shell.bad(2, *derive, "ecdh", "--peer", "-", data=pem)
    fake_shell.bad(2, *derive, "ecdh", "--peer", "-", data=fake_shell.good("key", "public", "other"))
    assert "choose one of ecdh, hkdf" in fake_shell.bad(2, *derive, "aes-gcm")
    assert "--type" in fake_shell.bad(2, "key", "derive", "agree", "--mechanism", "hkdf", "--type", "rsa-2048")
    assert "hex:00ff" in fake_shell.bad(2, *derive, "hkdf", "--salt", "hex:0")


def test_what_was_encapsulated_is_decapsulated_to_the_same_key(
    fake_shell, fake_cluster: FakeCluster, tmp_path: Path
) -> None:
    fake_shell.good("key", "generate", "--type", "ml-kem-768", "--label", "kem")
    mine = fake_shell.good("key", "encapsulate", "kem", "--label", "mine", "--out", tmp_path / "c").decode().strip()
    assert len((tmp_path / "c").read_bytes()) == 1088
    theirs = fake_shell.json("key", "decapsulate", "kem", "--in", tmp_path / "c", "--label", "theirs")
    assert (theirs["type"], theirs["label"]) == ("secret-256", "theirs")
    assert secret_of(fake_cluster, mine) == secret_of(fake_cluster, theirs["id"])


def test_with_json_the_ciphertext_is_in_the_json(fake_shell, fake_cluster: FakeCluster) -> None:
    fake_shell.good("key", "generate", "--type", "ml-kem-1024", "--label", "kem")
    made = fake_shell.json("key", "encapsulate", "kem")
    ciphertext = base64.b64decode(made["ciphertext"])
    theirs = fake_shell.good("key", "decapsulate", "kem", "--in", "-", data=ciphertext).decode().strip()
    assert secret_of(fake_cluster, made["id"]) == secret_of(fake_cluster, theirs)


def test_a_key_whose_ciphertext_cannot_be_written_does_not_stay(fake_shell, tmp_path: Path) -> None:
    fake_shell.good("key", "generate", "--type", "ml-kem-768", "--label", "kem")
    assert "check the path" in fake_shell.bad(2, "key", "encapsulate", "kem", "--out", tmp_path)
    assert [each["label"] for each in fake_shell.json("key", "list")] == ["kem"]


def test_encapsulation_without_a_file_and_a_ciphertext_of_the_wrong_length_are_usage(
    fake_shell, tmp_path: Path
) -> None:
    fake_shell.good("key", "generate", "--type", "ml-kem-768", "--label", "kem")
    for out in ([], ["--out", "-"]):
        assert "--out" in fake_shell.bad(2, "key", "encapsulate", "kem", *out)
    assert len(fake_shell.json("key", "list")) == 1
    fake_shell.bad(2, "key", "decapsulate", "kem", "--in", "-", data=b"short")
    assert "hsmctl key list" in fake_shell.bad(1, "key", "encapsulate", "none", "--out", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_real_cluster_makes_the_same_key_on_both_sides(shell, tmp_path: Path) -> None:
    def generated(key_type: str, *options: str) -> str:
        return str(shell.good("key", "generate", "--type", key_type, *options).decode().strip())

    def opens_what_the_other_encrypts(one: str, two: str) -> bool:
        secret = shell.good("encrypt", "--key", one, "--in", "-", data=b"hello")
        return bool(shell.good("decrypt", "--key", two, "--in", "-", data=secret) == b"hello")

    pair = [generated("ec-p384", "--usage", "derive") for _ in range(2)]
    agree = ["--mechanism", "ecdh", "--type", "aes-256", "--info", "session", "--peer", "-"]
    agreed = [
        shell.good("key", "derive", mine, *agree, data=shell.good("key", "public", theirs)).decode().strip()
        for mine, theirs in (pair, reversed(pair))
    ]
    assert opens_what_the_other_encrypts(*agreed)
    kem = generated("ml-kem-768")
    mine = shell.good("key", "encapsulate", kem, "--out", tmp_path / "c").decode().strip()
    theirs = shell.good("key", "decapsulate", kem, "--in", tmp_path / "c").decode().strip()
    derive = ["--mechanism", "hkdf", "--type", "aes-256", "--salt", "hex:00"]
    assert opens_what_the_other_encrypts(
        *(shell.good("key", "derive", each, *derive).decode().strip() for each in (mine, theirs))
    )

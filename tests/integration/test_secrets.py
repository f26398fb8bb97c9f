"""Everything that a full run wrote is searched for every secret that it used, in every form.

The run: a cluster whose daemons log as much as they can, two nodes with the master key's file and one with shares; the
client library and hsmctl with every operation on keys, right and wrong; the master key is rotated; configurations are
reloaded, also bad ones; metrics and status pages are read. What is written: logs, standard output and error, the store,
state directories, pages, errors of the library with their tracebacks.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import random
import secrets as chance
import signal
import subprocess
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from cluster import NAME, Cluster
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem, rsa, x25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from programs import wait_until
from raw import RawConnection
from second_client import uuid7
from secret_run import DEADLINE_S, Run, der, pem, private_numbers
from secret_search import forms

from hsm_client import Hsm, connect
from hsm_client.policies import policy
from hsm_node.core.keyring import Keyring
from hsm_node.store.sqlite import SqliteStore
from hsm_wire import parameters as p
from hsm_wire.administration import MasterKeyStatus
from hsm_wire.mechanisms import CKM_SHA256
from hsm_wire.messages import Empty
from hsm_wire.opcodes import Opcode
from hsm_wire.usages import Usage

WRAPPING = Usage.WRAP | Usage.UNWRAP
OAEP = p.OaepParameters(CKM_SHA256, p.CKG_MGF1_SHA256)


@pytest.fixture
def run(make_cluster: Callable[..., Cluster]) -> Run:
    return Run(make_cluster(started=False))


@pytest.mark.parametrize("event_loop_name", ["uvloop"], indirect=True)
def test_nothing_that_a_full_run_wrote_has_a_secret_in_it(run: Run) -> None:
    cluster = run.cluster
    start(run)
    use_hsmctl(run)
    run.library(lambda hsm: use_the_library(run, hsm), lambda hsm: misuse_the_library(run, hsm))
    misuse_hsmctl(run)
    send_secrets_in_wrong_places(run)
    run.pages()
    reload_configurations(run)
    rotate_the_master_key(run)
    run.pages()
    kept_in_the_cluster(run)
    note_tls_keys(run)
    for program in (*cluster.proxies, *cluster.nodes):
        run.say("exit", str(program.terminate()))
        if program is not cluster.nodes[2]:  # its master key is in shares
            checked = program.run_to_end("--check")
            run.say("check", checked.stdout + checked.stderr)
            assert checked.returncode == 0, checked.stderr

    wrong, right = run.secrets.found_in([cluster.folder])
    assert wrong == [], "\n".join(wrong)
    assert len(run.secrets.values) > 50
    in_files = {name for name in run.secrets.values if not name.startswith(("in the cluster", "in memory"))}
    assert in_files - right == set(), "what lies in a file is found there"
    logs = "".join(program.log() for program in (*cluster.proxies, *cluster.nodes))
    assert "level=debug" in logs
    assert "Traceback" not in logs
    assert "an operation failed inside" not in logs


def start(run: Run) -> None:
    """Start it: the third node waits for shares, and gets them, good and bad ones."""
    cluster = run.cluster
    run.secrets.add("master key", bytes.fromhex(cluster.master_key.read_text()), cluster.master_key)
    shares = cluster.folder / "shares"
    command = ("--threshold", 2, "--shares", 3, "--master-key", cluster.master_key, "--out-dir", shares)
    run.ctl("unseal", "split", *command)
    words = {file: file.read_text().strip() for file in sorted(shares.iterdir())}
    for file, text in words.items():
        run.secrets.add(file.name, text, file)
    sealed = cluster.nodes[2]
    cluster.write_node(sealed, keystore='{ backend = "software", master_key = { shares = {} } }')
    for program in (*cluster.nodes, *cluster.proxies):
        program.start()
    for program in (*cluster.nodes[:2], *cluster.proxies):
        program.wait_ready()
    socket = ("--socket", cluster.folder / "state" / sealed.name / "admin.sock")
    one, two, three = words.values()
    wait_until(lambda: socket[1].exists(), lambda: "the socket of the sealed node is there")
    run.pages()
    for share, code in ((one, 0), (two[:-1], 1), (" ".join(reversed(two.split())), 1), (three, 0)):
        run.ctl("unseal", *socket, data=share.encode(), code=code)
    sealed.wait_ready()
    cluster.wait_in_rotation()
    note_tls_keys(run, "in memory: at the start ")


def note_tls_keys(run: Run, when: str = "") -> None:
    """Look for the private keys of all certificates; nodes get new ones with every configuration."""
    for file in sorted((run.cluster.folder / "tls").glob("*-key.pem")):
        key = load_pem_private_key(file.read_bytes(), None)
        run.secrets.add(f"{when}{file.name}", private_numbers(key)[0], file)


def use_hsmctl(run: Run) -> None:
    """Every command that takes or gives key material or data."""
    keys: dict[str, Any] = {
        "rsa": rsa.generate_private_key(65537, 2048),
        "ec": ec.generate_private_key(ec.SECP384R1()),
        "ed": ed25519.Ed25519PrivateKey.generate(),
        "x": x25519.X25519PrivateKey.generate(),
    }
    for name, key in keys.items():
        file = run.give(f"{name}.pem", pem(key), *private_numbers(key))
        options = ["--usage", "encrypt", "--usage", "decrypt"] if name == "rsa" else ["--exportable"]
        run.ctl("key", "import", "--in", file, "--label", name, *options)
    kek = run.give("kek", os.urandom(32))
    run.ctl("key", "import", "--in", kek, "--type", "aes-256", "--label", "kek", "--usage", "wrap", "--usage", "unwrap")
    data = run.give("aes", os.urandom(32))
    run.ctl("key", "import", "--in", data, "--type", "aes-256", "--label", "aes", "--exportable")
    plain = run.give("plain", os.urandom(160))
    sealed, opened = run.taken / "sealed", run.taken / "opened"
    for key, mechanism in (("aes", "aes-gcm"), ("aes", "aes-cbc"), ("rsa", "rsa-oaep")):
        run.ctl("encrypt", "--key", key, "--mechanism", mechanism, "--in", plain, "--out", sealed)
        run.ctl("decrypt", "--key", key, "--mechanism", mechanism, "--in", sealed, "--out", opened)
    assert opened.read_bytes() == plain.read_bytes()
    opened.unlink()
    run.ctl("key", "wrap", "aes", "--with", "kek", "--out", sealed)
    run.ctl("key", "unwrap", "--with", "kek", "--type", "aes-256", "--in", sealed, "--label", "copy")
    run.ctl("sign", "--key", "ec", "--mechanism", "ecdsa-sha384", "--in", plain, "--out", run.taken / "signature")
    for key in run.ctl("key", "list").split():
        run.ctl("key", "show", key, code=None)
    run.ctl("status")
    run.ctl("object", "create", "--kind", "data", "--in", plain, "--label", "plain")
    salt = chance.token_bytes(24)
    run.secrets.add("in memory: a salt", salt)
    run.ctl("key", "derive", "x", "--mechanism", "ecdh", "--type", "aes-256", "--salt", f"hex:{salt.hex()}", code=None)
    run.ctl("key", "rotate", "ed")
    run.ctl("key", "destroy", "copy", "--yes")


async def use_the_library(run: Run, hsm: Hsm) -> None:
    """Every call that takes or gives key material or data; everything it returns is printed."""

    def secret(name: str, value: bytes | int) -> bytes:
        run.secrets.add(f"in memory: {name}", value)
        return value if isinstance(value, bytes) else b""

    free = policy(exportable=True)
    materials = {name: secret(name, os.urandom(32)) for name in ("aes-256", "hmac-256", "secret-256")}
    keys = {name: await hsm.import_key(name, material, policy=free) for name, material in materials.items()}
    kek_material = secret("kek", os.urandom(32))
    kek = await hsm.import_key("aes-256", kek_material, usage=WRAPPING)
    for name, private in (
        ("ml-dsa-65", mldsa.MLDSA65PrivateKey.generate()),
        ("ml-kem-768", mlkem.MLKEM768PrivateKey.generate()),
    ):
        secret(name, private.private_bytes_raw())
        keys[name] = await hsm.import_key(name, der(private))
    agree = ec.generate_private_key(ec.SECP256R1())
    secret("an agreement's private key", agree.private_numbers().private_value)
    keys["ec-p256"] = await hsm.import_key("ec-p256", der(agree), usage=Usage.DERIVE)
    shown: list[Any] = [hsm, *keys.values(), kek]

    plain = secret("a plaintext", os.urandom(64))
    for key, mechanism, parameters in (
        (keys["aes-256"], "aes-gcm", None),
        (keys["aes-256"], "aes-cbc-pad", None),
        (keys["aes-256"], "aes-ctr", None),
        (await hsm.generate_key("rsa-2048", usage=Usage.ENCRYPT | Usage.DECRYPT), "rsa-oaep", OAEP),
    ):
        sealed = await key.encrypt(plain, mechanism, parameters=parameters)
        shown.append(sealed)
        if mechanism == "aes-gcm":
            assert await key.decrypt(sealed) == plain
    shown.append(await keys["hmac-256"].sign(plain, "hmac-sha256"))
    shown.append(await kek.wrap(keys["aes-256"]))
    inside = secret("an unwrapped key", os.urandom(32))
    shown.append(await hsm.unwrap_key(aes_key_wrap_with_padding(kek_material, inside), kek, "aes-kwp", "aes-256"))

    shown.append(await keys["secret-256"].hkdf("aes-256", salt=b"salt", info=b"info"))
    derived = HKDF(hashes.SHA256(), 32, b"salt", b"info").derive(materials["secret-256"])
    secret("a derived key", derived)
    peer = ec.generate_private_key(ec.SECP256R1())
    shown.append(await keys["ec-p256"].ecdh(peer.public_key(), info=b"agreed"))
    shared = agree.exchange(ec.ECDH(), peer.public_key())
    secret("a shared secret", shared)
    secret("an agreed key", HKDF(hashes.SHA256(), 32, b"", b"agreed").derive(shared))
    encapsulated = await keys["ml-kem-768"].encapsulate()
    shown += [encapsulated, await keys["ml-kem-768"].decapsulate(encapsulated.ciphertext)]
    kept = secret("an object", os.urandom(64))
    stored = await hsm.create_object("data", kept, label="kept")
    assert await stored.value() == kept
    shown += [stored, await hsm.find_keys(), await hsm.info(), await hsm.status()]
    run.say("shown", "\n".join(f"{one!r} {one}" for one in shown))


async def misuse_the_library(run: Run, hsm: Hsm) -> None:
    """Calls that fail, with secrets where they belong and where they do not."""
    key = ec.generate_private_key(ec.SECP256R1())
    run.secrets.add("in memory: a key that is not taken", key.private_numbers().private_value)
    material = os.urandom(32)
    run.secrets.add("in memory: material that is not taken", material)
    hmac_key = await hsm.import_key("hmac-256", material)
    aes = await hsm.generate_key("aes-256")
    text = pem(key).decode()
    wrong: list[Callable[[], Coroutine[Any, Any, Any]]] = [
        lambda: hsm.import_key("ec-p384", der(key)),
        lambda: hsm.import_key("ec-p256", der(key)[:-20]),
        lambda: hsm.import_key("ec-p256", pem(key)),
        lambda: hsm.import_key("aes-128", material),
        lambda: hsm.import_key("rsa-2048", material),
        lambda: hsm.generate_key("aes-256", label=text),
        lambda: hsm.import_key("ec-p256", text),  # type: ignore[arg-type]
        lambda: hsm.import_key("aes-256", bytearray(material).hex()),  # type: ignore[arg-type]
        lambda: hsm.import_key("aes-256", list(material)),  # type: ignore[arg-type]
        lambda: hsm.import_key("aes-256", material, key_id=hmac_key.id),
        lambda: aes.encrypt(material, "aes-gcm", iv=material[:12]),
        lambda: aes.encrypt(material, "rsa-oaep", parameters=OAEP),
        lambda: aes.decrypt(material, "aes-gcm", iv=bytes(12)),
        lambda: aes.sign(material, "ecdsa-sha256"),
        lambda: hmac_key.verify(material, material, "hmac-sha256"),
        lambda: aes.hkdf("aes-256", salt=material),
        lambda: hsm.create_object("certificate", material),
    ]
    for call in wrong:
        with run.failing():
            await call()


def misuse_hsmctl(run: Run) -> None:
    """Commands that fail over files with secrets."""
    key = ec.generate_private_key(ec.SECP256R1())
    good = run.give("refused.pem", pem(key), *private_numbers(key))
    other = ed25519.Ed25519PrivateKey.generate()
    broken = run.give("broken.pem", pem(other).replace(b"BEGIN", b"BEGlN"), *private_numbers(other))
    for arguments in (
        ("key", "import", "--in", good, "--type", "aes-256"),
        ("key", "import", "--in", good, "--type", "rsa-2048"),
        ("key", "import", "--in", good, "--label", good.read_text()),
        ("key", "import", "--in", broken),
        ("key", "unwrap", "--with", "kek", "--type", "aes-256", "--in", good),
        ("encrypt", "--key", "rsa", "--mechanism", "rsa-oaep", "--in", good, "--out", run.taken / "none"),
        ("decrypt", "--key", "aes", "--in", good, "--out", run.taken / "none"),
        ("object", "create", "--kind", "certificate", "--in", good),
        ("sign", "--key", "nobody", "--mechanism", "eddsa", "--in", good, "--out", run.taken / "none"),
        ("verify", "--key", "ec", "--mechanism", "ecdsa-sha384", "--in", good, "--signature", good),
    ):
        run.ctl(*arguments, code=None)
    run.ctl("key", "import", "--in", "-", "--type", "aes-256", data=good.read_bytes(), code=None)


def send_secrets_in_wrong_places(run: Run) -> None:
    """Bodies that hold material where none belongs, as a client of somebody else's making may send them."""
    material = os.urandom(48)
    run.secrets.add("in memory: material in wrong places", material)
    text, key = material.hex(), uuid7()
    places: list[Any] = [text, material, [material], {"key": material}, 1 << 63]
    with RawConnection(run.cluster.proxy.port, run.cluster.app) as peer:
        for opcode in [int(opcode) for opcode in Opcode if 0 < opcode < 0x0400] + [0x7777]:
            for place in places:
                for body in (
                    [place],
                    [key, place],
                    [key, place, place, place, place],
                    [key, "aes-256", material, place],
                ):
                    answer = peer.request(opcode, body)
                    if answer.status >> 8:
                        run.say("answer", answer.detail)
            answer = peer.request(opcode, material)
            run.say("answer", str(answer.body[0]))


def reload_configurations(run: Run) -> None:
    """SIGHUP with configurations that are wrong, that hold the master key itself, and that are right."""
    cluster = run.cluster
    master = cluster.master_key.read_text().strip()
    node, proxy = cluster.nodes[0], cluster.proxy
    good, good_proxy = node.config.read_text(), proxy.config.read_text()
    longer = run.given / "longer.key"
    longer.touch(mode=0o600)
    longer.write_text(master + "00\n")
    open_key = run.given / "open.key"
    open_key.write_text(master + "\n")
    open_key.chmod(0o644)
    bad = [
        good.replace("keystore =", f'keystore = "{master}" #'),
        good.replace("keystore =", f"keystore = {master} #"),
        good + f'[{master}]\nx = 1\n"',
        good.replace(str(cluster.master_key), str(longer)),
        good.replace(str(cluster.master_key), str(open_key)),
        "",
    ]
    for number, text in enumerate(bad):
        odd = run.given / f"node-{number}.toml"
        odd.write_text(text)
        checked = subprocess.run(
            [*node.command()[:-1], str(odd), "--check"], capture_output=True, check=False, timeout=DEADLINE_S
        )
        run.say("check", checked.stdout + checked.stderr)
        assert checked.returncode == 2
        node.config.write_text(text)
        os.kill(node.pid, signal.SIGHUP)
        wait_until(lambda n=number: node.log().count("reload failed") > n, lambda: "the reload fails")  # type: ignore[misc]
    files = [longer, open_key, *(run.given / f"node-{number}.toml" for number in range(len(bad)))]
    run.secrets.allow("master key", *files)
    node.config.write_text(good)
    proxy.config.write_text(good_proxy + f'\n[{master}]\nx = "')
    os.kill(proxy.pid, signal.SIGHUP)
    wait_until(lambda: "reload failed" in proxy.log(), lambda: "the reload fails")
    proxy.config.write_text(good_proxy)
    for program in (node, proxy):
        loaded = program.log().count("configuration loaded")
        os.kill(program.pid, signal.SIGHUP)
        wait_until(
            lambda p=program, n=loaded: p.log().count("configuration loaded") > n,  # type: ignore[misc]
            lambda: "the configuration is loaded",
        )


def rotate_the_master_key(run: Run) -> None:
    """Put everything under another master key, and leave the old one."""
    cluster = run.cluster
    new = cluster.folder / "next.key"
    new.touch(mode=0o600)
    new.write_text(chance.token_hex(32) + "\n")
    run.secrets.add("next master key", bytes.fromhex(new.read_text()), new)
    sources = [f'{{ file = "{cluster.master_key}" }}'] * 2 + ["{ shares = {} }"]
    for node, source in zip(cluster.nodes, sources, strict=True):
        keystore = f'{{ master_key = {source}, next_master_key = {{ file = "{new}" }} }}'
        cluster.write_node(node, keystore=keystore)
        os.kill(node.pid, signal.SIGHUP)

    async def main() -> None:
        async with connect(cluster.config_of("operator")) as operator:
            await until(operator, lambda seen: all(len(node.held) == 2 for node in seen.nodes))
            run.ctl("master-key", "rotate", client="operator")
            await until(operator, lambda seen: seen.settled and not seen.left)

    cluster.run(main)
    run.ctl("master-key", "status", client="operator", code=None)
    for node in cluster.nodes[:2]:
        cluster.write_node(node, keystore=f'{{ master_key = {{ file = "{new}" }} }}')


async def until(operator: Hsm, condition: Callable[[MasterKeyStatus], bool]) -> None:
    """Ask until the nodes say so."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition(await operator.request(Opcode.MASTER_KEY_STATUS, Empty(), MasterKeyStatus)):
            await asyncio.sleep(0.1)


def kept_in_the_cluster(run: Run) -> None:
    """Add what never leaves the nodes: keys of the master keys and of the store."""
    cluster = run.cluster
    ring = Keyring(bytes.fromhex((cluster.folder / "next.key").read_text()))
    old = Keyring(bytes.fromhex(cluster.master_key.read_text()))
    with contextlib.closing(SqliteStore(cluster.store, NAME, ring)):
        for name in ("_naming_key", "_digest_key", "_ledger_key"):
            run.secrets.add(f"in the cluster: {name}", getattr(ring, name))
    for age, keys in (("old", old), ("new", ring)):
        [derived] = keys._held.values()
        for name in ("_kek", "_mac_key"):
            run.secrets.add(f"in the cluster: {age} {name}", getattr(derived, name))
        run.secrets.add(f"in the cluster: {age} attribute key", bytes(derived.attributes._algorithm.key))
        run.secrets.add(f"in the cluster: {age} KEK of the store's keys", derived.attributes._store_kek)


def test_the_search_finds_every_form_of_a_secret() -> None:
    secret = random.Random(5).randbytes(40)
    number = int.from_bytes(secret, "big")
    for text in (
        secret,
        b"x" + secret.hex().encode(),
        secret.hex(" ").encode(),
        secret.hex().upper().encode(),
        *(base64.b64encode(bytes(shift) + secret + b"yz") for shift in range(3)),
        base64.urlsafe_b64encode(secret),
        repr([secret]).encode(),
        json.dumps({"traceback": repr(secret)}).encode(),
        repr(list(secret)).encode(),
        repr(secret[:13]).encode(),
        repr(secret[-14:]).encode(),
    ):
        assert any(form in text for form in forms(secret)), text
    assert any(form in str(number).encode() for form in forms(number))
    words = [hashlib.sha256(secret + bytes([i])).hexdigest()[:6] for i in range(20)]
    assert any(form in " ".join(words[6:]).encode() for form in forms(" ".join(words)))

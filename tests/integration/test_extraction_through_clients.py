"""Attacks of tests/hsm_node/test_extraction_attacks.py as somebody has them at hand: the library and hsmctl."""

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hsmctl_forks import run_hsmctl_text

from hsm_client import Hsm, connect
from hsm_client.errors import BadData, BadRequest, HsmError
from hsm_client.policies import policy
from hsm_wire import parameters as p
from hsm_wire.mechanisms import CKM_SHA256
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

pytestmark = pytest.mark.other_loop_in_system

WRAPPING = Usage.WRAP | Usage.UNWRAP
EXPORTABLE = policy(exportable=True)
OAEP = p.OaepParameters(CKM_SHA256, p.CKG_MGF1_SHA256)
Attack = Callable[[Hsm], Coroutine[Any, Any, None]]


async def refused(work: Coroutine[Any, Any, Any]) -> Status:
    """Return the status of what the library raises."""
    with pytest.raises(HsmError) as raised:
        await work
    return Status(raised.value.status)


async def trojan_wrapping_keys(hsm: Hsm) -> None:
    """Clulow: wrap by a key that the attacker knows."""
    target = await hsm.generate_key("aes-128", policy=EXPORTABLE)
    secret = await hsm.import_key("aes-256", os.urandom(32), usage=WRAPPING)
    assert await refused(secret.wrap(target)) is Status.KEY_USAGE
    own = rsa.generate_private_key(65537, 3072)
    material = own.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    pair = await hsm.import_key("rsa-3072", material, usage=WRAPPING)
    assert await refused(pair.wrap(target, "rsa-oaep", parameters=OAEP)) is Status.KEY_USAGE
    public = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(BadData):
        await hsm.import_key("rsa-3072", public, usage=Usage.WRAP)


async def wrap_and_decrypt(hsm: Hsm) -> None:
    """Clulow: decrypt what was wrapped, with the same key, with a copy of it, with one that was derived twice."""
    with pytest.raises(BadRequest):
        await hsm.generate_key("aes-256", usage=Usage.WRAP | Usage.DECRYPT)
    transport = await hsm.generate_key("aes-256", usage=WRAPPING)
    wrapped = await transport.wrap(await hsm.generate_key("aes-256", policy=EXPORTABLE))
    assert await refused(transport.decrypt(wrapped, iv=bytes(12))) is Status.KEY_USAGE
    for usage in (Usage.WRAP, WRAPPING, Usage.WRAP | Usage.DECRYPT):
        with pytest.raises(BadRequest):
            await hsm.unwrap_key(wrapped, transport, "aes-kwp", "aes-256", usage=usage)
    base = await hsm.generate_key("secret-256")
    await base.hkdf("aes-256", info=b"twice", usage=Usage.DECRYPT)
    with pytest.raises(BadRequest):
        await base.hkdf("aes-256", info=b"twice", usage=Usage.WRAP)


async def flags_set_later(hsm: Hsm) -> None:
    """Tookan: make a key exportable afterwards, or a copy of it more than it was."""
    key = await hsm.generate_key("aes-256")
    with pytest.raises(BadRequest):
        await key.update(policy=EXPORTABLE)
    transport = await hsm.generate_key("aes-256", usage=WRAPPING)
    assert await refused(transport.wrap(key)) is Status.KEY_USAGE
    wrapped = await transport.wrap(await hsm.generate_key("aes-256", policy=EXPORTABLE))
    more = policy(caller_iv=True)
    work = hsm.unwrap_key(wrapped, transport, "aes-kwp", "aes-256", policy=more)
    assert await refused(work) is Status.KEY_USAGE


@pytest.mark.parametrize("attack", [trojan_wrapping_keys, wrap_and_decrypt, flags_set_later], ids=lambda a: a.__name__)
def test_the_library_has_no_key_in_the_clear_by(shared: Cluster, attack: Attack) -> None:
    async def main() -> None:
        async with connect(shared.client_config) as hsm:
            await attack(hsm)

    shared.run(main)


def test_hsmctl_has_no_key_in_the_clear_by_a_trojan_and_signs_with_no_key_by_anothers_label(
    shared: Cluster, tmp_path: Path
) -> None:
    environment = {**os.environ, "HSM_CLIENT_CONFIG": str(shared.client_config)}

    def hsmctl(*arguments: object, code: int = 0) -> str:
        done = run_hsmctl_text(*arguments, environment=environment)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout.strip()

    known = tmp_path / "known"
    known.write_bytes(os.urandom(32))
    label = f"target-{os.urandom(4).hex()}"
    trojan = hsmctl("key", "import", "--in", known, "--type", "aes-256", "--usage", "wrap", "--usage", "unwrap")
    hsmctl("key", "generate", "--type", "ec-p256", "--label", label, "--exportable")
    said = hsmctl("key", "wrap", label, "--with", trojan, "--out", tmp_path / "wrapped", code=1)
    assert "made here" in said
    assert not (tmp_path / "wrapped").exists()
    hsmctl("key", "generate", "--type", "ec-p256", "--label", label)
    signing = ("sign", "--key", label, "--mechanism", "ecdsa-sha256", "--in", known, "--out", tmp_path / "signature")
    assert label in hsmctl(*signing, code=1)
    assert not (tmp_path / "signature").exists()

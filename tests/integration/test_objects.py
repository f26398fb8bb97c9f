"""Certificates, public keys and data beside keys: client library, command line, proxy and nodes."""

import asyncio
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cluster import Cluster
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hsmctl_forks import run_hsmctl_text

from hsm_client import errors, sync
from hsm_client.client import connect
from hsm_wire.limits import MAX_FIND_LIMIT, MAX_OBJECT_BYTES

pytestmark = pytest.mark.other_loop_in_system


def certificate_for(key: sync.Key, hsm: sync.Hsm) -> bytes:
    """Return a certificate of a key in the cluster, signed by it, in DER."""
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stored")]), datetime.now(UTC)
    private = hsm.private_key(key.id)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(minutes=1))
    return builder.not_valid_after(now + timedelta(hours=1)).sign(private, hashes.SHA256()).public_bytes(Encoding.DER)


def hsmctl(cluster: Cluster, *arguments: str | Path, code: int = 0) -> str:
    """Run a command as the client `app`; return what it printed, or its error."""
    done = run_hsmctl_text(*arguments, "--config", cluster.client_config, environment=os.environ)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def test_a_certificate_and_a_public_key_are_stored_beside_their_key(shared: Cluster) -> None:
    with sync.connect(shared.client_config) as hsm:
        key = hsm.generate_key("ec-p256", label="stored")
        certificate = certificate_for(key, hsm)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for kind, value in (("certificate", certificate), ("public-key", public)):
            stored = hsm.create_object(kind, value, label="stored", object_id=key.id if kind == "certificate" else None)
            assert hsm.object(stored.id).value() == value
        assert {found.kind for found in hsm.find_objects(label="stored")} == {"certificate", "public-key"}
        assert [found.id for found in hsm.find_objects(label="stored", kind="certificate")] == [key.id]
        assert hsm.key("stored").id == key.id, "labels of objects are not those of keys"
        for kind in ("certificate", "public-key"):
            with pytest.raises(errors.BadRequest):
                hsm.create_object(kind, certificate + b"\0")


def test_what_one_request_changed_the_next_one_sees_whichever_node_serves_it(shared: Cluster) -> None:
    async def main() -> None:
        async with connect(shared.client_config) as hsm:
            stored = await hsm.create_object("data", b"0", label="changes")
            for number in range(1, 20):
                info = await stored.update(value=b"%d" % number, expected_version=number)
                assert info.version == number + 1
                assert set(await asyncio.gather(*(stored.value() for _ in range(8)))) == {b"%d" % number}
            with pytest.raises(errors.KeyChanged):
                await stored.update(label="x", expected_version=3)
            await stored.destroy()
            for refused in await asyncio.gather(*(stored.value() for _ in range(8)), return_exceptions=True):
                assert isinstance(refused, errors.KeyNotFound)
            with pytest.raises(errors.KeyNotFound):
                await hsm.object("changes")
            with pytest.raises(errors.KeyExists):
                await hsm.create_object("data", b"another", object_id=stored.id)

    shared.run(main)


def test_values_of_every_size_come_back_and_pages_are_complete(shared: Cluster) -> None:
    async def main() -> None:
        async with connect(shared.client_config) as hsm:
            for size in (0, 1, MAX_OBJECT_BYTES):
                value = os.urandom(size)
                stored = await hsm.create_object("data", value, label="sizes")
                assert await stored.value() == value
            with pytest.raises(errors.BadRequest):
                await hsm.create_object("data", bytes(MAX_OBJECT_BYTES + 1))
            count = MAX_FIND_LIMIT + 10
            made = await asyncio.gather(*(hsm.create_object("data", b"v", label="pages") for _ in range(count)))
            found = await hsm.find_objects(label="pages")
            assert [each.id for each in found] == sorted(each.id for each in made)
            await asyncio.gather(*(each.destroy() for each in made))
            assert await hsm.find_objects(label="pages") == []

    shared.run(main)


def test_roles_and_partitions_are_held_to(shared: Cluster) -> None:
    with sync.connect(shared.client_config) as hsm:
        stored = hsm.create_object("data", b"for all of the partition", label="held")
    with sync.connect(shared.config_of("reader")) as reader:
        assert reader.object("held").value() == b"for all of the partition"
        for forbidden in (
            lambda: reader.create_object("data", b"v"),
            lambda: reader.object("held").update(label="x"),
            lambda: reader.object("held").destroy(),
        ):
            with pytest.raises(errors.Denied):
                forbidden()
    with sync.connect(shared.config_of("other")) as other:
        assert other.find_objects(label="held") == []
        with pytest.raises(errors.KeyNotFound):
            other.object(stored.id)
        assert other.create_object("data", b"theirs", object_id=stored.id).value() == b"theirs"
    with sync.connect(shared.client_config) as hsm:
        assert hsm.object(stored.id).value() == b"for all of the partition"


def test_objects_from_the_command_line(shared: Cluster, tmp_path: Path) -> None:
    with sync.connect(shared.client_config) as hsm:
        der = certificate_for(hsm.generate_key("ec-p256"), hsm)
    pem, read = tmp_path / "tls.pem", tmp_path / "read.pem"
    pem.write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
    create = ["object", "create", "--kind", "certificate", "--in", pem, "--label", "from-the-shell"]
    object_id = hsmctl(shared, *create).strip()
    hsmctl(shared, "object", "read", "from-the-shell", "--out", read)
    assert read.read_bytes() == pem.read_bytes()
    listed = json.loads(hsmctl(shared, "object", "list", "--label", "from-the-shell", "--json"))
    assert [each["id"] for each in listed] == [object_id]
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    said = hsmctl(shared, "object", "update", object_id, "--in", wrong, code=2)
    assert len(said.strip().splitlines()) == 1
    hsmctl(shared, "object", "update", object_id, "--label", "renamed")
    assert json.loads(hsmctl(shared, "object", "show", "renamed", "--json"))["version"] == 2
    hsmctl(shared, "object", "destroy", "renamed", "--yes")
    assert "hsmctl object list" in hsmctl(shared, "object", "show", "renamed", code=1)


def test_objects_outlive_every_node_and_a_lost_one_is_not_noticed(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(nodes=2)
    with sync.connect(cluster.client_config) as hsm:
        kept = hsm.create_object("data", b"kept", label="kept")
        gone = hsm.create_object("data", b"gone", label="gone")
        cluster.nodes[0].kill()
        gone.destroy()
        assert [hsm.object("kept").value() for _ in range(10)] == [b"kept"] * 10
        for node in cluster.nodes:
            node.kill()
            node.start()
            node.wait_ready()
        cluster.wait_in_rotation()
        assert hsm.object(kept.id).value() == b"kept"
        with pytest.raises(errors.KeyNotFound):
            hsm.object(gone.id)

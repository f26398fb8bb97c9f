"""No object that holds a secret shows it: not by repr, not by str, not in a traceback, in no part of the project."""

import dataclasses
import importlib
import inspect
import logging
import os
import pkgutil
import traceback
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from hsm_daemon.log_format import LogfmtFormatter
from hsm_node.backends import software
from hsm_node.backends.base import LoadedKey, Outcome
from hsm_node.backends.check_key import CheckKey
from hsm_node.backends.loaded_keys import LoadedKeys
from hsm_node.backends.pkcs11.adopted_key import AdoptedKey
from hsm_node.backends.pkcs11.device_keys import device_key
from hsm_node.backends.pkcs11.key_templates import FAMILIES
from hsm_node.core.derived_keys import DerivedKeys
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import Origin, check_new_key, new_record
from hsm_wire.key_types import KEY_TYPES, Family
from hsm_wire.messages import GenerateKey

PACKAGES = ("hsm_wire", "hsm_cluster", "hsm_daemon", "hsm_client", "proxy", "hsm_node", "hsmctl")
SECRET = b"\x00the secret bytes"
SHOWN = "the secret"
SHOW_BYTES = {
    "hsm_client.keys.Encapsulated": "a ciphertext",
    "hsm_client.keys.Encrypted": "a ciphertext",
    "hsm_client.sync_keys.Encapsulated": "a ciphertext",
    "hsm_client.new_keys.KeyFields": "an id",
    "hsm_daemon.admin.AdminAnswer": "a page for whoever asks",
    "hsm_daemon.tls.PeerIdentity": "a fingerprint of a certificate",
    "hsm_node.core.backups.Part": "wrapped records",
    "hsm_node.core.confirmations.Known": "which process has a node's name",
    "hsm_node.core.envelopes.Opened": "a body that is still encrypted",
    "hsm_node.core.envelopes._Envelope": "a row of the store",
    "hsm_node.core.ledger.Snapshot": "what seen.db has",
    "hsm_node.core.lifecycle.NewKey": "an id",
    "hsm_node.core.lifecycle.Origin": "the cluster's id",
    "hsm_node.core.lifecycle.WrappedKey": "wrapped material",
    "hsm_node.core.master_keys.MasterKeysRecord": "fingerprints",
    "hsm_node.core.node_states.NodeStateRecord": "the cluster's id and marks of requests",
    "hsm_node.core.offers.OffersRecord": "the cluster's id",
    "hsm_node.core.restoring.Home": "the cluster's id",
    "hsm_node.core.statements.Confirmation": "which process has a node's name",
    "hsm_node.core.statements.Registration": "which process has a node's name",
    "hsm_node.core.statements.Told": "what nodes tell each other",
    "hsm_node.core.statements.Word": "which process has a node's name",
    "hsm_node.core.statements._Sealed": "what nodes tell each other",
    "hsm_node.core.tombstones.Buried": "digests",
    "hsm_node.service.key_makers._Way": "an id",
    "hsm_node.service.key_writer.Made": "wrapped material and a ciphertext",
    "proxy.config.Sources": "files that name keys and hold none",
    "proxy.workers.messages.Page": "a page for whoever asks",
    "hsm_node.service.drill_run._Opened": "the name of a row, and a record, which hides what it has",
    "hsm_node.store.base.Row": "a row of the store",
    "hsm_node.store.check_record.CheckRecord": "wrapped keys",
    "hsm_node.store.check_record.ClusterRow": "the cluster's id",
    "hsm_node.store.etcd.follow_state.Change": "a row of the store",
    "hsm_node.store.etcd.opening.Checked": "a MAC",
    "hsm_node.store.etcd.opening._Kept": "a MAC",
    "hsm_node.store.migration.mark.Mark": "the cluster's id",
    "hsmctl.bench.requests.Prepared": "a request of bench, whose data is not anybody's",
    "hsmctl.known_answers.Vector": "published",
    "hsmctl.proxies.Answer": "a certificate",
    "proxy.core.requests.poison.Ban": "an id",
    "proxy.core.principals._Key": "a fingerprint of a certificate",
}
"""Classes whose repr shows bytes, and what those are instead of a secret."""


def classes() -> Iterator[type]:
    """Give every class of the project."""
    for package in PACKAGES:
        root = importlib.import_module(package)
        for found in pkgutil.walk_packages(root.__path__, f"{package}."):
            if not found.name.endswith("__main__"):
                module = importlib.import_module(found.name)
                yield from (c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == found.name)


def fields_of(kind: type) -> dict[str, str] | None:
    """Return the fields of a class that is made of fields, with their types as text; None for another one."""
    hints = {name: str(hint) for base in reversed(kind.__mro__) for name, hint in inspect.get_annotations(base).items()}
    if issubclass(kind, msgspec.Struct):
        return {name: hints.get(name, "") for name in kind.__struct_fields__}
    if dataclasses.is_dataclass(kind):
        return {field.name: hints.get(field.name, "") for field in dataclasses.fields(kind)}
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return {name: hints.get(name, "") for name in kind._fields}
    return None


def shows_bytes(kind: type) -> bool:
    """Say whether the repr of such an object shows the bytes that it was made of, but for ids."""
    fields = fields_of(kind)
    if fields is not None:
        fields = {name: "" if "Callable" in hint else hint for name, hint in fields.items()}
    if fields is None or not any("bytes" in hint or "Raw" in hint or "msgpack" in hint for hint in fields.values()):
        return False
    values = {name: SECRET if "bytes" in hint or "Raw" in hint else 1 for name, hint in fields.items()}
    values |= {name: [SECRET] for name, hint in fields.items() if "list[bytes" in hint or "tuple[bytes" in hint}
    try:
        made = kind(**values)
    except TypeError:
        made = kind(*values.values())
    return any(SHOWN in text for text in (repr(made), str(made), f"{made}"))


def test_no_class_shows_the_bytes_it_holds_but_those_that_hold_no_secret() -> None:
    found = {f"{kind.__module__}.{kind.__qualname__}" for kind in classes() if shows_bytes(kind)}
    assert sorted(found - set(SHOW_BYTES)) == []
    assert sorted(set(SHOW_BYTES) - found) == [], "these show nothing any more: shorten the list"


NO_LINK: Any = None
"""Keys in a device are not used here."""


def everything_that_works(material: bytes) -> Iterator[object]:
    """Give one of each object that holds keys, made of these bytes where it can be."""
    ring = Keyring(material[:32])
    yield from (ring, DerivedKeys(material[:32]), CheckKey(), LoadedKeys())
    back_end = software.SoftwareBackend(ring, Outcome(software.IMPLEMENTED, ()))
    yield back_end
    for row in KEY_TYPES.values():
        if row.name not in ("rsa-3072", "rsa-4096", "rsa-6144", "rsa-8192"):
            wanted = check_new_key(GenerateKey(os.urandom(16), row.name), set(KEY_TYPES))
            record = new_record(wanted, back_end.generate(row), Origin(bytes(16), 1, 1, 0), bytes(32))
            yield from (record, back_end.load(record))
            if row.family in FAMILIES:
                yield device_key(NO_LINK, record)
            if row.family is Family.ED:
                there = msgspec.structs.replace(record, device_object="label", adopted_at="node-1")
                key = device_key(NO_LINK, there)
                yield from (key, AdoptedKey(key, "label"))


def test_no_key_at_work_shows_more_than_its_class() -> None:
    kinds = set()
    for made in everything_that_works(os.urandom(64)):
        for text in (repr(made), str(made)):
            assert "b'" not in text
            assert 'b"' not in text
        if isinstance(made, LoadedKey):
            assert repr(made) == f"{type(made).__name__}(<secret>)"
            kinds.add(type(made))
    below = {kind for kind in classes() if issubclass(kind, LoadedKey) and not kind.__subclasses__()}
    assert kinds == below, "a class of keys that this test does not make"


@pytest.mark.parametrize("error", [ValueError("no text of ours"), KeyError(b"place"), MemoryError()], ids=repr)
def test_a_traceback_shows_no_values(error: Exception) -> None:
    """What Python and the log print of an error are places and lines of code, and the error's own text."""

    def work(_material: bytes, _held: Any) -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        work(SECRET, Keyring(bytes(32)))
    found = (raised.type, raised.value, raised.tb)
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), found)
    for text in (LogfmtFormatter("test").format(record), "".join(traceback.format_exception(*found))):
        assert "Traceback" in text
        assert SHOWN not in text

import contextlib
import os

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, mlkem, rsa, x448, x25519

from hsm_node.backends.private_keys import PrivateKey, at_work, check_none, generated, imported, pkcs8, public_info
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES, Family
from hsm_wire.statuses import Status

ASYMMETRIC = [row.name for row in KEY_TYPES.values() if not row.symmetric and (row.family is not Family.RSA)]
ONE_OF_EACH: dict[str, PrivateKey] = {
    "rsa-2048": rsa.generate_private_key(65537, 2048),
    "ec-p256": ec.generate_private_key(ec.SECP256R1()),
    "ec-secp256k1": ec.generate_private_key(ec.SECP256K1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ed448": ed448.Ed448PrivateKey.generate(),
    "x25519": x25519.X25519PrivateKey.generate(),
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate(),
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate(),
    "ml-kem-768": mlkem.MLKEM768PrivateKey.generate(),
    "ml-kem-1024": mlkem.MLKEM1024PrivateKey.generate(),
}


@pytest.mark.parametrize("name", ["rsa-2048", *ASYMMETRIC])
def test_what_is_made_is_what_is_imported(name: str) -> None:
    material = pkcs8(generated(KEY_TYPES[name]))
    private = imported(KEY_TYPES[name], material)
    assert pkcs8(private) == material
    s.load_der_public_key(public_info(private))
    assert repr(at_work(material)).endswith("(<secret>)")


@pytest.mark.parametrize("name", sorted(ONE_OF_EACH))
def test_a_key_is_imported_as_its_own_type_only(name: str) -> None:
    material = pkcs8(ONE_OF_EACH[name])
    for row in KEY_TYPES.values():
        if row.symmetric:
            continue
        if row.name == name:
            imported(row, material)
            continue
        with pytest.raises(Refusal) as refused:
            imported(row, material)
        assert refused.value.status is Status.BAD_DATA


@pytest.mark.parametrize("name", ["ml-dsa-44", "ml-kem-768"])
def test_post_quantum_keys_are_kept_as_their_seeds(name: str) -> None:
    private = ONE_OF_EACH[name]
    assert isinstance(private, mldsa.MLDSA44PrivateKey | mlkem.MLKEM768PrivateKey)
    assert pkcs8(private).endswith(private.private_bytes_raw())


@pytest.mark.parametrize("name", ASYMMETRIC)
@pytest.mark.parametrize("material", [b"", b"0", bytes(100), pkcs8(ONE_OF_EACH["ec-p256"])[:-1]])
def test_what_is_no_pkcs8_is_refused(name: str, material: bytes) -> None:
    with pytest.raises(Refusal, match="not an unencrypted PKCS#8") as refused:
        imported(KEY_TYPES[name], material)
    assert refused.value.status is Status.BAD_DATA


def test_encrypted_keys_and_types_that_nobody_has_are_refused() -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    locked = private.private_bytes(s.Encoding.DER, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"password"))
    other = x448.X448PrivateKey.generate().private_bytes(s.Encoding.DER, s.PrivateFormat.PKCS8, s.NoEncryption())
    for material, reason in ((locked, "not an unencrypted"), (other, "not a key of type ed25519")):
        with pytest.raises(Refusal, match=reason):
            imported(KEY_TYPES["ed25519"], material)


@pytest.mark.parametrize("name", ["rsa-2048", "ec-p256", "ec-secp256k1"])
def test_older_forms_without_the_name_of_the_algorithm_are_refused(name: str) -> None:
    older = ONE_OF_EACH[name].private_bytes(s.Encoding.DER, s.PrivateFormat.TraditionalOpenSSL, s.NoEncryption())
    with pytest.raises(Refusal, match="not an unencrypted PKCS#8"):
        imported(KEY_TYPES[name], older)


@pytest.mark.parametrize("oid", ["2b656f", "2b6571"], ids=["X448", "Ed448"])
def test_a_key_that_is_too_short_for_what_it_says_to_be_is_refused(oid: str) -> None:
    material = pkcs8(ONE_OF_EACH["ed25519"]).replace(bytes.fromhex("2b6570"), bytes.fromhex(oid))
    for name in ("ed25519", "ed448"):
        with pytest.raises(Refusal) as refused:
            imported(KEY_TYPES[name], material)
        assert refused.value.status is Status.BAD_DATA
    check_none(material)


def test_algorithms_that_no_key_here_has_do_not_reach_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    material = pkcs8(ONE_OF_EACH["rsa-2048"])
    monkeypatch.setattr(s, "load_der_private_key", None)
    for number in ("0a", "02", "ff"):  # RSASSA-PSS, an encryption, nothing
        other = material.replace(bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a864886f70d0101" + number))
        with pytest.raises(Refusal, match="not a key of type rsa-2048"):
            imported(KEY_TYPES["rsa-2048"], other)


@pytest.mark.parametrize("name", sorted(ONE_OF_EACH))
def test_every_beginning_of_a_key_and_every_changed_byte_of_its_head_is_refused_or_a_key(name: str) -> None:
    material = pkcs8(ONE_OF_EACH[name])
    changed = [material[:end] for end in range(48)]
    for place in range(min(48, len(material))):
        changed += [material[:place] + bytes([byte]) + material[place + 1 :] for byte in (0, 1, 0x30, 0x71, 0x80, 0xFF)]
    for one in changed:
        with contextlib.suppress(Refusal):
            imported(KEY_TYPES[name], one)


@pytest.mark.parametrize("name", sorted(ONE_OF_EACH))
def test_a_private_key_is_not_taken_for_the_bytes_of_a_secret_one(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_none(pkcs8(ONE_OF_EACH[name]))
    assert refused.value.status is Status.BAD_DATA
    for material in (bytes(32), os.urandom(16), b"", b"0" * 48):
        check_none(material)

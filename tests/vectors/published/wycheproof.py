"""The Wycheproof project's vectors, which look for what implementations get wrong. `acceptable` ones are left out."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from published.case import Case, made_and_verified, target_type
from published.curves import agreement
from published.forms import Row, ec_material, kept, seed_material, unhex
from published.rsa import DIGEST_INFO, EXPONENT, HASHES, MASKS, PKCS1, oaep_case, opened
from published.symmetric import MIN_HMAC_BYTES, hkdf_keys

from hsm_wire import mechanisms as ckm
from hsm_wire import parameters as p
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

MIN_SECRET_BYTES = 16
"""Of what keys are derived from."""


def _rows(name: str) -> Iterator[tuple[str, Row, bool]]:
    """Yield (name, row, whether it is good) of each test that says so."""
    for row in kept("wycheproof.json")[name]:
        if row["result"] != "acceptable":
            yield f"Wycheproof {name} {row['tcId']}", row, row["result"] == "valid"


def ciphers() -> Iterator[Case]:
    """AES-GCM, and CBC with padding."""
    for name, row, good in _rows("aes_gcm"):
        sealed, iv = unhex(row, "ct") + unhex(row, "tag"), unhex(row, "iv")
        parameters = p.GcmParameters(iv, unhex(row, "aad"), row["tagSize"])
        allowed = 8 <= len(iv) <= 128 and row["tagSize"] == 128
        failing = None if good else Status.BAD_DATA
        yield from _both_ways(
            name, ckm.CKM_AES_GCM, row, sealed, parameters, Status.BAD_REQUEST if not allowed else failing,
            by_policy=not allowed,
        )  # fmt: skip
    for name, row, good in _rows("aes_cbc_pkcs5"):
        refused = None if good else Status.BAD_DATA
        yield from _both_ways(
            name, ckm.CKM_AES_CBC_PAD, row, unhex(row, "ct"), p.IvParameters(unhex(row, "iv")), refused
        )


def _both_ways(
    name: str,
    mechanism: int,
    row: Row,
    sealed: bytes,
    parameters: p.Parameters,
    refused: Status | None,
    *,
    by_policy: bool = False,
) -> Iterator[Case]:
    key, plain = unhex(row, "key"), unhex(row, "msg")
    case = Case(name, Usage.DECRYPT, mechanism, f"aes-{8 * len(key)}", key, sealed, parameters)
    yield replace(case, expected=plain, refused=refused, by_policy=by_policy)
    if refused is None:
        yield replace(case, usage=Usage.ENCRYPT, data=plain, expected=sealed)


def macs() -> Iterator[Case]:
    """CMAC and HMAC, of the full length."""
    for name, mechanism in (
        ("aes_cmac", ckm.CKM_AES_CMAC),
        ("hmac_sha256", ckm.CKM_SHA256_HMAC),
        ("hmac_sha384", ckm.CKM_SHA384_HMAC),
        ("hmac_sha512", ckm.CKM_SHA512_HMAC),
    ):
        cmac = mechanism == ckm.CKM_AES_CMAC
        for title, row, good in _rows(name):
            key, tag = unhex(row, "key"), unhex(row, "tag")
            if row["tagSize"] != (128 if cmac else int(name[-3:])) or (cmac and len(key) not in (16, 24, 32)):
                continue
            key_type = f"aes-{8 * len(key)}" if cmac else name.replace("_sha", "-")
            case = Case(title, Usage.SIGN, mechanism, key_type, key, unhex(row, "msg"))
            if not cmac and len(key) < MIN_HMAC_BYTES:
                yield replace(case, refused=Status.BAD_DATA, by_policy=True)
            elif good:
                yield from made_and_verified(replace(case, expected=tag))
            else:
                yield replace(case, usage=Usage.VERIFY, signature=tag, refused=Status.BAD_SIGNATURE)


def derivations() -> Iterator[Case]:
    """HKDF, with each hash."""
    for bits in (256, 384, 512):
        for name, row, good in _rows(f"hkdf_sha{bits}"):
            secret = unhex(row, "ikm")
            parameters = p.HkdfParameters(HASHES[f"SHA{bits}"], unhex(row, "salt"), unhex(row, "info"))
            if good and len(secret) >= MIN_SECRET_BYTES:
                yield from hkdf_keys(name, secret, parameters, unhex(row, "okm"))
            elif good:
                [case, *_] = (*hkdf_keys(name, secret, parameters, bytes(32)),)
                yield replace(case, refused=Status.BAD_DATA, by_policy=True)


def agreements() -> Iterator[Case]:
    """ECDH, whose peers are anything that somebody may send; X25519."""
    for curve, key_type in (
        ("secp256r1", "ec-p256"),
        ("secp384r1", "ec-p384"),
        ("secp521r1", "ec-p521"),
        ("secp256k1", "ec-secp256k1"),
    ):
        for name, row, good in _rows(f"ecdh_{curve}"):
            material = ec_material(key_type, int(row["private"], 16))
            refused = None if good else Status.BAD_DATA
            yield agreement(name, key_type, material, unhex(row, "public"), unhex(row, "shared"), refused=refused)
    for row in kept("wycheproof.json")["x25519_asn"]:
        zeros = "ZeroSharedSecret" in row["flags"]
        if row["result"] == "acceptable" and not zeros and "Twist" not in row["flags"]:
            continue
        yield agreement(
            f"Wycheproof x25519_asn {row['tcId']}", "x25519", unhex(row, "private"), unhex(row, "public"),
            unhex(row, "shared"), refused=Status.BAD_DATA if zeros or row["result"] == "invalid" else None,
        )  # fmt: skip


def key_wraps() -> Iterator[Case]:
    """KW and KWP, of keys that can be keys here."""
    for name, mechanism in (("aes_wrap", ckm.CKM_AES_KEY_WRAP), ("aes_kwp", ckm.CKM_AES_KEY_WRAP_KWP)):
        for title, row, good in _rows(name):
            key, opened_key, wrapped = (unhex(row, field) for field in ("key", "msg", "ct"))
            key_type, short = f"aes-{8 * len(key)}", len(opened_key) < MIN_HMAC_BYTES
            new = target_type(opened_key, key_type)
            case = Case(title, Usage.UNWRAP, mechanism, key_type, key, wrapped, new_key_type=new)
            if not good or short:
                yield replace(case, refused=Status.BAD_DATA, by_policy=good)
            else:
                yield replace(case, expected=opened_key)
                yield replace(case, usage=Usage.WRAP, data=opened_key, expected=wrapped)


def rsa_decryption() -> Iterator[Case]:
    """OAEP; PKCS#1 v1.5, where wrong padding gives something else than the message, and no error."""
    for name in kept("wycheproof.json"):
        if not name.startswith("rsa_oaep"):
            continue
        bits, hashed = int(name.split("_")[2]), name.split("_")[3].upper()
        for title, row, good in _rows(name):
            parameters = p.OaepParameters(HASHES[hashed], MASKS[hashed], unhex(row, "label"))
            case = oaep_case(title, bits, unhex(row, "privateKeyPkcs8"), parameters, unhex(row, "ct"))
            if good:
                yield from opened(replace(case, expected=unhex(row, "msg")))
            else:
                yield replace(case, refused=Status.BAD_DATA)
    for bits in (2048, 3072, 4096):
        for title, row, good in _rows(f"rsa_pkcs1_{bits}"):
            material, ciphertext = unhex(row, "privateKeyPkcs8"), unhex(row, "ct")
            case = Case(title, Usage.DECRYPT, ckm.CKM_RSA_PKCS, f"rsa-{bits}", material, ciphertext)
            rejected = not good and "InvalidPkcs1Padding" in row["flags"]
            refused = None if good or rejected else Status.BAD_DATA
            yield replace(case, expected=unhex(row, "msg"), refused=refused, unlike=rejected)


@cache
def _exponent(material: bytes) -> int:
    private = serialization.load_der_private_key(material, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(private, RSAPrivateKey)
    return private.public_key().public_numbers().e


def rsa_signatures() -> Iterator[Case]:
    """PKCS#1 v1.5 signatures that are made, with keys that are sometimes odd."""
    for bits in (2048, 3072, 4096):
        for row in kept("wycheproof.json")[f"rsa_pkcs1_{bits}_sig_gen"]:
            hashed, material = row["sha"].replace("-", ""), unhex(row, "privateKeyPkcs8")
            if hashed not in DIGEST_INFO:
                continue
            title = f"Wycheproof rsa_pkcs1_{bits}_sig_gen {row['tcId']}"
            case = Case(title, Usage.SIGN, PKCS1[hashed], f"rsa-{bits}", material, unhex(row, "msg"))
            if _exponent(material) < EXPONENT:
                yield replace(case, refused=Status.BAD_DATA, by_policy=True)
            else:
                yield from made_and_verified(replace(case, expected=unhex(row, "sig")))


def post_quantum() -> Iterator[Case]:
    """ML-DSA with keys and messages that take many steps; ML-KEM with seeds and ciphertexts that are not random."""
    for n in (44, 65, 87):
        for title, row, good in _rows(f"mldsa_{n}_sign_seed"):
            if "msg" not in row or not row.get("privateKeyPkcs8"):
                continue  # Signatures of a hash that the product does not take, and keys without their form.
            parameters = p.MlDsaParameters(unhex(row, "ctx"))
            material, message = unhex(row, "privateKeyPkcs8"), unhex(row, "msg")
            case = Case(title, Usage.VERIFY, ckm.CKM_ML_DSA, f"ml-dsa-{n}", material, message, parameters)
            if good:
                yield replace(case, signature=unhex(row, "sig"))
            else:
                yield replace(case, usage=Usage.SIGN, refused=Status.BAD_REQUEST)
    for n in (768, 1024):
        for title, row, good in _rows(f"mlkem_{n}"):
            material = seed_material(f"ml-kem-{n}", unhex(row, "seed"))
            case = Case(title, Usage.DECAPSULATE, ckm.CKM_ML_KEM, f"ml-kem-{n}", material, unhex(row, "c"))
            refused = None if good else Status.BAD_DATA
            yield replace(case, expected=unhex(row, "K"), refused=refused, new_key_type="hmac-256")

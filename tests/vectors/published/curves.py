"""ECDSA, EdDSA, ECDH and X25519: CAVP's files and the RFCs' examples."""

import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, x25519
from published.case import PUBLIC, Case, made_and_verified
from published.forms import FOLDER, blocks, ec_material, number, pkcs8, unhex

from hsm_wire import mechanisms as ckm
from hsm_wire import parameters as p
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

ECDSA = "asymmetric/ECDSA/"
NAMED = {"P-256": "ec-p256", "P-384": "ec-p384", "P-521": "ec-p521", "K-256": "ec-secp256k1"}
SIZES = {"ec-p256": 32, "ec-p384": 48, "ec-p521": 66, "ec-secp256k1": 32}
WHOLE = {"SHA-256": ckm.CKM_ECDSA_SHA256, "SHA-384": ckm.CKM_ECDSA_SHA384, "SHA-512": ckm.CKM_ECDSA_SHA512}
SPKI = {
    "ec-p256": "3059301306072a8648ce3d020106082a8648ce3d030107034200",
    "ec-p384": "3076301006072a8648ce3d020106052b81040022036200",
    "ec-p521": "30819b301006072a8648ce3d020106052b8104002303818600",
    "x25519": "302a300506032b656e032100",
}
"""SubjectPublicKeyInfo up to the point."""
KEY_PAIR = re.compile(r"^d = (\w+)\s+Qx = (\w+)\s+Qy = (\w+)", re.MULTILINE)
KEY_PAIRS = 10
"""Of each curve in the file."""


def key_pairs() -> Iterator[Case]:
    """FIPS 186-4's KeyPair: the public key of a private one."""
    path = f"{ECDSA}FIPS_186-3/KeyPair.rsp"
    for heading in ("P-256", "P-384", "P-521"):
        key_type = NAMED[heading]
        text = (FOLDER / path).read_text(encoding="utf-8").partition(f"[{heading}]")[2]
        size = SIZES[key_type]
        for index, found in enumerate(KEY_PAIR.findall(text)[:KEY_PAIRS]):
            d, x, y = (int(value, 16) for value in found)
            point = b"\x04" + x.to_bytes(size, "big") + y.to_bytes(size, "big")
            yield Case(
                f"{path} {heading} {index}",
                PUBLIC,
                ckm.CKM_ECDSA,
                key_type,
                ec_material(key_type, d),
                expected=hashlib.sha256(point).digest(),
            )


def ecdsa() -> Iterator[Case]:
    """FIPS 186-4's SigGen: signatures whose private key is published, of data and of their digest."""
    for path in (f"{ECDSA}FIPS_186-3/SigGen.txt", f"{ECDSA}SECP256K1/SigGen.txt"):
        for index, (headings, block) in enumerate(blocks(path)):
            curve, _, hashed = next(iter(headings), "").partition(",")
            if curve not in NAMED or hashed not in WHOLE or "R" not in block:
                continue
            key_type = NAMED[curve]
            size = SIZES[key_type]
            material, data = ec_material(key_type, number(block, "d")), unhex(block, "Msg")
            signature = number(block, "R").to_bytes(size, "big") + number(block, "S").to_bytes(size, "big")
            name = f"{path} {curve} {hashed} {index}"
            whole = Case(name, Usage.VERIFY, WHOLE[hashed], key_type, material, data, signature=signature)
            digest = hashlib.new(hashed.replace("-", ""), data).digest()
            yield whole
            yield replace(whole, mechanism=ckm.CKM_ECDSA, data=digest)


def ecdh() -> Iterator[Case]:
    """CAVS, dhStaticUnified: the shared secret is published, and HKDF of it is what the product makes of it."""
    curves = {"EC": "ec-p256", "ED": "ec-p384", "EE": "ec-p521"}
    for role in ("init", "resp"):
        path = f"asymmetric/ECDH/KASValidityTest_ECCStaticUnified_NOKC_ZZOnly_{role}.fax"
        for headings, block in blocks(path):
            key_type = curves.get(next(iter(headings), "").partition(" ")[0])
            result = block.get("Result", "")
            # The others' faults are in the key that is ours here (5 to 7), or in the published secret (8).
            if key_type is None or not result.startswith(("P", "F (1 ", "F (2 ")):
                continue
            size = SIZES[key_type]
            point = b"\x04" + b"".join(number(block, f"QsCAVS{axis}").to_bytes(size, "big") for axis in "xy")
            yield agreement(
                f"{path} {key_type} {block['COUNT']}",
                key_type,
                ec_material(key_type, number(block, "dsIUT")),
                bytes.fromhex(SPKI[key_type]) + point,
                number(block, "Z").to_bytes(size, "big"),
                refused=None if result.startswith("P") else Status.BAD_DATA,
            )


def x25519_agreement() -> Iterator[Case]:
    """RFC 7748, section 5.2."""
    path = "asymmetric/X25519/rfc7748.txt"
    for _, block in blocks(path):
        private = x25519.X25519PrivateKey.from_private_bytes(unhex(block, "INPUT_SCALAR"))
        peer = bytes.fromhex(SPKI["x25519"]) + unhex(block, "INPUT_U")
        yield agreement(f"{path} {block['COUNT']}", "x25519", pkcs8(private), peer, unhex(block, "OUTPUT_U"))


def agreement(
    name: str, key_type: str, material: bytes, peer: bytes, shared: bytes, *, refused: Status | None = None
) -> Case:
    """Return the case of a key that is HKDF-SHA256 of a shared secret."""
    extracted = hmac.digest(b"salt", shared, "sha256")
    return Case(
        name,
        Usage.DERIVE,
        ckm.CKM_ECDH1_DERIVE,
        key_type,
        material,
        parameters=p.EcdhParameters(peer, ckm.CKM_SHA256, b"info", b"salt"),
        expected=b"" if refused else hmac.digest(extracted, b"info\x01", "sha256"),
        refused=refused,
        new_key_type="hmac-256",
    )


def eddsa() -> Iterator[Case]:
    """Ed25519: the authors' sign.input (the first four are RFC 8032's)."""
    path = "asymmetric/Ed25519/sign.input"
    with (FOLDER / path).open(encoding="utf-8") as lines:
        for index, line in enumerate(lines):
            secret, _, message, signed = (bytes.fromhex(field) for field in line.strip().split(":")[:4])
            material = pkcs8(ed25519.Ed25519PrivateKey.from_private_bytes(secret[:32]))
            case = Case(f"{path} {index}", Usage.SIGN, ckm.CKM_EDDSA, "ed25519", material, message)
            yield from made_and_verified(replace(case, expected=signed[:64]))


def ed448_signatures() -> Iterator[Case]:
    """RFC 8032, section 7.4. The library has no context: that it is said clearly is the point."""
    path = "asymmetric/Ed448/rfc8032.txt"
    for _, block in blocks(path):
        material = pkcs8(ed448.Ed448PrivateKey.from_private_bytes(unhex(block, "SECRET")))
        case = Case(f"{path} {block['COUNT']}", Usage.SIGN, ckm.CKM_EDDSA, "ed448", material, unhex(block, "MESSAGE"))
        if "CONTEXT" in block:
            parameters = p.EddsaParameters(False, unhex(block, "CONTEXT"))
            yield replace(case, parameters=parameters, refused=Status.BAD_REQUEST, by_policy=True)
        else:
            yield from made_and_verified(replace(case, expected=unhex(block, "SIGNATURE")))

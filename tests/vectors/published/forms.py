"""The forms in which published vectors come, and the keys in them as IMPORT_KEY takes them."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cryptography_vectors
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

FOLDER = Path(cryptography_vectors.__file__).parent
CURVES: dict[str, ec.EllipticCurve] = {
    "ec-p256": ec.SECP256R1(),
    "ec-p384": ec.SECP384R1(),
    "ec-p521": ec.SECP521R1(),
    "ec-secp256k1": ec.SECP256K1(),
}
_SEED_HEADERS = {
    # PKCS#8 with the seed alone (RFC 9881, RFC 9935): version, algorithm; then the seed under the tag [0].
    "ml-dsa-44": "020100300b0609608648016503040311",
    "ml-dsa-65": "020100300b0609608648016503040312",
    "ml-dsa-87": "020100300b0609608648016503040313",
    "ml-kem-768": "020100300b0609608648016503040402",
    "ml-kem-1024": "020100300b0609608648016503040403",
}
Block = dict[str, str]
Row = dict[str, Any]


def blocks(path: str) -> Iterator[tuple[Block, Block]]:
    """Read NIST's form: (the headings in brackets that hold, the lines of `name = value` up to a blank line)."""
    headings: Block = {}
    block: Block = {}
    heading_before = False
    with (FOLDER / path).open(encoding="utf-8") as lines:
        for line in (*map(str.strip, lines), ""):
            if line.startswith("#"):
                continue
            is_heading = line.startswith("[")
            if block and (not line or is_heading):
                yield headings, block
                block = {}
            if is_heading:
                name, _, value = line.strip("[]").partition("=")
                headings = {**(headings if heading_before else {}), name.strip(): value.strip()}
            elif line:
                name, _, value = line.partition("=")
                block[name.strip()] = value.strip()
            heading_before = is_heading


def counted(path: str, first: str) -> Iterator[Block]:
    """Read lines of `name = value` of which `first` begins the next block."""
    block: Block = {}
    with (FOLDER / path).open(encoding="utf-8") as lines:
        for line in lines:
            name, _, value = line.partition("=")
            if name.strip() == first and block:
                yield block
                block = {}
            block[name.strip()] = value.strip()
    yield block


def labelled(path: str, after: str = "") -> Iterator[tuple[str, bytes]]:
    """Read RSA Laboratories' form: `# Label:` and lines of hex, from the line that begins with `after`."""
    label, text = "", ""
    begun = not after
    with (FOLDER / path).open(encoding="utf-8") as lines:
        for line in (*map(str.strip, lines), "#"):
            begun = begun or line.startswith(after)
            if not begun:
                continue
            if line.startswith("#"):
                if label and text:
                    yield label, bytes.fromhex(text.zfill(len(text) + len(text) % 2))
                label, text = line.strip("# :"), ""
            elif label:
                text += line.replace(" ", "")


@cache
def kept(name: str) -> dict[str, list[Row]]:
    """Read a file that extract.py made."""
    found = json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    shared = found.pop("shared")
    return {
        key: [{field: _unshared(value, shared) for field, value in row.items()} for row in rows]
        for key, rows in found.items()
    }


def _unshared(value: Any, shared: list[str]) -> Any:
    return shared[int(value[1:])] if isinstance(value, str) and value.startswith("@") else value


def unhex(block: Block | Row, name: str) -> bytes:
    """Return a field; an absent one is empty."""
    return bytes.fromhex(block.get(name, ""))


def number(block: Block, name: str) -> int:
    """Return a field that is a number in hex."""
    return int(block[name], 16)


def pkcs8(private: Any) -> bytes:
    """Return a private key of `cryptography` in DER."""
    return bytes(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


@cache
def ec_material(key_type: str, d: int) -> bytes:
    """Return the key of that number."""
    return pkcs8(ec.derive_private_key(d, CURVES[key_type]))


def seed_material(key_type: str, seed: bytes) -> bytes:
    """Return the key of that seed, whatever its length."""
    inner = b"\x80" + bytes([len(seed)]) + seed
    body = bytes.fromhex(_SEED_HEADERS[key_type]) + b"\x04" + bytes([len(inner)]) + inner
    return b"\x30" + bytes([len(body)]) + body


@cache
def rsa_material(n: int, e: int, d: int, p: int, q: int) -> bytes:
    """Return the key."""
    crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, *crt, rsa.RSAPublicNumbers(e, n))
    return pkcs8(numbers.private_key(unsafe_skip_rsa_key_validation=True))  # Who imports it looks at it.

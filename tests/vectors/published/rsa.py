"""RSA: CAVP's SigVer files (their keys are whole), RSA Laboratories' examples, OAEP with every pair of hashes."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from published.case import PUBLIC, Case, made_and_verified
from published.forms import Block, blocks, counted, labelled, number, rsa_material, unhex

from hsm_wire import mechanisms as ckm
from hsm_wire import parameters as p
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

RSA = "asymmetric/RSA/"
HASHES = {"SHA256": ckm.CKM_SHA256, "SHA384": ckm.CKM_SHA384, "SHA512": ckm.CKM_SHA512}
ALL_HASHES = {**HASHES, "SHA1": ckm.CKM_SHA_1, "SHA224": 0x0255}
MASKS = {"SHA256": p.CKG_MGF1_SHA256, "SHA384": p.CKG_MGF1_SHA384, "SHA512": p.CKG_MGF1_SHA512}
ALL_MASKS = {**MASKS, "SHA1": p.CKG_MGF1_SHA1, "SHA224": 5}
PKCS1 = {
    "SHA1": ckm.CKM_SHA1_RSA_PKCS,
    "SHA256": ckm.CKM_SHA256_RSA_PKCS,
    "SHA384": ckm.CKM_SHA384_RSA_PKCS,
    "SHA512": ckm.CKM_SHA512_RSA_PKCS,
}
PSS = {
    "SHA256": ckm.CKM_SHA256_RSA_PKCS_PSS,
    "SHA384": ckm.CKM_SHA384_RSA_PKCS_PSS,
    "SHA512": ckm.CKM_SHA512_RSA_PKCS_PSS,
}
DIGEST_INFO = {
    "SHA256": "3031300d060960864801650304020105000420",
    "SHA384": "3041300d060960864801650304020205000430",
    "SHA512": "3051300d060960864801650304020305000440",
}
"""DER up to the digest (RFC 8017, section 9.2, note 1)."""
EXPONENT = 65_537


def pkcs1_signatures() -> Iterator[Case]:
    """FIPS 186-2's SigVer15, and what is wrong with the encoded message alone."""
    for path in (f"{RSA}FIPS_186-2/SigVer15_186-3.rsp", f"{RSA}SigVer15EMTest.txt"):
        for name, material, test in _sig_ver(path):
            hashed = test["SHAAlg"]
            if isinstance(material, Case):
                yield material
            elif hashed in PKCS1:
                bits = material[0]
                case = Case(name, Usage.SIGN, PKCS1[hashed], f"rsa-{bits}", material[1], unhex(test, "Msg"))
                yield from _signed(case, hashed, unhex(test, "S"), good=test["Result"].startswith("P"))


def pss_signatures() -> Iterator[Case]:
    """FIPS 186-2's SigVerPSS."""
    for name, material, test in _sig_ver(f"{RSA}FIPS_186-2/SigVerPSS_186-3.rsp"):
        hashed = test["SHAAlg"]
        if isinstance(material, Case):
            yield replace(material, mechanism=ckm.CKM_SHA256_RSA_PKCS_PSS)
        elif hashed in PSS:
            bits = material[0]
            data, salt = unhex(test, "Msg"), unhex(test, "SaltVal")
            whole = Case(
                name,
                Usage.VERIFY,
                PSS[hashed],
                f"rsa-{bits}",
                material[1],
                data,
                p.PssParameters(HASHES[hashed], MASKS[hashed], len(salt)),
                signature=unhex(test, "S"),
                refused=None if test["Result"].startswith("P") else Status.BAD_SIGNATURE,
            )
            yield whole
            yield replace(whole, mechanism=ckm.CKM_RSA_PKCS_PSS, data=_digest(hashed, data))


def _digest(hashed: str, data: bytes) -> bytes:
    return hashlib.new(hashed, data).digest()


def _signed(case: Case, hashed: str, signature: bytes, *, good: bool) -> Iterator[Case]:
    """Yield a PKCS#1 signature of data, and of its DigestInfo where the product has that."""
    forms = [case]
    if hashed in DIGEST_INFO:
        info = bytes.fromhex(DIGEST_INFO[hashed]) + _digest(hashed, case.data)
        forms.append(replace(case, mechanism=ckm.CKM_RSA_PKCS, data=info))
    for form in forms:
        if good:
            yield from made_and_verified(replace(form, expected=signature))
        else:
            yield replace(form, usage=Usage.VERIFY, signature=signature, refused=Status.BAD_SIGNATURE)


def _sig_ver(path: str) -> Iterator[tuple[str, tuple[int, bytes] | Case, Block]]:
    """Yield (name, bits and key, test) of each test, or a case instead of a key that the product does not take."""
    key: Block = {}
    for index, (headings, block) in enumerate(blocks(path)):
        key |= {name: block[name] for name in ("n", "p", "q") if name in block}
        if "Result" not in block:
            continue
        bits = int(headings["mod"])
        n, e, d, first, second = (number({**key, **block}, name) for name in ("n", "e", "d", "p", "q"))
        if (d * e - 1) % math.lcm(first - 1, second - 1):
            continue  # The public exponent that the test changed is not this key's.
        name = f"{path} {bits} {index}"
        material = rsa_material(n, e, d, first, second)
        if bits < 2048 or e < EXPONENT:
            key_type = f"rsa-{max(bits, 2048)}"
            yield name, _not_taken(name, key_type, material), block
        else:
            yield name, (bits, material), block


def _not_taken(name: str, key_type: str, material: bytes) -> Case:
    return Case(name, PUBLIC, ckm.CKM_SHA256_RSA_PKCS, key_type, material, refused=Status.BAD_DATA, by_policy=True)


def laboratories() -> Iterator[Case]:
    """The 2048-bit keys of RSA Laboratories' examples: signatures with SHA-1, and encryption, of PKCS#1 v1.5; PSS."""
    example = "# Example 15: A 2048-bit RSA key pair"
    for name, _, material, test in _examples(f"{RSA}pkcs1v15sign-vectors.txt", example, "Signature"):
        case = Case(name, Usage.SIGN, ckm.CKM_SHA1_RSA_PKCS, "rsa-2048", material, test["Message to be signed"])
        yield from made_and_verified(replace(case, expected=test["Signature"]))
    for name, _, material, test in _examples(f"{RSA}pkcs1v15crypt-vectors.txt", example, "Encryption"):
        case = Case(name, Usage.DECRYPT, ckm.CKM_RSA_PKCS, "rsa-2048", material, test["Encryption"])
        yield replace(case, expected=test["Message"])
    sha_1 = p.PssParameters(ckm.CKM_SHA_1, p.CKG_MGF1_SHA1, 20)
    path = f"{RSA}pkcs-1v2-1d2-vec/pss-vect.txt"
    for name, _, material, test in _examples(path, "# Example 10: A 2048-bit RSA key pair", "Signature"):
        data = hashlib.sha1(test["Message to be signed"]).digest()
        case = Case(name, Usage.VERIFY, ckm.CKM_RSA_PKCS_PSS, "rsa-2048", material, data, sha_1)
        yield replace(case, signature=test["Signature"], refused=Status.BAD_REQUEST, by_policy=True)


def oaep() -> Iterator[Case]:
    """Every pair of hash and mask: those with SHA-1 and SHA-224 are refused."""
    for hashed in ("SHA1", "SHA224", "SHA256", "SHA384", "SHA512"):
        for mask in ("SHA1", "SHA224", "SHA256", "SHA384", "SHA512"):
            if hashed == mask == "SHA1":
                continue  # These are RSA Laboratories' own, of shorter keys.
            path = f"{RSA}oaep-custom/oaep-{mask.lower()}-{hashed.lower()}.txt"
            parameters = p.OaepParameters(ALL_HASHES[hashed], ALL_MASKS[mask])
            allowed = hashed in HASHES and mask in HASHES
            examples = _examples(path, "", "Encryption")
            for name, bits, material, test in examples if allowed else islice(examples, 1):
                case = oaep_case(name, bits, material, parameters, test["Encryption"])
                if allowed:
                    yield from opened(replace(case, expected=test["Message"]))
                else:
                    yield replace(case, refused=Status.BAD_REQUEST, by_policy=True)
    path = f"{RSA}oaep-label.txt"
    for block in counted(path, "COUNT"):
        if "KEY" in block:
            parameters = p.OaepParameters(ckm.CKM_SHA512, p.CKG_MGF1_SHA512, unhex(block, "OAEPLabel"))
            case = oaep_case(path, 2048, unhex(block, "KEY"), parameters, unhex(block, "Input"))
            yield replace(case, expected=block["Output"].strip('"').encode())


def oaep_case(name: str, bits: int, material: bytes, parameters: p.OaepParameters, ciphertext: bytes) -> Case:
    """Return a decryption whose outcome is not yet said."""
    return Case(name, Usage.DECRYPT, ckm.CKM_RSA_PKCS_OAEP, f"rsa-{bits}", material, ciphertext, parameters)


def opened(case: Case) -> Iterator[Case]:
    """Yield a decryption, and the same as the unwrapping of a key, if the plaintext is long enough for one."""
    yield case
    if len(case.expected) >= 14:
        yield replace(case, usage=Usage.UNWRAP, new_key_type="hmac-256")


def _examples(path: str, after: str, last: str) -> Iterator[tuple[str, int, bytes, dict[str, bytes]]]:
    """Yield (name, bits of the key, key, fields) of each example, which ends with the field `last`."""
    fields: dict[str, bytes] = {}
    index = 0
    for label, value in labelled(path, after):
        fields[label] = value
        if label == last:
            n, e, d, first, second = (
                int.from_bytes(fields[name], "big")
                for name in ("Modulus", "Public exponent", "Exponent", "Prime 1", "Prime 2")
            )
            yield f"{path} {index}", n.bit_length(), rsa_material(n, e, d, first, second), fields
            index += 1


def large_keys() -> Iterator[Case]:
    """RSA-6144 and RSA-8192, of which nobody has published signatures with their keys.

    The keys' primes are those of RFC 3526 and RFC 7919, the signatures what RFC 8017 (8.2.1, 9.2) says, in Python's own
    arithmetic.
    """
    primes = {4 * len(block["P"]): number(block, "P") for _, block in blocks("asymmetric/DH/rfc3526.txt")}
    for half, hashed in ((3072, "SHA256"), (4096, "SHA512")):
        first, second = primes[half], _rfc_7919_prime(half)
        n, bits = first * second, 2 * half
        d = pow(EXPONENT, -1, math.lcm(first - 1, second - 1))
        data = b"made of published primes"
        info = bytes.fromhex(DIGEST_INFO[hashed]) + _digest(hashed, data)
        encoded = b"\x00\x01" + b"\xff" * (bits // 8 - 3 - len(info)) + b"\x00" + info
        signature = _power(int.from_bytes(encoded, "big"), d, first, second).to_bytes(bits // 8, "big")
        case = Case(
            f"RFC 3526 and RFC 7919, {half} bits", Usage.SIGN, PKCS1[hashed], f"rsa-{bits}",
            rsa_material(n, EXPONENT, d, first, second), data, computed=True,
        )  # fmt: skip
        yield from made_and_verified(replace(case, expected=signature))


def _power(base: int, exponent: int, first: int, second: int) -> int:
    """Return the power modulo the product of two primes."""
    large, small = (pow(base, exponent % (prime - 1), prime) for prime in (first, second))
    return small + (large - small) * pow(second, -1, first) % first * second


def _rfc_7919_prime(bits: int) -> int:
    """Return ffdhe3072 or ffdhe4096, as the RFC's appendix A defines them."""
    offset = {3072: 2_625_351, 4096: 5_736_041}[bits]
    guard = 64
    term = e = 1 << (bits - 130 + guard)
    for divisor in range(1, bits):
        term //= divisor
        e += term
    return (1 << bits) - (1 << (bits - 64)) + (((e >> guard) + offset) << 64) - 1

"""Makes wycheproof.json and acvp.json from what others published: run it as

    python extract.py WYCHEPROOF ACVP_ML_DSA_KEYGEN ACVP_ML_DSA_SIGVER ACVP_ML_KEM_KEYGEN

with a clone of C2SP/wycheproof and three files of NIST's ACVP-Server (1.1.0.35; `internalProjection.json` of each).
Of each kind of test that Wycheproof and ACVP tell apart, a few are taken; of the public keys that seeds give, the
SHA-256. A value that several rows share stands once, in `shared`, and in the rows as "@" and its number.
"""

import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Row = dict[str, Any]

# File -> fields of the group, fields of the test, and how many to take of one kind.
TAKEN: dict[str, tuple[str, str, int]] = {
    "aes_cbc_pkcs5": ("", "key iv msg ct", 12),
    "aes_cmac": ("keySize tagSize", "key msg tag", 10),
    "aes_gcm": ("keySize tagSize", "key iv aad msg ct tag", 2),
    "aes_kwp": ("", "key msg ct", 3),
    "aes_wrap": ("", "key msg ct", 3),
    **{f"ecdh_{curve}": ("", "public private shared", 3) for curve in ("secp256r1", "secp384r1", "secp521r1")},
    "ecdh_secp256k1": ("", "public private shared", 8),
    **{f"hkdf_sha{bits}": ("", "ikm salt info size okm", 6) for bits in (256, 384, 512)},
    **{f"hmac_sha{bits}": ("keySize tagSize", "key msg tag", 15) for bits in (256, 384, 512)},
    **{f"mldsa_{n}_sign_seed": ("privateKeyPkcs8", "msg ctx sig", 1) for n in (44, 65, 87)},
    **{f"mlkem_{n}": ("", "seed c K", 2) for n in (768, 1024)},
    **{
        f"rsa_oaep_{n}_sha{bits}_mgf1sha{bits}": ("privateKeyPkcs8", "msg ct label", 20)
        for n, bits in ((2048, 256), (2048, 384), (2048, 512), (3072, 256), (3072, 512), (4096, 256), (4096, 512))
    },
    **{f"rsa_pkcs1_{n}": ("privateKeyPkcs8", "msg ct", 25) for n in (2048, 3072, 4096)},
    **{f"rsa_pkcs1_{n}_sig_gen": ("privateKeyPkcs8 sha", "msg sig", 5) for n in (2048, 3072, 4096)},
    "x25519_asn": ("", "public private shared", 5),
}
LONGEST_MESSAGE = 1024
"""Hex digits: longer ones test no mechanism more."""
OKM = 128
"""Hex digits of what HKDF makes that a key can have."""
SHARED = 200
"""Digits from which a value is worth to be shared."""


def wycheproof(folder: Path) -> dict[str, list[Row]]:
    """Return the rows of each file."""
    found = {}
    for name, (of_group, of_test, most) in TAKEN.items():
        text = (folder / "testvectors_v1" / f"{name}_test.json").read_text(encoding="utf-8")
        taken: list[Row] = []
        kinds: Counter[str] = Counter()
        for group in json.loads(text)["testGroups"]:
            if name in ("rsa_pkcs1_2048", "rsa_pkcs1_3072", "rsa_pkcs1_4096") and len(group["tests"]) < 2:
                continue  # Each has a key of its own.
            for test in group["tests"]:
                row = {field: group[field] for field in of_group.split() if field in group}
                row |= {field: test[field] for field in of_test.split() if field in test}
                row |= {"tcId": test["tcId"], "flags": test.get("flags", []), "result": test["result"]}
                if len(row.get("msg", "")) > LONGEST_MESSAGE:
                    continue
                kind = f"{row['flags']} {row['result']} {group.get('sha')} {group.get('keySize')} {group.get('ivSize')}"
                kind += f" {len(test.get('msg', '')) if 'wrap' in name or 'kwp' in name else ''}"
                kind += f" {test.get('comment', '')[:20] if 'mlkem' in name else ''} {len(test.get('ctx', ''))}"
                kinds[kind] += 1
                if kinds[kind] <= most:
                    row["okm"] = row.get("okm", "")[:OKM]
                    taken.append({field: value for field, value in row.items() if value != "" or field != "okm"})
        found[name] = taken
    return found


def acvp(ml_dsa_keys: Path, ml_dsa_verification: Path, ml_kem_keys: Path) -> dict[str, list[Row]]:
    """Return seeds with the SHA-256 of their public keys, and the signatures to verify."""
    rows: dict[str, list[Row]] = {"keyGen": [], "sigVer": []}
    for path, seed in ((ml_dsa_keys, ("seed",)), (ml_kem_keys, ("d", "z"))):
        for group, test in _tests(path):
            public = bytes.fromhex(test["pk" if "pk" in test else "ek"])
            made = {"set": group["parameterSet"].lower(), "tcId": test["tcId"]}
            made["seed"] = "".join(test[field].lower() for field in seed)
            rows["keyGen"].append({**made, "sha256": hashlib.sha256(public).hexdigest()})
    kinds = set()
    for group, test in _tests(ml_dsa_verification):
        kind = (group["parameterSet"], test["reason"])
        if kind not in kinds:
            kinds.add(kind)
            row = {"set": kind[0].lower(), "tcId": test["tcId"], "reason": kind[1], "passed": test["testPassed"]}
            hexadecimal = {"public": group["pk"], "message": test["message"], "signature": test["signature"]}
            rows["sigVer"].append(row | {name: value.lower() for name, value in hexadecimal.items()})
    return rows


def _tests(path: Path) -> list[tuple[Row, Row]]:
    groups = json.loads(path.read_text(encoding="utf-8"))["testGroups"]
    return [(group, test) for group in groups for test in group["tests"]]


def _write(name: str, rows: dict[str, list[Row]]) -> None:
    values = Counter(value for group in rows.values() for row in group for value in row.values() if _is_long(value))
    shared = [value for value, count in values.items() if count > 1]
    places = {value: f"@{index}" for index, value in enumerate(shared)}
    for group in rows.values():
        for row in group:
            row.update({field: places[value] for field, value in row.items() if _is_long(value) and value in places})
    rows = {"shared": shared, **rows}
    parts = [
        f'"{key}": [\n' + ",\n".join(json.dumps(row, separators=(",", ":")) for row in value) + "\n]"
        for key, value in rows.items()
    ]
    (HERE / name).write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _is_long(value: Any) -> bool:
    return isinstance(value, str) and len(value) > SHARED


if __name__ == "__main__":
    _write("wycheproof.json", wycheproof(Path(sys.argv[1])))
    _write("acvp.json", acvp(*map(Path, sys.argv[2:5])))

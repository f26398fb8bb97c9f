"""ML-DSA and ML-KEM: ACVP's keys, and the known answers of signatures with contexts and of decapsulation."""

import hashlib
from collections.abc import Iterator

from published.case import PUBLIC, Case
from published.forms import counted, kept, seed_material, unhex

from hsm_wire import mechanisms as ckm
from hsm_wire import parameters as p
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.usages import Usage

KEMS_OF_ONE_KIND = 100
"""Of each file's 1000, whose keys and ciphertexts are all random."""


def acvp_keys() -> Iterator[Case]:
    """ACVP's keyGen: the public key that belongs to a seed."""
    for row in kept("acvp.json")["keyGen"]:
        if row["set"] in KEY_TYPES:
            mechanism = ckm.CKM_ML_DSA if row["set"].startswith("ml-dsa") else ckm.CKM_ML_KEM
            yield Case(
                f"ACVP keyGen {row['set']} {row['tcId']}",
                PUBLIC,
                mechanism,
                row["set"],
                seed_material(row["set"], unhex(row, "seed")),
                expected=unhex(row, "sha256"),
            )


def ml_dsa() -> Iterator[Case]:
    """The known answers of FIPS 204, deterministic signatures: the product makes others and verifies these."""
    for n in (44, 65, 87):
        path, key_type = f"asymmetric/MLDSA/kat_MLDSA_{n}_det_pure.rsp", f"ml-dsa-{n}"
        for block in counted(path, "count"):
            name, material = f"{path} {block['count']}", seed_material(key_type, unhex(block, "xi"))
            public = hashlib.sha256(unhex(block, "pk")).digest()
            yield Case(name, PUBLIC, ckm.CKM_ML_DSA, key_type, material, expected=public)
            message = unhex(block, "msg")
            yield Case(
                name,
                Usage.VERIFY,
                ckm.CKM_ML_DSA,
                key_type,
                material,
                message,
                p.MlDsaParameters(unhex(block, "ctx")),
                signature=unhex(block, "sm")[: -len(message) or None],
            )


def ml_kem() -> Iterator[Case]:
    """The known answers of FIPS 203: a ciphertext, and one that nobody encapsulated (implicit rejection)."""
    for n in (768, 1024):
        path, key_type = f"asymmetric/MLKEM/kat_MLKEM_{n}.rsp", f"ml-kem-{n}"
        for block in counted(path, "count"):
            if int(block["count"]) >= KEMS_OF_ONE_KIND:
                break
            material = seed_material(key_type, unhex(block, "d") + unhex(block, "z"))
            name = f"{path} {block['count']}"
            public = hashlib.sha256(unhex(block, "pk")).digest()
            yield Case(name, PUBLIC, ckm.CKM_ML_KEM, key_type, material, expected=public)
            for kind, suffix in (("", ""), (" not encapsulated", "_n")):
                yield Case(
                    name + kind,
                    Usage.DECAPSULATE,
                    ckm.CKM_ML_KEM,
                    key_type,
                    material,
                    unhex(block, f"ct{suffix}"),
                    expected=unhex(block, f"ss{suffix}"),
                    new_key_type="hmac-256",
                )

"""Requests that two partitions send: few ids, labels and materials, the same for both, so that they always meet."""

import reprlib
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from hypothesis import strategies as st
from partition_world import Answer, made_key

from hsm_node.backends.private_keys import pkcs8, public_info
from hsm_wire import mechanisms as ckm
from hsm_wire import messages as m
from hsm_wire import objects as o
from hsm_wire import parameters as p
from hsm_wire.key_types import KEY_TYPES, Family
from hsm_wire.mechanisms import MECHANISMS, Data
from hsm_wire.messages import Policy, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import OPERATIONS
from hsm_wire.usages import PolicyFlag, Usage

KINDS: Final = ("aes-256", "aes-128", "hmac-256", "secret-256", "ec-p256", "ed25519", "rsa-3072", "ml-kem-768")
WRAPPER: Final = bytes(15) + b"\x77"
IDS: Final = {bytes(15) + bytes([number]): name for number, name in enumerate(KINDS, 1)} | {WRAPPER: "aes-256"}
"""Id -> the type that a key of this id mostly has."""
FREE: Final = {bytes(15) + bytes([number]): "aes-256" for number in range(0x80, 0x86)}
"""Ids that mostly are not used yet, for new keys."""
TYPES: Final = IDS | FREE
OPERATIONS_OF_KEYS: Final = sorted(
    opcode for opcode in OPERATIONS if 0x0100 <= opcode < 0x0400 or opcode in (Opcode.INFO, Opcode.RANDOM)
)
NAMED: Final = {"key_id", "new_key_id", "wrapping_key_id", "object_id", "after"}
"""Fields that hold ids."""


class Last(NamedTuple):
    """Stands for what this partition was last answered in that field."""

    field: str


_SHORT = reprlib.Repr()
_SHORT.maxdict, _SHORT.maxother = 20, 16


class Asked(NamedTuple):
    """A request as it is drawn."""

    opcode: int
    fields: Mapping[str, Any]

    def __repr__(self) -> str:  # In short: Hypothesis refuses to print what is too long, and has another way to it.
        return f"Asked({self.opcode:#06x}, {_SHORT.repr(dict(self.fields))})"


def material(name: str) -> bytes:
    """Return what is imported as that type: the same for everybody."""
    row = KEY_TYPES[name]
    return bytes(range(row.size // 8)) if row.symmetric else pkcs8(made_key(name))


PEER: Final = st.deferred(lambda: st.just(public_info(made_key("ec-p256"))))
ID: Final = st.sampled_from(sorted(TYPES))
LABEL: Final = st.sampled_from(["", "tls", "payments"])
FLAGS: Final = st.sampled_from([0, int(PolicyFlag.EXPORTABLE), int(PolicyFlag.EXPORTABLE), 0x7F, 0x6F])
POLICY: Final = st.builds(
    Policy,
    flags=FLAGS,
    mechanisms=st.sampled_from([[], [], [], [ckm.CKM_AES_GCM]]),
    max_uses=st.sampled_from([0, 0, 0, 2]),
    destruction_wait_s=st.sampled_from([0, 0, 60]),
)
DATA: Final = st.sampled_from([b"", b"exactly 16 bytes", bytes(32), bytes(31)])
OWN: Final = {
    "signature": st.sampled_from([Last("signature"), Last("signature"), b"", bytes(64)]),
    "wrapped": st.sampled_from([Last("wrapped"), Last("wrapped"), bytes(40)]),
    "ciphertext": st.sampled_from([Last("ciphertext"), bytes(1088)]),
}
IV: Final = st.sampled_from([Last("iv"), Last("iv"), b"", bytes(12), bytes(16)])
PARAMETERS: Final[dict[type[p.Parameters] | None, st.SearchStrategy[Any]]] = {
    None: st.none(),
    p.PssParameters: st.builds(p.PssParameters, st.just(ckm.CKM_SHA256), st.just(2), st.sampled_from([0, 32, 9999])),
    p.OaepParameters: st.builds(p.OaepParameters, st.just(ckm.CKM_SHA256), st.just(2)),
    p.GcmParameters: st.tuples(st.just(p.GcmParameters), IV),
    p.IvParameters: st.tuples(st.just(p.IvParameters), IV),
    p.CtrParameters: st.builds(p.CtrParameters, st.just(128), st.sampled_from([b"", bytes(16)])),
    p.EddsaParameters: st.builds(p.EddsaParameters),
    p.EcdhParameters: st.builds(p.EcdhParameters, PEER, st.just(ckm.CKM_SHA256)),
    p.HkdfParameters: st.builds(p.HkdfParameters, st.just(ckm.CKM_SHA256), st.sampled_from([b"", b"salt"])),
    p.MlDsaParameters: st.builds(p.MlDsaParameters),
}


def good_parameters(form: type[p.Parameters] | None, *, opening: bool) -> Any:
    """Return parameters that are taken; `opening`: of what this partition was last answered."""
    iv = Last("iv") if opening else b""
    fixed: dict[type[p.Parameters], Any] = {
        p.PssParameters: p.PssParameters(ckm.CKM_SHA256, 2, 32),
        p.OaepParameters: p.OaepParameters(ckm.CKM_SHA256, 2),
        p.GcmParameters: (p.GcmParameters, iv),
        p.IvParameters: (p.IvParameters, iv),
        p.CtrParameters: (partial(p.CtrParameters, 128), iv),
        p.EcdhParameters: p.EcdhParameters(public_info(made_key("ec-p256")), ckm.CKM_SHA256),
        p.HkdfParameters: p.HkdfParameters(ckm.CKM_SHA256, b"", b"info"),
    }
    return None if form is None else fixed.get(form)


USES: Final = {
    Opcode.SIGN: Usage.SIGN,
    Opcode.VERIFY: Usage.VERIFY,
    Opcode.ENCRYPT: Usage.ENCRYPT,
    Opcode.DECRYPT: Usage.DECRYPT,
    Opcode.WRAP_KEY: Usage.WRAP,
    Opcode.UNWRAP_KEY: Usage.UNWRAP,
    Opcode.DERIVE: Usage.DERIVE,
    Opcode.ENCAPSULATE: Usage.ENCAPSULATE,
    Opcode.DECAPSULATE: Usage.DECAPSULATE,
}


PAIRS: Final = {
    Opcode.SIGN: Opcode.VERIFY,
    Opcode.ENCRYPT: Opcode.DECRYPT,
    Opcode.WRAP_KEY: Opcode.UNWRAP_KEY,
    Opcode.ENCAPSULATE: Opcode.DECAPSULATE,
}


def fitting(key_id: bytes, usage: Usage) -> list[int]:
    """Return mechanisms for what a key of that id mostly is; one that does not fit where there is none."""
    family = KEY_TYPES[TYPES[key_id]].family
    found = [row.number for row in MECHANISMS.values() if family in row.families and row.usages & usage]
    return found or [ckm.CKM_AES_GCM]


def users(usage: Usage) -> list[bytes]:
    """Return the ids that mostly have keys for it, so often that they are drawn three times in four, and all ids."""
    wrapping = bool(usage & (Usage.WRAP | Usage.UNWRAP))
    fit = [key_id for key_id, name in IDS.items() if KEY_TYPES[name].usages & usage and wrapping == (key_id == WRAPPER)]
    return [*fit * (3 * len(IDS) // len(fit)), *IDS]


def all_usages(key_id: bytes, name: str) -> int:
    """Return everything that a key of that id and type may do."""
    wrapping = int(Usage.WRAP | Usage.UNWRAP)
    return wrapping if key_id == WRAPPER else int(KEY_TYPES[name].usages) & ~wrapping


def every_use() -> list[Asked]:
    """Return a request for every operation, mechanism and id that fit, each before what opens or checks its result."""
    found = []
    for opcode in (*PAIRS, Opcode.DERIVE):
        usage = USES[opcode]
        for key_id in dict.fromkeys(users(usage)[: -len(IDS)]):
            for number in fitting(key_id, usage):
                found += [_use(op, key_id, number) for op in (opcode, PAIRS.get(opcode)) if op is not None]
    return found


def _use(opcode: Opcode, key_id: bytes, number: int) -> Asked:
    form = MECHANISMS[number].parameters
    hashed = MECHANISMS[number].data in (Data.DIGEST, Data.DIGEST_INFO)
    opening = opcode in PAIRS.values()
    new_key_id = bytes([opcode & 0xFF, key_id[-1]]) + number.to_bytes(2, "big") + bytes(12)
    fields = {
        "wrapping_key_id": key_id,
        "key_id": new_key_id if opcode == Opcode.UNWRAP_KEY else next(iter(IDS)) if key_id == WRAPPER else key_id,
        "new_key_id": new_key_id,
        "mechanism": number,
        "parameters": good_parameters(form, opening=opening),
        "key_type": "aes-256",
        "label": "",
        "usage": 0,
        "policy": Policy(),
        "data": Last("ciphertext") if opcode == Opcode.DECRYPT else bytes(32) if hashed else b"exactly 16 bytes",
        **{name: Last(name) for name in OWN},
    }
    return Asked(opcode, {name: fields[name] for name in OPERATIONS[opcode].request.__struct_fields__})


def filling() -> st.SearchStrategy[list[tuple[int, Asked]]]:
    """Draw what the partitions begin with: most of the keys, with every usage and every policy flag, and objects."""
    return st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from(sorted(IDS))), min_size=6, max_size=24).map(
        lambda places: [(who, made) for who, key_id in places for made in _made(key_id)]
    )


def _made(key_id: bytes) -> list[Asked]:
    name = IDS[key_id]
    policy = Policy() if key_id == WRAPPER else Policy(0x7F)
    usage = all_usages(key_id, name)
    key = m.ImportKey(key_id, name, material(name), "tls", usage, policy)
    return [
        Asked(Opcode.IMPORT_KEY, msgspec.structs.asdict(key) | {"policy": policy}),
        Asked(Opcode.CREATE_OBJECT, {"object_id": key_id, "kind": o.DATA, "value": b"value", "label": "tls"}),
    ]


@st.composite
def requests(draw: st.DrawFn, opcode: int) -> Asked:
    """Draw a request of one operation, field by field of its form."""
    form = OPERATIONS[opcode].request
    fields: dict[str, Any] = {}
    for name in form.__struct_fields__:
        fields[name] = _field(draw, opcode, name, fields)
    return Asked(opcode, fields)


def any_requests() -> st.SearchStrategy[list[Asked]]:
    """Draw a request of any operation, or one that makes something and one that opens or checks it."""
    single = st.sampled_from(OPERATIONS_OF_KEYS).flatmap(requests).map(lambda asked: [asked])
    return st.one_of(single, single, st.sampled_from(sorted(PAIRS)).flatmap(_pairs))


@st.composite
def _pairs(draw: st.DrawFn, opcode: int) -> list[Asked]:
    """Draw what makes something, and what the same key does with it."""
    made = draw(requests(opcode))
    opened = draw(requests(PAIRS[Opcode(opcode)]))
    fields = {**opened.fields}
    for name in ("wrapping_key_id", "mechanism", "parameters", *(["data"] if "signature" in fields else [])):
        if name in made.fields and name in fields:
            fields[name] = made.fields[name]
    if "wrapping_key_id" not in fields:
        fields["key_id"] = made.fields["key_id"]
    if isinstance(fields["parameters"], tuple):
        fields["parameters"] = (fields["parameters"][0], Last("iv"))
    fields |= {name: Last(name) for name in OWN if name in fields}
    if opened.opcode == Opcode.DECRYPT:
        fields["data"] = Last("ciphertext")
    return [made, Asked(opened.opcode, fields)]


def _field(draw: st.DrawFn, opcode: int, name: str, fields: dict[str, Any]) -> Any:
    """Draw one field, given those before it."""
    if name in OWN:
        return draw(OWN[name])
    if not fields and opcode in USES:
        return draw(st.sampled_from(users(USES[Opcode(opcode)])))
    if name == "mechanism":
        used = fields.get("wrapping_key_id") or fields["key_id"]
        return draw(st.sampled_from(fitting(used, USES[Opcode(opcode)])))
    if name == "parameters":
        return draw(PARAMETERS[MECHANISMS[fields["mechanism"]].parameters])
    if name == "key_type" and opcode != Opcode.FIND_KEYS:
        made = fields.get("new_key_id") or fields["key_id"]
        return TYPES[made] if draw(st.integers(0, 5)) else draw(st.sampled_from(KINDS))
    if name == "material":
        return material(fields["key_type"])
    if name == "usage" and fields.get("key_type"):
        every = all_usages(fields.get("new_key_id", fields.get("key_id")), fields["key_type"])
        return draw(st.sampled_from([every, every, 0]))
    if name == "policy" and fields.get("key_id") == WRAPPER:
        return Policy() if opcode != Opcode.UPDATE_KEY else None
    return draw(_SIMPLE[opcode, name] if (opcode, name) in _SIMPLE else _ANYWHERE[name])


_ANYWHERE: Final[dict[str, st.SearchStrategy[Any]]] = {
    **dict.fromkeys(("key_id", "object_id"), ID),
    "new_key_id": st.sampled_from([*FREE, *FREE, *FREE, *IDS]),
    "after": st.one_of(st.just(b""), ID),
    "label": LABEL,
    "policy": POLICY,
    "data": DATA,
    "limit": st.sampled_from([1, 2, 256]),
    "length": st.sampled_from([1, 16]),
    "kind": st.sampled_from([o.DATA, o.DATA, o.PUBLIC_KEY]),
    "value": st.sampled_from([b"", b"value", b"another value"]),
    "expected_version": st.sampled_from([0, 0, 1, 2]),
    "wait_s": st.sampled_from([0, 0, 60]),
    "device_object": st.sampled_from(["", "a key of the device"]),
}
_SIMPLE: Final[dict[tuple[int, str], st.SearchStrategy[Any]]] = {
    (Opcode.UNWRAP_KEY, "policy"): st.sampled_from([Policy(), Policy(int(PolicyFlag.EXPORTABLE)), Policy(0x7F)]),
    (Opcode.UNWRAP_KEY, "key_id"): st.sampled_from([*FREE, *FREE, *FREE, *IDS]),
    (Opcode.WRAP_KEY, "key_id"): st.sampled_from(sorted(IDS)),
    (Opcode.DECRYPT, "data"): st.sampled_from([Last("ciphertext"), Last("ciphertext"), bytes(16), b""]),
    (Opcode.FIND_KEYS, "label"): st.one_of(st.none(), LABEL),
    (Opcode.FIND_KEYS, "key_type"): st.sampled_from([None, None, "aes-256"]),
    (Opcode.FIND_OBJECTS, "label"): st.one_of(st.none(), LABEL),
    (Opcode.FIND_OBJECTS, "kind"): st.sampled_from([None, o.DATA]),
    (Opcode.UPDATE_KEY, "label"): st.one_of(st.none(), LABEL),
    (Opcode.UPDATE_KEY, "enabled"): st.sampled_from([None, True, False]),
    (Opcode.UPDATE_KEY, "usage"): st.sampled_from([None, None, 0x2, 0x8]),
    (Opcode.UPDATE_KEY, "policy"): st.one_of(st.none(), st.none(), POLICY),
    (Opcode.UPDATE_OBJECT, "value"): st.sampled_from([None, b"new value"]),
    (Opcode.UPDATE_OBJECT, "label"): st.one_of(st.none(), LABEL),
}


def encoded(asked: Asked, last: Mapping[str, bytes]) -> bytes:
    """Return the body, with what this partition was last answered."""
    fields = {name: _filled(value, last) for name, value in asked.fields.items()}
    if "parameters" in fields:
        fields["parameters"] = _raw(fields["parameters"], last)
    return encode_body(OPERATIONS[asked.opcode].request(**fields))


def _filled(value: Any, last: Mapping[str, bytes]) -> Any:
    return last.get(value.field, b"none yet") if isinstance(value, Last) else value


def _raw(parameters: Any, last: Mapping[str, bytes]) -> msgspec.Raw:
    if parameters is None:
        return m.NIL_PARAMETERS
    if isinstance(parameters, tuple):
        form, iv = parameters
        parameters = form(_filled(iv, last))
    return msgspec.Raw(encode_body(parameters))


_DRAWN: Final = "mechanism of the last chance"
_RANDOM_SIGNATURES: Final = (Family.EC, Family.ML_DSA)
_RANDOM_PADDINGS: Final = frozenset(
    row.number for row in MECHANISMS.values() if row.parameters in (p.PssParameters, p.OaepParameters)
) | {ckm.CKM_RSA_PKCS}


def learnt(asked: Asked, answer: Answer, last: dict[str, bytes]) -> Answer:
    """Remember what an answer holds; return it with what the library drew by chance of its own as a length."""
    if _opens_chance(asked, last):
        return Answer(0, b"whatever comes of chance")
    if answer.status >> 8:
        return answer
    result = decode_body(OPERATIONS[asked.opcode].result, answer.body)
    fields = msgspec.structs.asdict(result)
    last.update({name: value for name, value in fields.items() if name in ("signature", "wrapped", "ciphertext", "iv")})
    if {"ciphertext", "wrapped"} & fields.keys():
        last[_DRAWN] = str(asked.fields.get("mechanism")).encode() if _has_chance(asked) else b""
    if _has_chance(asked):
        shown = {name: len(value) if isinstance(value, bytes) else value for name, value in fields.items()}
        return answer._replace(body=repr(shown).encode())
    return answer


def _opens_chance(asked: Asked, last: Mapping[str, bytes]) -> bool:
    """Say whether it opens what was drawn by chance with another mechanism than made it."""
    opens = asked.opcode in (Opcode.DECRYPT, Opcode.UNWRAP_KEY) and isinstance(
        asked.fields.get("data", asked.fields.get("wrapped")), Last
    )
    return opens and last.get(_DRAWN, b"") not in (b"", str(asked.fields["mechanism"]).encode())


def _has_chance(asked: Asked) -> bool:
    if asked.opcode == Opcode.ENCAPSULATE:
        return True
    mechanism = MECHANISMS.get(asked.fields.get("mechanism", 0))
    if mechanism is None or asked.opcode not in (Opcode.SIGN, Opcode.ENCRYPT, Opcode.WRAP_KEY):
        return False
    signs_by_chance = asked.opcode == Opcode.SIGN and any(f in _RANDOM_SIGNATURES for f in mechanism.families)
    return signs_by_chance or mechanism.number in _RANDOM_PADDINGS

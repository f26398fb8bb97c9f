"""For each use that the mechanism table names: a key, and a request that a node does with it.

Everything follows from the row: the family of the key, the flags that it needs, the form of the parameters, the kind
of data. A new mechanism of a known form is in without a line here.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
from key_materials import OURS, SMALLEST, material, peer_of
from wire_values import packed

from hsm_wire import mechanisms as ckm
from hsm_wire import parameters as p
from hsm_wire.key_types import KEY_TYPES, Family, KeyType
from hsm_wire.mechanisms import MECHANISMS, Data, Mechanism
from hsm_wire.messages import EncapsulateResult, EncryptResult, SignResult, WrapKeyResult, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import OPERATIONS
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag, Usage

OPCODES: Final = {
    Usage.SIGN: Opcode.SIGN,
    Usage.VERIFY: Opcode.VERIFY,
    Usage.ENCRYPT: Opcode.ENCRYPT,
    Usage.DECRYPT: Opcode.DECRYPT,
    Usage.WRAP: Opcode.WRAP_KEY,
    Usage.UNWRAP: Opcode.UNWRAP_KEY,
    Usage.DERIVE: Opcode.DERIVE,
    Usage.ENCAPSULATE: Opcode.ENCAPSULATE,
    Usage.DECAPSULATE: Opcode.DECAPSULATE,
}
"""How a key is used in each way."""
_PAIRS: Final = (
    Usage.SIGN | Usage.VERIFY,
    Usage.ENCRYPT | Usage.DECRYPT,
    Usage.WRAP | Usage.UNWRAP,
    Usage.DERIVE,
    Usage.ENCAPSULATE | Usage.DECAPSULATE,
)
"""Usages of one key: what one of them makes, the other opens."""
HASH_BYTES: Final = {ckm.CKM_SHA256: 32, ckm.CKM_SHA384: 48, ckm.CKM_SHA512: 64}
MASKS: Final = {ckm.CKM_SHA256: 2, ckm.CKM_SHA384: 3, ckm.CKM_SHA512: 4}
"""The mask generation function of each hash."""
SHA256_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")
"""DER of a DigestInfo up to its digest (RFC 8017, section 9.2)."""
WRAPPED_TYPE: Final = "aes-128"
"""Of a key that is wrapped: what every wrapping key here is strong enough for."""
MADE_TYPE: Final = "aes-256"
"""Of a key that is derived or agreed on."""
NO_FLAGS: Final = PolicyFlag(0)
AAD: Final = b"and what belongs to it"

Ask = Callable[[int, bytes], tuple[int, bytes]]
"""Sends a request as somebody with the roles use and manage, and returns its status and its body."""


@dataclass(frozen=True)
class Key:
    """What the oracle knows of a key."""

    key_type: KeyType
    usage: Usage
    flags: PolicyFlag = NO_FLAGS


@dataclass(frozen=True)
class Good:
    """A request that is done."""

    mechanism: Mechanism
    usage: Usage
    key: Key
    fields: Mapping[str, Any]
    """Of its body, by name and in order."""
    wrapped: bytes = b""
    """The material that an UNWRAP_KEY brings in."""

    @property
    def opcode(self) -> Opcode:
        """The operation."""
        return OPCODES[self.usage]

    @property
    def name(self) -> str:
        """The use, in words."""
        own = " with caller-iv" if self.key.flags & PolicyFlag.CALLER_IV else ""
        return f"{str(self.usage.name).lower()} {self.mechanism.alias} {self.key.key_type.family}{own}"

    @property
    def new_key(self) -> str | None:
        """The field that names the key to be made, if one is."""
        if self.usage is Usage.UNWRAP:
            return "key_id"
        return "new_key_id" if "new_key_id" in self.fields else None

    def body(self) -> bytes:
        """Return its body; each time for a new key."""
        return packed(list(self.fresh().values()))

    def fresh(self) -> dict[str, Any]:
        """Return the fields, with the id of a key that is not there yet."""
        fields = dict(self.fields)
        if self.new_key is not None:
            fields[self.new_key] = os.urandom(16)
        return fields


@dataclass
class Keys:
    """Makes keys, and remembers what they are."""

    ask: Ask
    made: dict[bytes, Key] = field(default_factory=dict)

    def new(self, key_type: str, usage: Usage, flags: PolicyFlag = NO_FLAGS, whose: str = OURS) -> bytes:
        """Return the id of a new key. All of one type have one material, but for `whose` they are."""
        key_id = os.urandom(16)
        body = packed([key_id, key_type, material(key_type, whose), "", int(usage), [int(flags)]])
        status, answer = self.ask(Opcode.IMPORT_KEY, body)
        assert status == Status.OK, (key_type, usage, answer)
        self.made[key_id] = Key(KEY_TYPES[key_type], usage, flags)
        return key_id


class GoodRequests:
    """The good requests of all rows, each with a key of its own."""

    def __init__(self, ask: Ask, offered: Mapping[int, int]) -> None:
        """`offered`: mechanism -> usages that the node says it has."""
        self.keys = Keys(ask)
        self._ask = ask
        self.offered = offered

    def make(self, mechanism: Mechanism, usage: Usage, family: Family, *, caller_iv: bool = False) -> Good:
        """Return the good request of one use; `caller_iv`: with a key whose nonces the caller chooses."""
        pair = next(pair for pair in _PAIRS if pair & usage)
        flags = mechanism.needed_flags(pair) | (PolicyFlag.CALLER_IV if caller_iv else NO_FLAGS)
        key_id = self.keys.new(_key_type(family, usage), pair & mechanism.usages, flags)
        parameters = good_parameters(mechanism, usage, family)
        first = "wrapping_key_id" if pair & Usage.WRAP else "key_id"
        fields = {first: key_id, "mechanism": mechanism.number, "parameters": parameters}
        good = Good(mechanism, usage, self.keys.made[key_id], fields)
        if not self.offered.get(mechanism.number, 0) & usage:
            return _with(good, data=b"", signature=b"")  # Nobody looks at it.
        return self._completed(good)

    def _completed(self, good: Good) -> Good:
        """Return the request with what its operation takes beside the parameters."""
        mechanism, usage = good.mechanism, good.usage
        new = {"new_key_id": bytes(16), "key_type": MADE_TYPE, "label": "made", "usage": 0, "policy": []}
        if usage in (Usage.SIGN, Usage.ENCRYPT):
            return _with(good, data=good_data(mechanism, usage))
        if usage is Usage.DERIVE or usage is Usage.ENCAPSULATE:
            return _with(good, **new)
        if usage is Usage.WRAP:
            return _with(good, key_id=self.keys.new(WRAPPED_TYPE, Usage.ENCRYPT, PolicyFlag.EXPORTABLE))
        made = self._opposite(good)
        if usage is Usage.VERIFY:
            signature = decode_body(SignResult, made).signature
            return _with(good, data=good_data(mechanism, Usage.SIGN), signature=signature)
        if usage is Usage.DECRYPT:
            result = decode_body(EncryptResult, made)
            parameters = _opening(mechanism, good.fields["parameters"], result.iv)
            return _with(good, parameters=parameters, data=result.ciphertext)
        if usage is Usage.UNWRAP:
            wrapped = decode_body(WrapKeyResult, made).wrapped
            new = {"wrapped": wrapped, "key_id": bytes(16), **new, "key_type": WRAPPED_TYPE}
            new.pop("new_key_id")
            return replace(_with(good, **new), wrapped=material(WRAPPED_TYPE))
        return _with(good, ciphertext=decode_body(EncapsulateResult, made).ciphertext, **new)

    def _opposite(self, good: Good) -> bytes:
        """Return what the same key makes, for the request that opens or checks it."""
        usage = next(pair for pair in _PAIRS if pair & good.usage) & ~good.usage
        parameters = good_parameters(good.mechanism, usage, good.key.key_type.family)
        other = self._completed(replace(good, usage=usage, fields={**good.fields, "parameters": parameters}))
        status, body = self._ask(other.opcode, other.body())
        assert status == Status.OK, (other.name, body)
        return body


def uses() -> Iterator[tuple[Mechanism, Usage, Family, bool]]:
    """Give every use of the mechanism table, with each family; twice where a key's policy decides about nonces."""
    for mechanism in MECHANISMS.values():
        for usage in mechanism.usages:
            for family in mechanism.families:
                yield mechanism, usage, family, False
                if usage is Usage.ENCRYPT and nonce_field(mechanism) is not None:
                    yield mechanism, usage, family, True


def nonce_field(mechanism: Mechanism) -> int | None:
    """Return the place of the nonce among the parameters, if there is one."""
    if mechanism.parameters is None:
        return None
    names = mechanism.parameters.__struct_fields__
    return next((place for place, name in enumerate(names) if name in ("iv", "counter_block")), None)


def good_parameters(mechanism: Mechanism, usage: Usage, family: Family) -> Any:
    """Return parameters with every field, that any data goes with."""
    hash_ = mechanism.hash_mechanism or ckm.CKM_SHA256
    made: dict[type[p.Parameters] | None, Callable[[], Any]] = {
        None: lambda: None,
        p.PssParameters: lambda: [hash_, MASKS[hash_], HASH_BYTES[hash_]],
        p.OaepParameters: lambda: [hash_, MASKS[hash_], b"a label"],
        p.GcmParameters: lambda: [b"", AAD, 128],
        p.IvParameters: lambda: [b""],
        p.CtrParameters: lambda: [128, b""],
        p.EddsaParameters: lambda: [False, b""],
        p.EcdhParameters: lambda: [peer_of(SMALLEST[family]), hash_, b"info", b"salt"],
        p.HkdfParameters: lambda: [hash_, b"salt", b"info"],
        p.MlDsaParameters: lambda: [b"a context"],
    }
    return made[mechanism.parameters]()


def good_data(mechanism: Mechanism, usage: Usage) -> bytes:
    """Return data to sign or to encrypt."""
    if usage is Usage.SIGN and mechanism.data is Data.DIGEST_INFO:
        return SHA256_INFO + bytes(range(32))
    if mechanism.data is Data.DIGEST:
        return bytes(range(32))
    return 3 * b"exactly 16 bytes"  # whole blocks, more than a narrow counter counts, and less than any modulus


def _opening(mechanism: Mechanism, parameters: Any, nonce: bytes) -> Any:
    """Return the parameters of the decryption: with the nonce that the node made."""
    place = nonce_field(mechanism)
    return parameters if place is None else [*parameters[:place], nonce, *parameters[place + 1 :]]


def _key_type(family: Family, usage: Usage) -> str:
    """Return the type of a row's key. RSA-2048 is weaker than any key that it has room to wrap."""
    return "rsa-3072" if family is Family.RSA and usage & (Usage.WRAP | Usage.UNWRAP) else SMALLEST[family]


def _with(good: Good, **fields: Any) -> Good:
    """Return the request with more fields, in the order of its form."""
    known = {**good.fields, **fields}
    names = _names(good.opcode)
    return replace(good, fields={name: known[name] for name in names if name in known})


def _names(opcode: Opcode) -> tuple[str, ...]:
    form: type[msgspec.Struct] = OPERATIONS[opcode].request
    return form.__struct_fields__

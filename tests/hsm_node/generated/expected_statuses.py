"""Which answer a request must get: one small oracle, from the tables of docs/protocol.md and the notes of section 7.

It collects every fault of the request. A node may name any of them, and must name one; without a fault it must do it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from good_requests import HASH_BYTES, MASKS, SHA256_INFO, Good, Key, nonce_field
from wire_values import fits, form_of, packed

from hsm_wire import limits
from hsm_wire import parameters as p
from hsm_wire.key_types import KEY_TYPES, Family
from hsm_wire.mechanisms import (
    CKM_AES_CBC,
    CKM_AES_CBC_PAD,
    CKM_AES_GCM,
    CKM_AES_KEY_WRAP,
    CKM_RSA_PKCS,
    MECHANISMS,
    Data,
    Mechanism,
)
from hsm_wire.operations import OPERATIONS
from hsm_wire.statuses import Status
from hsm_wire.usages import ALL_POLICY_FLAGS, PERMISSIONS, PolicyFlag, Usage

Statuses = set[Status]
_OPENS: Final = Usage.DECRYPT | Usage.UNWRAP | Usage.DECAPSULATE
_WRAPS: Final = Usage.WRAP | Usage.UNWRAP
_BLOCK_BYTES: Final = 16
_BAD: Final = {Status.BAD_REQUEST}
_X_PREFIX_BYTES: Final = 12
"""Of an X25519 public key's SubjectPublicKeyInfo, before the point."""
_SHORTEST_SECRET_BYTES: Final = {Family.HMAC: 14, Family.SECRET: 16}
_CONTROL: Final = "\x00\n\x1b\u202e\u2028"
"""What no label may have, of which the generator makes some."""


class Expected:
    """Knows the keys, and what the node offers."""

    def __init__(self, keys: Mapping[bytes, Key], offered: Mapping[int, int]) -> None:
        self._keys = keys
        self._offered = offered

    def statuses(self, good: Good, fields: Mapping[str, Any]) -> Statuses:
        """Return the statuses of which one must be the answer to a good request with other fields.

        Args:
            good: the request that it was made from; its key is the one that did it.
            fields: of the request.
        """
        if not fits(form_of(OPERATIONS[good.opcode].request), list(fields.values())):
            return _BAD
        mechanism = MECHANISMS.get(fields["mechanism"])
        if mechanism is None or not mechanism.usages & good.usage:
            return {Status.UNKNOWN_MECHANISM}
        if not self._offered.get(mechanism.number, 0) & good.usage:
            return {Status.MECHANISM_NOT_HERE}
        faults = self._key_faults(good, mechanism, fields)
        known = self._keys.get(_first(fields))
        good = good if known is None else replace(good, key=known)
        given = fields["parameters"]
        if not _parameters_fit(mechanism, given):
            return faults | _BAD
        if "key_type" in fields:
            faults |= _new_key_faults(good, fields)
        if faults:
            # Another key, or another mechanism: the rest cannot be told from here.
            return faults | {Status.BAD_REQUEST, Status.BAD_DATA} if mechanism is not good.mechanism else faults
        values = _filled_in(mechanism, given)
        faults = _parameter_faults(good, mechanism, values, fields) | _data_faults(good, mechanism, values, fields)
        return faults or self._results(good, mechanism, values, fields)

    def _key_faults(self, good: Good, mechanism: Mechanism, fields: Mapping[str, Any]) -> Statuses:
        """What the key itself is refused for."""
        key = self._keys.get(_first(fields))
        faults: Statuses = set()
        if key is None:
            return {Status.KEY_NOT_FOUND}
        if key.key_type.family not in mechanism.families:
            faults.add(Status.KEY_TYPE)
        if not key.usage & good.usage or mechanism.needed_flags(good.usage) & ~key.flags:
            faults.add(Status.KEY_USAGE)
        if mechanism.parameters is p.EcdhParameters and key.key_type is not good.key.key_type:
            faults.add(Status.BAD_DATA)  # The peer's key is not of its type.
        if good.usage is Usage.WRAP:
            faults |= self._target_faults(key, mechanism, self._keys.get(fields["key_id"]))
        elif good.new_key is not None and fields[good.new_key] in self._keys:
            faults.add(Status.KEY_EXISTS)
        return faults

    @staticmethod
    def _target_faults(wrapping: Key, mechanism: Mechanism, target: Key | None) -> Statuses:
        if target is None:
            return {Status.KEY_NOT_FOUND}
        faults: Statuses = set()
        if not target.flags & PolicyFlag.EXPORTABLE or target.key_type.strength > wrapping.key_type.strength:
            faults.add(Status.KEY_USAGE)
        if mechanism.number == CKM_AES_KEY_WRAP and not target.key_type.symmetric:
            faults.add(Status.BAD_DATA)  # PKCS#8 is no multiple of 8 bytes, or may be.
        return faults

    @staticmethod
    def _results(good: Good, mechanism: Mechanism, values: tuple[Any, ...], fields: Mapping[str, Any]) -> Statuses:
        """What a request without a fault is answered."""
        usage = good.usage
        data = {name: fields[name] for name in ("data", "signature", "wrapped", "ciphertext") if name in fields}
        unchanged = _first(fields) == _first(good.fields)
        unchanged &= all(good.fields[name] == value for name, value in data.items() if name != "data")
        unchanged &= _same(good, mechanism, good.fields.get("data", b""), data.get("data", b""))
        unchanged &= mechanism is good.mechanism and values == _filled_in(mechanism, good.fields["parameters"])
        if usage is Usage.VERIFY:
            return {Status.OK} if unchanged else {Status.BAD_SIGNATURE}
        if usage is Usage.ENCRYPT:
            return {Status.OK} if _ciphertext_fits(mechanism, len(fields["data"])) else {Status.TOO_LARGE}
        if usage & _OPENS and not unchanged:
            return _opened(good, mechanism)
        return {Status.OK}


def _same(good: Good, mechanism: Mechanism, one: bytes, two: bytes) -> bool:
    """Say whether two data are the same to the mechanism: ECDSA takes as many bits as its order has (FIPS 186-5)."""
    if mechanism.data is Data.DIGEST and good.key.key_type.family is Family.EC:
        size = good.key.key_type.size // 8
        return one[:size] == two[:size]
    return one == two


def _opened(good: Good, mechanism: Mechanism) -> Statuses:
    """What comes of a ciphertext that nobody made, or of other parameters than it was made with."""
    if good.usage is Usage.DECAPSULATE or mechanism.number in (CKM_AES_CBC,) or mechanism.parameters is p.CtrParameters:
        return {
            Status.OK
        }  # Nothing in it is authentic: something else comes out (FIPS 203 calls that implicit rejection).
    if mechanism.number in (CKM_AES_CBC_PAD, CKM_RSA_PKCS):
        return {Status.OK, Status.BAD_DATA}  # As its padding happens to be; RSA: as it is below the modulus.
    return {Status.BAD_DATA}


def _ciphertext_fits(mechanism: Mechanism, length: int) -> bool:
    """Say whether the answer to an encryption is no larger than a frame."""
    nonce = 0 if nonce_field(mechanism) is None else 12 if mechanism.number == CKM_AES_GCM else _BLOCK_BYTES
    tag = _BLOCK_BYTES if mechanism.number == CKM_AES_GCM else 0
    padding = _BLOCK_BYTES - length % _BLOCK_BYTES if mechanism.number == CKM_AES_CBC_PAD else 0
    answer = packed([bytes(length + tag + padding), bytes(nonce)])
    return len(answer) + limits.MIN_LENGTH <= limits.DEFAULT_MAX_FRAME_BYTES


def _parameters_fit(mechanism: Mechanism, given: Any) -> bool:
    if given is None:
        return not mechanism.parameters_required
    return mechanism.parameters is not None and fits(form_of(mechanism.parameters), given)


def _filled_in(mechanism: Mechanism, given: Any) -> tuple[Any, ...]:
    """Return all values of the parameters, the defaults of those that are not given among them."""
    if mechanism.parameters is None:
        return ()
    if given is None and mechanism.parameters is p.PssParameters:  # as long as its hash, and all with it
        number = mechanism.hash_mechanism
        return (number, MASKS[number], HASH_BYTES[number])
    given = given or []
    return (*given, *(field.default for field in form_of(mechanism.parameters).fields[len(given) :]))


def _first(fields: Mapping[str, Any]) -> bytes:
    """Return the id of the key that does the work."""
    key_id: bytes = next(iter(fields.values()))
    return key_id


def _new_key_faults(good: Good, fields: Mapping[str, Any]) -> Statuses:
    """What is wrong with the key that is to be made."""
    key_type = KEY_TYPES.get(fields["key_type"])
    if key_type is None:
        return _BAD
    defaults = {"label": "", "usage": 0, "policy": []}
    label, usage, policy = (fields.get(name, default) for name, default in defaults.items())
    usage = usage or int(key_type.default_usages)
    flags, mechanisms, not_before, not_after, *_ = [*policy, *[0, [], 0, 0, 0, 0][len(policy) :]]
    wraps = usage & _WRAPS
    wrong = (
        usage & ~int(key_type.usages),
        wraps,  # what comes in wrapped or is derived never wraps
        good.usage is not Usage.UNWRAP and not key_type.symmetric,
        good.usage & (Usage.ENCAPSULATE | Usage.DECAPSULATE) and key_type.size != 256,  # all that ML-KEM gives
        any(character in label for character in _CONTROL),
        flags & ~int(ALL_POLICY_FLAGS),
        any(number not in MECHANISMS for number in mechanisms),
        not_after and not_after < not_before,
    )
    faults = _BAD if any(wrong) else set()
    if good.usage is Usage.UNWRAP:
        if flags & ~good.key.flags & int(PERMISSIONS & ~PolicyFlag.EXPORTABLE):  # nothing that its copy may not do
            faults = faults | {Status.KEY_USAGE}
        return faults | _unwrapped_faults(good, fields)
    if flags & int(PERMISSIONS) & ~good.key.flags:
        return faults | {Status.KEY_USAGE}
    return faults


def _unwrapped_faults(good: Good, fields: Mapping[str, Any]) -> Statuses:
    """What is wrong with material that comes in as a key of that type."""
    key_type, length = KEY_TYPES[fields["key_type"]], len(good.wrapped)
    shortest = _SHORTEST_SECRET_BYTES.get(key_type.family)
    right = length >= shortest if shortest else key_type.family is Family.AES and length * 8 == key_type.size
    return set() if right else {Status.BAD_DATA}


def _parameter_faults(good: Good, mechanism: Mechanism, values: tuple[Any, ...], fields: Mapping[str, Any]) -> Statuses:
    """What is wrong with values that are of the right form."""
    check = _PARAMETER_RULES.get(mechanism.parameters)
    return set() if check is None else check(good, mechanism, values, fields)


def _wrong_hash(number: int) -> Statuses:
    return set() if number in HASH_BYTES else _BAD


def _pss(good: Good, mechanism: Mechanism, values: tuple[Any, ...], _fields: Mapping[str, Any]) -> Statuses:
    hash_, mask, salt_bytes = values
    wrong = hash_ not in HASH_BYTES or mask not in MASKS.values()
    wrong = wrong or (mechanism.hash_mechanism and hash_ != mechanism.hash_mechanism)
    return _BAD if wrong or salt_bytes > good.key.key_type.size // 8 - HASH_BYTES[hash_] - 2 else set()


def _oaep(_good: Good, _mechanism: Mechanism, values: tuple[Any, ...], _fields: Mapping[str, Any]) -> Statuses:
    return _wrong_hash(values[0]) | (set() if values[1] in MASKS.values() else _BAD)


def _nonce(good: Good, mechanism: Mechanism, values: tuple[Any, ...], _fields: Mapping[str, Any]) -> Statuses:
    """AES-GCM and CBC: who chooses the nonce, and how long it is."""
    place = nonce_field(mechanism)
    assert place is not None
    nonce = values[place]
    faults: Statuses = set()
    if mechanism.number == CKM_AES_GCM and values[2] != 128:
        faults |= _BAD
    if good.usage is Usage.ENCRYPT and not nonce:
        return faults
    if good.usage is Usage.ENCRYPT and not good.key.flags & PolicyFlag.CALLER_IV:
        faults.add(Status.KEY_USAGE)
    right = range(8, 129) if mechanism.number == CKM_AES_GCM else (_BLOCK_BYTES,)
    return faults if len(nonce) in right else faults | _BAD


def _counter(good: Good, mechanism: Mechanism, values: tuple[Any, ...], fields: Mapping[str, Any]) -> Statuses:
    """AES-CTR: no counter block is used twice."""
    bits, block = values
    faults = _nonce(good, mechanism, values, fields)
    blocks = -(-len(fields["data"]) // _BLOCK_BYTES)
    first = int.from_bytes(block) % (1 << min(bits, 128))
    return faults if 1 <= bits <= 128 and first + blocks <= 1 << bits else faults | _BAD


def _eddsa(_good: Good, _mechanism: Mechanism, values: tuple[Any, ...], _fields: Mapping[str, Any]) -> Statuses:
    return _BAD if any(values) else set()  # "a node may refuse a pre-hash or a context": this one does


def _ecdh(good: Good, _mechanism: Mechanism, values: tuple[Any, ...], _fields: Mapping[str, Any]) -> Statuses:
    faults = _wrong_hash(values[1])
    right, peer = good.fields["parameters"][0], values[0]
    if good.key.key_type.family is Family.X:  # Any 32 bytes are a point, but for a few that chance does not meet.
        right, peer = (right[:_X_PREFIX_BYTES], len(right)), (peer[:_X_PREFIX_BYTES], len(peer))
    return faults if peer == right else faults | {Status.BAD_DATA}


def _hkdf(_good: Good, _mechanism: Mechanism, values: tuple[Any, ...], _fields: Mapping[str, Any]) -> Statuses:
    return _wrong_hash(values[0])


_PARAMETER_RULES: Final[dict[Any, Callable[..., Statuses]]] = {
    p.PssParameters: _pss,
    p.OaepParameters: _oaep,
    p.GcmParameters: _nonce,
    p.IvParameters: _nonce,
    p.CtrParameters: _counter,
    p.EddsaParameters: _eddsa,
    p.EcdhParameters: _ecdh,
    p.HkdfParameters: _hkdf,
}


def _data_faults(good: Good, mechanism: Mechanism, values: tuple[Any, ...], fields: Mapping[str, Any]) -> Statuses:
    """What is wrong with the data: as the mechanism table says what it takes."""
    if "data" not in fields:
        return _ciphertext_faults(good, fields)
    data, size, opens = fields["data"], good.key.key_type.size // 8, good.usage is Usage.DECRYPT
    signs = bool(good.usage & (Usage.SIGN | Usage.VERIFY))
    if mechanism.data is Data.BLOCKS:
        right = len(data) % _BLOCK_BYTES == 0
    elif mechanism.data is Data.DIGEST and mechanism.parameters is None:
        right = len(data) in HASH_BYTES.values()
    elif mechanism.data is Data.DIGEST:
        right = len(data) == HASH_BYTES.get(values[0])
    elif mechanism.data is Data.DIGEST_INFO and signs:
        right = data[:19] == SHA256_INFO and len(data) == 51
    elif good.key.key_type.family is Family.RSA and not signs:
        overhead = 11 if mechanism.data is Data.DIGEST_INFO else 2 * HASH_BYTES.get(values[0], 0) + 2
        right = len(data) == size if opens else len(data) <= size - overhead
    elif mechanism.number == CKM_AES_CBC_PAD and opens:
        right = bool(data) and len(data) % _BLOCK_BYTES == 0
    else:
        right = True
    return set() if right else {Status.BAD_DATA}


def _ciphertext_faults(good: Good, fields: Mapping[str, Any]) -> Statuses:
    """DECAPSULATE: what is as long as a ciphertext is one."""
    length = len(fields.get("ciphertext", b""))
    return set() if length == len(good.fields.get("ciphertext", b"")) else {Status.BAD_DATA}

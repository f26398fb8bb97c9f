"""The ways in which each mechanism can be used, made from the mechanism table."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

from published.rsa import DIGEST_INFO

from hsm_wire import mechanisms as ckm
from hsm_wire import parameters as p
from hsm_wire.key_types import KEY_TYPES, Family, KeyType
from hsm_wire.mechanisms import MECHANISMS, Data, Mechanism
from hsm_wire.messages import InfoResult
from hsm_wire.usages import Usage

HASHES = {ckm.CKM_SHA256: 32, ckm.CKM_SHA384: 48, ckm.CKM_SHA512: 64}
"""Number -> bytes of a digest."""
MASKS = (p.CKG_MGF1_SHA256, p.CKG_MGF1_SHA384, p.CKG_MGF1_SHA512)
LONG = bytes(range(256)) * 80
"""Above the 16 KiB up to which data is sent whole: the library sends its digest where the mechanism has that."""
PKCS1_PADDING_BYTES = 11
FAST_RSA_BITS = 4096


class Variety(NamedTuple):
    """One way."""

    mechanism: Mechanism
    key_type: KeyType
    parameters: p.Parameters | None

    def __repr__(self) -> str:
        return f"{self.mechanism.alias} {self.key_type.name} {self.parameters}"

    @property
    def slow(self) -> bool:
        """Whether a private operation takes 10 ms and more."""
        return _is_slow(self.key_type)

    def datas(self, usage: Usage) -> list[bytes]:
        """Return what is signed or encrypted: the shortest, the longest and something between."""
        kind, modulus = self.mechanism.data, self.key_type.size // 8
        if kind is Data.DIGEST:
            named = getattr(self.parameters, "hash_mechanism", 0)
            return [bytes(length) for number, length in HASHES.items() if named in (0, number)]
        if kind is Data.DIGEST_INFO and usage is Usage.SIGN:
            infos = zip(DIGEST_INFO.values(), HASHES.values(), strict=True)
            return [bytes.fromhex(prefix) + bytes(length) for prefix, length in infos]
        if kind is Data.DIGEST_INFO:
            return [b"", bytes(modulus - PKCS1_PADDING_BYTES)]
        if isinstance(self.parameters, p.OaepParameters):
            return [b"", bytes(modulus - 2 * HASHES[self.parameters.hash_mechanism] - 2)]
        return [b"", bytes(16), LONG] if kind is Data.BLOCKS else [b"", b"data", LONG]


def varieties(info: InfoResult) -> Iterator[Variety]:
    """Yield every mechanism that the cluster offers, with every type of key and kind of parameters that it has."""
    for offered in info.mechanisms:
        row = MECHANISMS[offered.number]
        for key_type in KEY_TYPES.values():
            if key_type.family in row.families:
                for parameters in _parameters(row, key_type):
                    yield Variety(row, key_type, parameters)


def _parameters(row: Mechanism, key_type: KeyType) -> Iterator[p.Parameters | None]:
    if not row.parameters_required:
        yield None
    if row.parameters is not None:
        yield from _KINDS[row.parameters](row, key_type)


def _pss(row: Mechanism, key_type: KeyType) -> Iterator[p.Parameters]:
    for number, mgf in _hashes_and_masks(key_type):
        if row.hash_mechanism in (0, number):
            longest = key_type.size // 8 - HASHES[number] - 2
            for salt in (0, HASHES[number], longest):
                yield p.PssParameters(number, mgf, salt)


def _oaep(_row: Mechanism, key_type: KeyType) -> Iterator[p.Parameters]:
    for (number, mgf), label in product(_hashes_and_masks(key_type), (b"", b"label")):
        yield p.OaepParameters(number, mgf, label)


def _hashes_and_masks(key_type: KeyType) -> list[tuple[int, int]]:
    """Return every pair; those of the same hash where the key is slow."""
    return list(zip(HASHES, MASKS, strict=True) if _is_slow(key_type) else product(HASHES, MASKS))


def _is_slow(key_type: KeyType) -> bool:
    return key_type.family is Family.RSA and key_type.size > FAST_RSA_BITS


def _gcm(_row: Mechanism, _key_type: KeyType) -> Iterator[p.Parameters]:
    for iv, aad in product((b"", b"8 bytes.", b"12 bytes....", bytes(128)), (b"", b"data", LONG)):
        yield p.GcmParameters(iv, aad)


def _ctr(_row: Mechanism, _key_type: KeyType) -> Iterator[p.Parameters]:
    for bits, block in product((128, 64, 32, 16), (b"", bytes(16))):
        yield p.CtrParameters(bits, block)


def _hkdf(_row: Mechanism, _key_type: KeyType) -> Iterator[p.Parameters]:
    for number, salt, info in product(HASHES, (b"", b"salt"), (b"", b"info")):
        yield p.HkdfParameters(number, salt, info)


def _ecdh(_row: Mechanism, _key_type: KeyType) -> Iterator[p.Parameters]:
    for number, salt, info in product(HASHES, (b"", b"salt"), (b"", b"info")):
        yield p.EcdhParameters(b"", number, info, salt)  # whoever uses it puts in the peer's key


_KINDS: dict[type[p.Parameters], Callable[[Mechanism, KeyType], Iterator[p.Parameters]]] = {
    p.PssParameters: _pss,
    p.OaepParameters: _oaep,
    p.GcmParameters: _gcm,
    p.CtrParameters: _ctr,
    p.HkdfParameters: _hkdf,
    p.EcdhParameters: _ecdh,
    p.IvParameters: lambda _row, _key_type: iter((p.IvParameters(), p.IvParameters(bytes(16)))),
    p.EddsaParameters: lambda _row, _key_type: iter((p.EddsaParameters(),)),
    p.MlDsaParameters: lambda _row, _key_type: map(p.MlDsaParameters, (b"", b"context", bytes(255))),
}

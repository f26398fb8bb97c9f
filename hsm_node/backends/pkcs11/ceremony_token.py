"""What a ceremony does at one token: the parts of a master key are made there, leave it wrapped, or come into it.

The parts are made as session objects that may leave, and only wrapped to RSA keys that tokens have made. Each token,
the one that made them too, then unwraps them into the objects of `master_key_objects`, which may not leave. So the
values are nowhere in clear but in tokens; of what is wrapped for a token only that token makes something.
"""

import contextlib
import hmac
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11 import key_templates
from hsm_node.backends.pkcs11.backend import public_info
from hsm_node.backends.pkcs11.master_key_objects import (
    ATTRIBUTES_BYTES,
    KEKS,
    Part,
    part_label,
    part_object,
    part_template,
    part_values,
)
from hsm_node.backends.pkcs11.module import DeviceError, Module
from hsm_node.backends.pkcs11.structures import Mechanism, Template, mechanism
from hsm_node.core.attribute_key import KEY_BYTES
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.mechanisms import CKM_ECDSA, CKM_RSA_PKCS_OAEP, CKM_SHA256_HMAC
from hsm_wire.parameters import OaepParameters

TRANSPORT_BITS: Final = 3072
"""RSA key that the parts travel under: as strong as 128 bits, and small enough for old tokens."""
MIN_TRANSPORT_BITS: Final = 2048
OAEP: Final = OaepParameters(0x220, 1, b"")
"""SHA-1 and MGF1 with SHA-1: the one form that SoftHSM2 has. OAEP does not need a hash without collisions."""
TRANSPORT: Final = "transport"
WITNESS: Final = "witness"
"""What is behind a master key's label in the labels of the RSA key and of the key that signs the ceremony's record."""
_CHECK: Final = b"redoubt/v1/key check"
_MAC_BYTES: Final = 32
_CHECK_BYTES: Final = 8
_WITNESS_TYPE: Final = KEY_TYPES["ec-p256"]
_ROOM_BYTES: Final = 64


class CeremonyError(Exception):
    """The token does not do it, or must not; the text is one line."""


class WrappedParts(NamedTuple):
    """The values of a master key, for one token."""

    kek: bytes
    mac: bytes
    attributes: bytes

    def __repr__(self) -> str:
        return "WrappedParts(<secret>)"


class MadeParts(NamedTuple):
    """The values as session objects of the token that made them."""

    kek: int
    mac: int
    attributes: int


class CeremonyToken:
    """One token, in a session that writes, logged in."""

    def __init__(self, module: Module, session: int, label: str, wrap_mechanism: int) -> None:
        """Work at it.

        Args:
            module: behind which it is.
            session: logged in.
            label: of the master key.
            wrap_mechanism: RFC 5649 there.
        """
        self._module = module
        self._session = session
        self._label = label
        self._kwp = mechanism(wrap_mechanism)

    def check_new(self) -> None:
        """Refuse a token that has a part of that master key already.

        Raises:
            CeremonyError: it has.
        """
        for part in Part:
            if self._find(part_label(self._label, part)):
                text = (
                    f"the token has an object {f'{self._label} {part}'!r} already; choose another label, or remove it"
                )
                raise CeremonyError(f"{text} if no store needs it")

    # How a master key comes to be

    def make(self) -> MadeParts:
        """Make the values of a new master key: nobody knows them, and they may leave wrapped."""
        may_leave: Template = {
            ck.CKA_CLASS: ck.CKO_SECRET_KEY,
            ck.CKA_TOKEN: False,
            ck.CKA_PRIVATE: True,
            ck.CKA_SENSITIVE: True,
            ck.CKA_EXTRACTABLE: True,
        }
        aes, generic = mechanism(ck.CKM_AES_KEY_GEN), mechanism(ck.CKM_GENERIC_SECRET_KEY_GEN)
        generate = self._module.generate
        return MadeParts(
            generate(self._session, aes, {**may_leave, ck.CKA_VALUE_LEN: KEY_BYTES}),
            generate(self._session, generic, {**may_leave, ck.CKA_VALUE_LEN: KEY_BYTES}),
            generate(self._session, generic, {**may_leave, ck.CKA_VALUE_LEN: ATTRIBUTES_BYTES}),
        )

    def forget(self, made: MadeParts) -> None:
        """Destroy what may leave."""
        for handle in made:
            self._module.destroy(self._session, handle)

    def wrapped(self, made: MadeParts, transport: bytes) -> WrappedParts:
        """Return the values for the token that has made this RSA key.

        Raises:
            CeremonyError: it is no RSA key that is long enough.
        """
        numbers = _transport_key(transport)
        template: Template = {
            ck.CKA_CLASS: ck.CKO_PUBLIC_KEY,
            ck.CKA_KEY_TYPE: ck.CKK_RSA,
            ck.CKA_TOKEN: False,
            ck.CKA_WRAP: True,
            ck.CKA_MODULUS: _unsigned(numbers.n),
            ck.CKA_PUBLIC_EXPONENT: _unsigned(numbers.e),
        }
        oaep = mechanism(CKM_RSA_PKCS_OAEP, OAEP)
        key = self._module.create(self._session, template)
        try:
            return WrappedParts(*(self._module.wrap(self._session, oaep, key, handle) for handle in made))
        finally:
            self._module.destroy(self._session, key)

    # How it comes into a token

    def transport_key(self) -> bytes:
        """Make the RSA key that this token's values are wrapped to; return its SubjectPublicKeyInfo."""
        self.drop_transport_key()
        label = f"{self._label} {TRANSPORT}".encode()
        public: Template = {
            ck.CKA_TOKEN: False,
            ck.CKA_MODULUS_BITS: TRANSPORT_BITS,
            ck.CKA_PUBLIC_EXPONENT: key_templates.PUBLIC_EXPONENT,
        }
        private: Template = {**_own(label), ck.CKA_UNWRAP: True, ck.CKA_DECRYPT: False, ck.CKA_SIGN: False}
        return self._pair(key_templates.generation(KEY_TYPES["rsa-3072"]), public, private, "rsa-3072")

    def take(self, wrapped: WrappedParts) -> None:
        """Make the objects of the master key of what was wrapped for this token.

        Raises:
            CeremonyError: it has no such RSA key, or what came was wrapped for another.
        """
        found = self._find(f"{self._label} {TRANSPORT}".encode())
        if len(found) != 1:
            raise CeremonyError("the token has made no transport key; begin with `join --request`")
        try:
            for part in Part:
                value = wrapped.kek if part in KEKS else wrapped.mac if part is Part.MAC else wrapped.attributes
                self._take_part(found[0], part, value)
        except DeviceError as error:
            self.drop()
            raise CeremonyError(f"what came was not wrapped for this token ({error})") from None

    def bring(self, master_key: bytes) -> None:
        """Make the objects of a master key that people or a file have."""
        for part, value in part_values(master_key).items():
            self._module.create(self._session, part_template(self._label, part, value))

    def drop(self) -> None:
        """Remove the parts again: they were not those that were meant."""
        for part in Part:
            for handle in self._find(part_label(self._label, part)):
                self._module.destroy(self._session, handle)

    def drop_transport_key(self) -> None:
        """Destroy the RSA key, which is for once."""
        for handle in self._find(f"{self._label} {TRANSPORT}".encode()):
            self._module.destroy(self._session, handle)

    def check_value(self) -> str:
        """Return the key check value: the same wherever all parts are the same. Nothing is learnt of them by it.

        Raises:
            CeremonyError: a part is missing.
        """
        handles = {part: self._part(part) for part in Part}
        mac = self._module.sign(self._session, mechanism(CKM_SHA256_HMAC), handles[Part.MAC], _CHECK, _MAC_BYTES)
        with self._known_key() as known:
            wrapped = [self._module.wrap(self._session, self._kwp, handles[kek], known) for kek in KEKS]
        given_out = self._module.attribute(self._session, handles[Part.ATTRIBUTES], ck.CKA_VALUE)
        return _check_value(mac, wrapped, given_out)

    def _take_part(self, transport: int, part: Part, value: bytes) -> None:
        """Unwrap a part, and make the object that stays of it.

        What is unwrapped in SoftHSM2 cannot be unmodifiable from the first; its copy can, and of that no copy with
        other attributes is made.
        """
        template = part_object(self._label, part)
        staying = {number: template[number] for number in (ck.CKA_TOKEN, ck.CKA_MODIFIABLE)}
        first = {number: value for number, value in template.items() if number not in (*staying, ck.CKA_COPYABLE)}
        oaep = mechanism(CKM_RSA_PKCS_OAEP, OAEP)
        handle = self._module.unwrap(self._session, oaep, transport, value, {**first, ck.CKA_TOKEN: False})
        try:
            self._module.copy(self._session, handle, staying)
        finally:
            self._module.destroy(self._session, handle)

    def trust(self, officer_pin: bytes) -> str:
        """Log out, and have the security officer mark the KEKs as trusted; return why the token refuses, or nothing.

        Nobody is logged in afterwards.

        Raises:
            CeremonyError: the PIN is not the officer's; it was tried once.
        """
        self._module.logout(self._session)
        try:
            self._module.login_officer(self._session, officer_pin)
        except DeviceError as error:
            raise CeremonyError(f"the token does not take the security officer's PIN ({error}); tried once") from None
        try:
            for kek in KEKS:
                found = self._find(part_label(self._label, kek))
                if len(found) != 1:
                    return f"the security officer does not see {kek}"
                self._module.change(self._session, found[0], {ck.CKA_TRUSTED: True})
        except DeviceError as error:
            return str(error)
        finally:
            self._module.logout(self._session)
        return ""

    # Who was there

    def witness(self) -> bytes:
        """Return SubjectPublicKeyInfo of the key that signs the record for this token; made when it is missing."""
        label = f"{self._label} {WITNESS}".encode()
        found = self._find({ck.CKA_LABEL: label, ck.CKA_CLASS: ck.CKO_PUBLIC_KEY})
        if found:
            return public_info(_WITNESS_TYPE, (self._module.attribute(self._session, found[0], ck.CKA_EC_POINT),))
        public: Template = {
            ck.CKA_TOKEN: True,
            ck.CKA_LABEL: label,
            ck.CKA_VERIFY: True,
            ck.CKA_EC_PARAMS: key_templates.CURVES[_WITNESS_TYPE.name],
        }
        private: Template = {**_own(label), ck.CKA_SIGN: True}
        return self._pair(key_templates.generation(_WITNESS_TYPE), public, private, _WITNESS_TYPE.name)

    def sign(self, text: bytes) -> bytes:
        """Return the witness key's ECDSA with SHA-256 as r || s."""
        label = f"{self._label} {WITNESS}".encode()
        [key] = self._find({ck.CKA_LABEL: label, ck.CKA_CLASS: ck.CKO_PRIVATE_KEY})
        return self._module.sign(self._session, mechanism(CKM_ECDSA), key, sha256(text).digest(), _ROOM_BYTES)

    def _pair(self, how: Mechanism, public: Template, private: Template, key_type: str) -> bytes:
        handle, _ = self._module.generate_pair(self._session, how, public, private)
        rsa_parts = (ck.CKA_MODULUS, ck.CKA_PUBLIC_EXPONENT)
        wanted = rsa_parts if key_type.startswith("rsa") else (ck.CKA_EC_POINT,)
        values = tuple(self._module.attribute(self._session, handle, number) for number in wanted)
        return public_info(KEY_TYPES[key_type], values)

    @contextlib.contextmanager
    def _known_key(self) -> Iterator[int]:
        """A key that everybody knows: what a KEK makes of it tells KEKs apart."""
        template: Template = {
            ck.CKA_CLASS: ck.CKO_SECRET_KEY,
            ck.CKA_KEY_TYPE: ck.CKK_AES,
            ck.CKA_TOKEN: False,
            ck.CKA_SENSITIVE: False,
            ck.CKA_EXTRACTABLE: True,
            ck.CKA_VALUE: bytes(KEY_BYTES),
        }
        handle = self._module.create(self._session, template)
        try:
            yield handle
        finally:
            self._module.destroy(self._session, handle)

    def _part(self, part: Part) -> int:
        found = self._find(part_label(self._label, part))
        if len(found) != 1:
            raise CeremonyError(f"the token has {len(found)} objects {f'{self._label} {part}'!r}, and needs one")
        return found[0]

    def _find(self, wanted: bytes | Template) -> list[int]:
        return self._module.find(self._session, {ck.CKA_LABEL: wanted} if isinstance(wanted, bytes) else wanted)


def check_value(master_key: bytes) -> str:
    """Return the key check value of a master key in software: that of a token with its parts."""
    values: Mapping[Part, bytes] = part_values(master_key)
    mac = hmac.digest(values[Part.MAC], _CHECK, "sha256")
    wrapped = [aes_key_wrap_with_padding(values[kek], bytes(KEY_BYTES)) for kek in KEKS]
    return _check_value(mac, wrapped, values[Part.ATTRIBUTES])


def _check_value(mac: bytes, wrapped: list[bytes], given_out: bytes) -> str:
    text = sha256(b"".join((_CHECK, mac, *wrapped, given_out))).digest()[:_CHECK_BYTES].hex()
    return "-".join(text[place : place + 4] for place in range(0, len(text), 4))


def _own(label: bytes) -> Template:
    """Return what a token's own private key is: it stays, and stays there."""
    return {
        ck.CKA_TOKEN: True,
        ck.CKA_PRIVATE: True,
        ck.CKA_LABEL: label,
        ck.CKA_SENSITIVE: True,
        ck.CKA_EXTRACTABLE: False,
    }


def _transport_key(public: bytes) -> rsa.RSAPublicNumbers:
    try:
        key = load_der_public_key(public)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < MIN_TRANSPORT_BITS:
        raise CeremonyError(f"a transport key is RSA with {MIN_TRANSPORT_BITS} bits or more; make the request anew")
    return key.public_numbers()


def _unsigned(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")

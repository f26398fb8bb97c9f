"""The C types of PKCS#11, as ctypes: the layout of 64-bit Linux, where CK_ULONG has 8 bytes and nothing is packed."""

import ctypes
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, Union

from hsm_node.backends.pkcs11.cryptoki import CKZ_DATA_SPECIFIED
from hsm_wire import parameters as wire

ULONG: Final = ctypes.c_ulong
POINTER: Final = ctypes.c_void_p

Template: TypeAlias = Mapping[int, Union[bool, int, bytes, "Template"]]
"""Attribute -> value; a template within is a wrapping or unwrapping template."""


class Version(ctypes.Structure):
    """CK_VERSION."""

    _fields_ = (("major", ctypes.c_ubyte), ("minor", ctypes.c_ubyte))


class InitializeArguments(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS."""

    _fields_ = (
        ("create", POINTER),
        ("destroy", POINTER),
        ("lock", POINTER),
        ("unlock", POINTER),
        ("flags", ULONG),
        ("reserved", POINTER),
    )


class TokenInfo(ctypes.Structure):
    """CK_TOKEN_INFO."""

    _fields_ = (
        ("label", ctypes.c_char * 32),
        ("manufacturer", ctypes.c_char * 32),
        ("model", ctypes.c_char * 16),
        ("serial", ctypes.c_char * 16),
        ("flags", ULONG),
        ("max_sessions", ULONG),
        ("sessions", ULONG),
        ("max_rw_sessions", ULONG),
        ("rw_sessions", ULONG),
        ("max_pin", ULONG),
        ("min_pin", ULONG),
        ("memory", ULONG * 4),
        ("hardware", Version),
        ("firmware", Version),
        ("time", ctypes.c_char * 16),
    )


class MechanismInfo(ctypes.Structure):
    """CK_MECHANISM_INFO."""

    _fields_ = (("min_key", ULONG), ("max_key", ULONG), ("flags", ULONG))


class Mechanism(ctypes.Structure):
    """CK_MECHANISM; what its parameter points at lives as long as it does."""

    _fields_ = (("number", ULONG), ("parameter", POINTER), ("length", ULONG))


class Attribute(ctypes.Structure):
    """CK_ATTRIBUTE."""

    _fields_ = (("type", ULONG), ("value", POINTER), ("length", ULONG))


class PssParameters(ctypes.Structure):
    """CK_RSA_PKCS_PSS_PARAMS."""

    _fields_ = (("hash", ULONG), ("mgf", ULONG), ("salt", ULONG))


class OaepParameters(ctypes.Structure):
    """CK_RSA_PKCS_OAEP_PARAMS."""

    _fields_ = (("hash", ULONG), ("mgf", ULONG), ("source", ULONG), ("label", POINTER), ("label_length", ULONG))


class GcmParameters(ctypes.Structure):
    """CK_GCM_PARAMS."""

    _fields_ = (
        ("iv", POINTER),
        ("iv_length", ULONG),
        ("iv_bits", ULONG),
        ("aad", POINTER),
        ("aad_length", ULONG),
        ("tag_bits", ULONG),
    )


class CtrParameters(ctypes.Structure):
    """CK_AES_CTR_PARAMS."""

    _fields_ = (("bits", ULONG), ("block", ctypes.c_ubyte * 16))


def mechanism(number: int, parameters: wire.Parameters | None = None) -> Mechanism:
    """Return a mechanism with the parameters that the wire gave it, in the device's form."""
    if parameters is None:
        return Mechanism(number, None, 0)
    structure = _structure(parameters)
    made = Mechanism(number, ctypes.cast(ctypes.byref(structure), POINTER), ctypes.sizeof(structure))
    made.kept = structure
    return made


def _structure(parameters: wire.Parameters) -> Any:
    match parameters:
        case wire.PssParameters(hash_mechanism, mgf, salt):
            return PssParameters(hash_mechanism, mgf, salt)
        case wire.OaepParameters(hash_mechanism, mgf, label):
            made: Any = OaepParameters(hash_mechanism, mgf, CKZ_DATA_SPECIFIED, _pointer(label), len(label))
        case wire.GcmParameters(iv, aad, bits):
            made = GcmParameters(_pointer(iv), len(iv), 8 * len(iv), _pointer(aad), len(aad), bits)
        case wire.CtrParameters(bits, block):
            return CtrParameters(bits, (ctypes.c_ubyte * 16)(*block))
        case wire.IvParameters(iv):
            return (ctypes.c_ubyte * len(iv))(*iv)
        case _:
            raise TypeError(f"{type(parameters).__name__} has no form of PKCS#11 here")
    made.kept = parameters  # its bytes are pointed at
    return made


def _pointer(data: bytes) -> Any:
    return ctypes.cast(ctypes.c_char_p(data), POINTER) if data else None


def attributes(template: Template) -> Any:
    """Return an array of CK_ATTRIBUTE; the values live as long as it does."""
    array: Any = (Attribute * len(template))()
    kept = []
    for attribute, (number, value) in zip(array, template.items(), strict=True):
        packed = _packed(value)
        kept.append(packed)
        attribute.type = number
        attribute.value = ctypes.cast(packed, POINTER) if ctypes.sizeof(packed) else None
        attribute.length = ctypes.sizeof(packed)
    array.kept = kept
    return array


def _packed(value: bool | int | bytes | Template) -> Any:
    if isinstance(value, bool):
        return (ctypes.c_ubyte * 1)(value)
    if isinstance(value, int):
        return (ULONG * 1)(value)
    if isinstance(value, bytes):
        return (ctypes.c_ubyte * len(value)).from_buffer_copy(value) if value else (ctypes.c_ubyte * 0)()
    return attributes(value)

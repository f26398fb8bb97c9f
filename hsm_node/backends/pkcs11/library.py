"""Loads a PKCS#11 module: a library, and the functions that its list names."""

import ctypes
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from hsm_node.backends.pkcs11.core.return_values import OK, meaning
from hsm_node.backends.pkcs11.structures import POINTER, ULONG

_P, _U = POINTER, ULONG
_PU: Final = ctypes.POINTER(ULONG)
_BYTES: Final = ctypes.c_char_p
_OFFSET: Final = 8
"""CK_FUNCTION_LIST begins with a version, and each pointer has 8 bytes."""
# Name -> (place in CK_FUNCTION_LIST, types of its arguments).
_FUNCTIONS: Final[dict[str, tuple[int, tuple[Any, ...]]]] = {
    "C_Initialize": (0, (_P,)),
    "C_Finalize": (1, (_P,)),
    "C_GetSlotList": (4, (ctypes.c_ubyte, _P, _PU)),
    "C_GetTokenInfo": (6, (_U, _P)),
    "C_GetMechanismList": (7, (_U, _P, _PU)),
    "C_GetMechanismInfo": (8, (_U, _U, _P)),
    "C_OpenSession": (12, (_U, _U, _P, _P, _PU)),
    "C_CloseSession": (13, (_U,)),
    "C_Login": (18, (_U, _U, _BYTES, _U)),
    "C_Logout": (19, (_U,)),
    "C_CreateObject": (20, (_U, _P, _U, _PU)),
    "C_CopyObject": (21, (_U, _U, _P, _U, _PU)),
    "C_DestroyObject": (22, (_U, _U)),
    "C_GetAttributeValue": (24, (_U, _U, _P, _U)),
    "C_SetAttributeValue": (25, (_U, _U, _P, _U)),
    "C_FindObjectsInit": (26, (_U, _P, _U)),
    "C_FindObjects": (27, (_U, _P, _U, _PU)),
    "C_FindObjectsFinal": (28, (_U,)),
    "C_EncryptInit": (29, (_U, _P, _U)),
    "C_Encrypt": (30, (_U, _BYTES, _U, _P, _PU)),
    "C_DecryptInit": (33, (_U, _P, _U)),
    "C_Decrypt": (34, (_U, _BYTES, _U, _P, _PU)),
    "C_SignInit": (42, (_U, _P, _U)),
    "C_Sign": (43, (_U, _BYTES, _U, _P, _PU)),
    "C_GenerateKey": (58, (_U, _P, _P, _U, _PU)),
    "C_GenerateKeyPair": (59, (_U, _P, _P, _U, _P, _U, _PU, _PU)),
    "C_WrapKey": (60, (_U, _P, _U, _U, _P, _PU)),
    "C_UnwrapKey": (61, (_U, _P, _U, _BYTES, _U, _P, _U, _PU)),
    "C_DeriveKey": (62, (_U, _P, _U, _P, _U, _PU)),
    "C_GenerateRandom": (64, (_U, _P, _U)),
}


class ModuleLoadError(Exception):
    """The library cannot be loaded; the text is one line."""


def load_functions(path: Path) -> dict[str, Callable[..., int]]:
    """Return the functions of a module, by name.

    Raises:
        ModuleLoadError: it is no library that this process can load, or no PKCS#11 module.
    """
    return {name: _function(pointer, name) for name, pointer in _pointers(path)}


def _pointers(path: Path) -> Iterable[tuple[str, int]]:
    try:
        library = ctypes.CDLL(str(path))
        get_list = library.C_GetFunctionList
    except OSError as error:
        raise ModuleLoadError(f"{path}: the PKCS#11 module cannot be loaded ({_reason(path, error)})") from None
    except AttributeError:
        raise ModuleLoadError(f"{path}: this library is no PKCS#11 module: it has no C_GetFunctionList") from None
    listed = POINTER()
    returned = get_list(ctypes.byref(listed))
    if returned != OK or not listed.value:
        raise ModuleLoadError(f"{path}: C_GetFunctionList returned {meaning(returned).name}")
    for name, (place, _) in _FUNCTIONS.items():
        pointer = POINTER.from_address(listed.value + _OFFSET * (place + 1)).value
        if not pointer:
            raise ModuleLoadError(f"{path}: the PKCS#11 module has no {name}")
        yield name, pointer


def _reason(path: Path, error: OSError) -> str:
    text = str(error)
    if not path.exists():
        return "there is no such file"
    if "ELF" in text or "wrong" in text or "file too short" in text or "invalid" in text:
        return "it is no library of this machine's architecture"
    return text.removeprefix(f"{path}: ")


def _function(pointer: int, name: str) -> Any:
    return ctypes.CFUNCTYPE(ULONG, *_FUNCTIONS[name][1])(pointer)

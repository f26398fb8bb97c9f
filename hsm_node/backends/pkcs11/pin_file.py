"""What is known of PINs, on disk: it outlives the node, so that no number of restarts can lock a token."""

import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec

from hsm_daemon.replaced_file import replace_file
from hsm_node.backends.pkcs11.core.pin_memory import PinMemory, begun, ended, objection
from hsm_node.backends.pkcs11.core.return_values import OK
from hsm_node.backends.pkcs11.messages import Answer, Failed

FILE: Final = "pins.json"
MAX_FILE_BYTES: Final = 4096
_SALT_BYTES: Final = 16
_COST: Final = 2**14
"""Of scrypt: 16 MiB and about 50 ms. The mark has one byte, so it is no way to a PIN; this makes it a slow one, too."""


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    salt: bytes
    memory: PinMemory

    def __repr__(self) -> str:
        return "_Content(<secret>)"


class PinFileError(Exception):
    """It cannot be read or written, so nothing may be tried; the text is one line."""


class PinFile:
    """In the state directory of one node, about its one token."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def begin(self, serial: str, pin: bytes, flags: int) -> str:
        """Note that this PIN is tried next; return why it must not be, and then nothing is noted.

        Raises:
            PinFileError: that cannot be noted.
        """
        content = self._read(serial)
        mark = _mark(content.salt, pin)
        reason = objection(content.memory, mark, flags)
        if reason:
            return f"{reason}, and remove {self._path} then" if mark in content.memory.refused else reason
        self._write(msgspec.structs.replace(content, memory=begun(content.memory, mark)))
        return ""

    def end(self, serial: str, pin: bytes, answer: Answer) -> None:
        """Note what came of it.

        Raises:
            PinFileError: that cannot be noted.
        """
        content = self._read(serial)
        # The login comes first of all: what else fails, fails after it.
        refused = isinstance(answer, Failed) and answer.function == "C_Login"
        returned = answer.number if isinstance(answer, Failed) and refused else OK
        memory = ended(content.memory, _mark(content.salt, pin), returned)
        self._write(msgspec.structs.replace(content, memory=memory))

    def _read(self, serial: str) -> _Content:
        try:
            with self._path.open("rb") as file:
                content = msgspec.json.decode(file.read(MAX_FILE_BYTES), type=_Content)
        except FileNotFoundError:
            return _Content(os.urandom(_SALT_BYTES), PinMemory(serial))
        except OSError as error:
            raise PinFileError(f"{self._path}: it cannot be read ({error.strerror}); check state_dir") from None
        except msgspec.DecodeError:
            text = f"{self._path}: it is damaged; remove it when the PIN is known to be right"
            raise PinFileError(text) from None
        # Another token in its place knows nothing of the first one's PINs.
        return content if content.memory.serial == serial else _Content(content.salt, PinMemory(serial))

    def _write(self, content: _Content) -> None:
        try:
            # A folder that is missing had another file: without that nothing may be tried.
            replace_file(self._path, msgspec.json.encode(content), makes_folder=False)
        except OSError as error:
            raise PinFileError(f"{self._path}: it cannot be written ({error.strerror}); check state_dir") from None


def _mark(salt: bytes, pin: bytes) -> int:
    """Return one byte that tells PINs apart, but for one of 256: then an operator is asked once too often."""
    return hashlib.scrypt(pin, salt=salt, n=_COST, r=8, p=1, dklen=1)[0]

"""A TOML file -> a checked form. Every mistake is one line that names the file, the key and what to do."""

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from hsm_cluster.address import Address
from hsm_cluster.errors import ConfigurationError

MAX_FILE_BYTES = 1 << 20  # a topology of thousands of clients is below this; a device file or a log is not read whole

_T = TypeVar("_T")
_AT_KEY = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<key>.*)`$", re.DOTALL)


def load_toml(path: Path, form: type[_T], content: bytes | None = None) -> _T:
    """Read `path` as `form`, strictly. An Address is written as "host:port"; a Path is taken relative to this file.

    Forms are msgspec structs with `forbid_unknown_fields=True`, so that a misspelt key is an error.

    Args:
        path: of the file.
        form: what it is to be.
        content: what was read of it before (`read_file`); None: it is read now.
    """
    folder = path.absolute().parent

    def decode(wanted: type, value: Any) -> Any:
        if not isinstance(value, str):  # msgspec adds the key to a ValueError
            raise ValueError(f"Expected text, got {type(value).__name__}")
        if wanted is Address:
            return Address.parse(value)
        if issubclass(wanted, Path):
            return folder / value
        raise NotImplementedError(f"no way to read a {wanted.__name__} from a file")

    try:
        parsed = _parse(path, read_file(path) if content is None else content)
        return msgspec.convert(parsed, form, strict=True, dec_hook=decode)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {_explain(str(error))}") from None


def _without_waiting(path: str, flags: int) -> int:
    # A pipe without a writer would hold a daemon that reads its files anew, and with it all requests.
    return os.open(path, flags | os.O_NONBLOCK)


def read_file(path: Path) -> bytes:
    """Return what the file holds.

    Raises:
        ConfigurationError: there is none, or it is no configuration file.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigurationError(f"{path}: not an ordinary file; name one")
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file; create it or name another one") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}; check the path and its rights") from None
    except ValueError:  # a zero byte
        raise ConfigurationError(f"{path}: not a file name; correct it") from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{path}: larger than {MAX_FILE_BYTES} bytes; this is not a configuration file")
    return content


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # Not TOMLDecodeError alone: a number may have too many digits.
        reason = str(error) or "nested too deeply"
        raise ConfigurationError(f"{path}: not valid TOML: {reason}; correct that place") from None


def _explain(problem: str) -> str:
    match = _AT_KEY.match(problem)
    what, key = (match["what"], match["key"]) if match else (problem, "")
    place = f"key {key}: " if key else ""
    if what.startswith("Object contains unknown field"):
        return f"{place}unknown key {what.split('`')[1]!r}; remove it or correct its spelling"
    if what.startswith("Object missing required field"):
        return f"{place}key {what.split('`')[1]!r} is missing; add it"
    what = what.replace("`", "").replace("Expected", "expected", 1)
    return f"{place}{what}; correct the value"

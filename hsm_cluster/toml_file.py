"""A TOML file -> a typed form. Unknown keys are errors."""

import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from hsm_cluster.errors import ConfigurationError

MAX_FILE_BYTES = 1 << 20
"""A configuration is read whole; a larger file is not one."""

_T = TypeVar("_T")


def load_toml(path: Path, form: type[_T]) -> _T:
    """Return the file as that form.

    Raises:
        ConfigurationError: it cannot be read, is not TOML, or does not fit the form.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); give the path of the file") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{path}: larger than {MAX_FILE_BYTES} bytes; this is not a configuration file")
    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not valid TOML ({error}); correct it") from None
    try:
        return msgspec.convert(document, form)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}; correct or remove it") from None

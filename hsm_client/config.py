"""client.toml: where the proxies are and who we are. Environment and arguments go over the file."""

import ipaddress
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hsm_client.errors import ConfigurationError

DEFAULT_PORT = 2410
SLOW_REQUEST_S = 1.0
"""As the daemons have it."""
DEFAULT_CONFIG = Path(".config") / "redoubt" / "client.toml"
"""Below the home directory."""
MAX_PROXIES = 64
"""Proxies in one configuration: more is a mistake."""


class ProxyAddress(msgspec.Struct, frozen=True):
    """Where a proxy listens."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine for certain."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class TlsFiles(msgspec.Struct, frozen=True):
    """The authority that is trusted, and this client's certificate and key."""

    ca: Path
    certificate: Path
    key: Path


class ClientConfig(msgspec.Struct, frozen=True):
    """What a client needs to know. `tls` is None where TLS is off."""

    proxies: tuple[ProxyAddress, ...]
    tls: TlsFiles | None
    slow_request_s: float = SLOW_REQUEST_S
    """A request that took this long has a line in the log at level INFO; 0: none has."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """client.toml as it is written."""

    proxies: list[str] = []
    """`HOST:PORT`, at most 64; without a port 2410. The first is chosen at random, the next when it is lost."""
    ca: str = ""
    """Whom we trust: a PEM file, relative to this one, as are the next two."""
    certificate: str = ""
    """Who we are: its URI SAN is an identity of cluster.toml."""
    key: str = ""
    """The key that proves it, without a password."""
    tls: Literal["off", "on"] = "on"
    """`"off"` needs no files, and is for proxies on loopback."""
    slow_request_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = SLOW_REQUEST_S
    """A request that took this long has a line in the log of the library, `hsm_client` at level INFO; 0: none has."""


def parse_address(text: str) -> ProxyAddress:
    """Return the address that HOST, HOST:PORT or [IPV6]:PORT names."""
    text = text.strip()
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(DEFAULT_PORT)
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigurationError(f"{text!r} is no proxy address; write HOST:PORT, e.g. 127.0.0.1:{DEFAULT_PORT}")
    return ProxyAddress(host, int(port))


def load_config(
    config: "str | Path | ClientConfig | None" = None,
    proxies: "Sequence[str] | str | None" = None,
    environment: Mapping[str, str] | None = None,
) -> ClientConfig:
    """Find and read the configuration.

    The file is `config`, HSM_CLIENT_CONFIG or ~/.config/redoubt/client.toml; the proxies are `proxies`, HSM_PROXY
    or the file's.

    Raises:
        ConfigurationError: one line that says what is wrong and what to do.
    """
    environment = os.environ if environment is None else environment
    wanted = proxies if proxies is not None else environment.get("HSM_PROXY") or None
    texts = wanted.split(",") if isinstance(wanted, str) else wanted
    over = tuple(parse_address(text) for text in texts) if texts is not None else ()
    if isinstance(config, ClientConfig):
        return _checked(msgspec.structs.replace(config, proxies=over or config.proxies), "the configuration")
    path = Path(config or environment.get("HSM_CLIENT_CONFIG") or Path.home() / DEFAULT_CONFIG).expanduser()
    file = _read(path)
    found = over or tuple(parse_address(text) for text in file.proxies)
    return _checked(ClientConfig(found, _tls_files(file, path), file.slow_request_s), str(path))


def _read(path: Path) -> _File:
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path} does not exist; name a client.toml (--config FILE or HSM_CLIENT_CONFIG), or start `hsmctl dev`"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}; check the path and its rights") from None
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}; correct it") from None
    except (ValueError, RecursionError) as error:  # Also no UTF-8, a number of too many digits, a zero byte in `path`.
        raise ConfigurationError(f"{path} is not TOML: {str(error) or 'nested too deeply'}; correct it") from None


def _tls_files(file: _File, path: Path) -> TlsFiles | None:
    named = {"ca": file.ca, "certificate": file.certificate, "key": file.key}
    if file.tls == "off":
        return None
    missing = [name for name, value in named.items() if not value]
    if missing:
        raise ConfigurationError(
            f'{path}: {", ".join(missing)} missing; name the PEM files, or tls = "off" for a proxy on this machine'
        )
    folder = path.resolve().parent
    return TlsFiles(folder / file.ca, folder / file.certificate, folder / file.key)


def _checked(config: ClientConfig, source: str) -> ClientConfig:
    proxies = config.proxies
    if not proxies:
        raise ConfigurationError(f'{source}: no proxy; write proxies = ["HOST:{DEFAULT_PORT}"]')
    if len(proxies) > MAX_PROXIES:
        raise ConfigurationError(f"{source}: {len(proxies)} proxies; at most {MAX_PROXIES} are taken")
    far = [str(proxy) for proxy in proxies if config.tls is None and not proxy.is_loopback]
    if far:
        raise ConfigurationError(f'{source}: tls = "off" is only for loopback, not for {", ".join(far)}')
    return config

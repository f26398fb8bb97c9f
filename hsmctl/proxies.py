"""Every proxy of client.toml asked the same at once: what one of them sees, another may not."""

import asyncio
import time
from typing import Final, Generic, TypeVar

import msgspec

from hsm_client.config import ClientConfig, ProxyAddress
from hsm_client.connection import Connection, ConnectionLost
from hsm_client.errors import ClusterUnreachable, HsmError, make_error
from hsm_client.key_ids import new_operation_id
from hsm_client.tls import TlsIdentity
from hsm_wire.errors import BodyError
from hsm_wire.messages import Failure, decode_body, encode_body
from hsm_wire.operations import OPERATIONS

PATIENCE_S: Final = 3.0
"""For one proxy, connecting included, where the user did not say: who looks at a broken cluster wants to see now."""

MIN_LEFT_S: Final = 0.1
"""For an answer, where connecting took all the time there was."""

_T = TypeVar("_T", bound=msgspec.Struct)


class Answer(msgspec.Struct, Generic[_T], frozen=True):
    """What one proxy said; exactly one of `result` and `fault` is there."""

    address: ProxyAddress
    result: _T | None
    fault: HsmError | None
    configuration_hash: str = ""
    asked_at: float = 0.0
    """Seconds since 1970 by this host's clock, half way between question and answer."""
    round_trip_s: float = 0.0
    certificate: bytes | None = None
    """The proxy's, in DER; None without TLS."""


class Asker:
    """Asks the proxies of one configuration. Certificates are read once."""

    def __init__(self, config: ClientConfig, timeout_s: float | None = None) -> None:
        self.addresses = tuple(dict.fromkeys(config.proxies))
        self._identity = TlsIdentity(config.tls) if config.tls is not None else None
        self.timeout_s = PATIENCE_S if timeout_s is None else timeout_s

    async def ask(self, opcode: int, body: msgspec.Struct, form: type[_T]) -> list[Answer[_T]]:
        """Return every proxy's answer, in the order of the configuration."""
        return await asyncio.gather(*(self.ask_one(address, opcode, body, form) for address in self.addresses))

    async def open(self, address: ProxyAddress) -> Connection:
        """Return a connection to one proxy.

        Raises:
            HsmError: it cannot be reached, or refuses us.
        """
        return await Connection.open(address, self._identity, timeout_s=self.timeout_s)

    async def ask_one(self, address: ProxyAddress, opcode: int, body: msgspec.Struct, form: type[_T]) -> Answer[_T]:
        """Return one proxy's answer; a failure is an answer too."""
        deadline = time.monotonic() + self.timeout_s
        try:
            connection = await self.open(address)
        except HsmError as error:
            return Answer(address, None, error)
        try:
            return await question(connection, opcode, body, form, max(deadline - time.monotonic(), MIN_LEFT_S))
        except ConnectionLost as error:
            return Answer(address, None, ClusterUnreachable(f"the connection to proxy {address} broke: {error}"))
        except HsmError as error:
            return Answer(address, None, error)
        finally:
            await connection.close()


async def question(
    connection: Connection, opcode: int, body: msgspec.Struct, form: type[_T], timeout_s: float
) -> Answer[_T]:
    """Return the answer to one question on an open connection.

    Raises:
        HsmError: it was refused, or the answer is of another version.
        ConnectionLost: the connection broke.
    """
    asked, started = time.time(), time.monotonic()
    frame = await connection.request(opcode, encode_body(body), timeout_s=timeout_s, operation_id=new_operation_id())
    took = time.monotonic() - started
    try:
        if frame.status:
            raise make_error(frame.status, decode_body(Failure, frame.body).detail)
        result = decode_body(form, frame.body)
    except BodyError:
        name = OPERATIONS[opcode].opcode.name
        raise ClusterUnreachable(
            f"proxy {connection.address} answers {name} in a form that this hsmctl does not know; "
            "use the same version of both"
        ) from None
    return Answer(
        connection.address,
        result,
        None,
        connection.configuration_hash,
        asked + took / 2,
        took,
        connection.proxy_certificate,
    )

"""The blocking client: the names of hsm_client, thread-safe and fork-safe."""

import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import msgspec

from hsm_client import client, encodings
from hsm_client.config import ClientConfig, load_config
from hsm_client.durabilities import Durability
from hsm_client.errors import make_error
from hsm_client.keys import Encrypted
from hsm_client.new_keys import NewKey
from hsm_client.policies import policy
from hsm_client.portal import PORTAL
from hsm_client.private_keys import PrivateKey, make_private_key
from hsm_client.sync_keys import Encapsulated, Key
from hsm_client.sync_objects import StoredObject
from hsm_wire import limits
from hsm_wire import messages as m
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

_T = TypeVar("_T")
_S = TypeVar("_S", bound=msgspec.Struct)


class Hsm:
    """The cluster. A context manager; may be shared by threads, and used on in a forked child."""

    def __init__(self, config: ClientConfig, *, timeout_s: float | None, retry: bool, pool_size: int) -> None:
        self._make: Callable[[], client.Hsm] = lambda: client.Hsm(
            config, timeout_s=timeout_s, retry=retry, pool_size=pool_size
        )
        self._lock = threading.Lock()
        self._inner: client.Hsm | None = None
        self._first_callers = 0
        """Calls under way that began before the first connection of `_inner`."""
        self._closed = False
        _CLIENTS.add(self)

    def open(self) -> Self:
        """Connect; raises ClusterUnreachable."""
        self.run(lambda inner: inner.opened())
        return self

    def close(self) -> None:
        """Close all connections of this process."""
        with self._lock:
            self._closed = True
            inner, self._inner = self._inner, None
        if inner is not None:
            _close(inner)

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, work: Callable[[client.Hsm], Coroutine[Any, Any, _T]]) -> _T:
        """Run a coroutine with this process's asyncio client, on the background loop."""
        inner = self._inner
        if inner is None or not inner.was_open:
            return self._run_first(work)
        return PORTAL.run(lambda: work(inner))

    def _run_first(self, work: Callable[[client.Hsm], Coroutine[Any, Any, _T]]) -> _T:
        """Run while there was no connection yet; nobody waits for one longer than for the call's own deadline.

        The last one who waits in vain lets it all go: no attempts go on that nobody asked for, and the next call
        reads the certificate's files anew.
        """
        inner = self._entered()
        try:
            return PORTAL.run(lambda: _started(inner, work))
        finally:
            if self._left(inner):
                _close(inner)

    def _entered(self) -> client.Hsm:
        with self._lock:
            if self._closed:
                raise make_error(Status.CANCELLED, "the client is closed; connect again")
            if self._inner is None:
                self._inner = self._make()
                _OPEN.add(self._inner)
                self._first_callers = 0
            self._first_callers += 1
            return self._inner

    def _left(self, inner: client.Hsm) -> bool:
        """Count a first caller out; return whether it must close the client, which is then forgotten."""
        with self._lock:
            if inner is not self._inner:
                return False  # it was closed meanwhile
            self._first_callers -= 1
            if self._first_callers > 0 or inner.was_open:
                return False
            self._inner = None
            return True

    def let_go(self) -> None:
        """In a forked child: forget what is the parent's."""
        # A lock that another thread held at the fork is never let go in the child.
        self._lock = threading.Lock()
        self._inner = None

    # ---- the names of hsm_client.client.Hsm -------------------------------------------------------------------

    def request(
        self,
        opcode: int,
        body: msgspec.Struct,
        result_form: type[_S],
        *,
        timeout_s: float | None = None,
        operation_id: int | None = None,
        durability: Durability | None = None,
    ) -> _S:
        """Send a request and return its answer's body."""
        return self.run(
            lambda hsm: hsm.request(
                opcode, body, result_form, timeout_s=timeout_s, operation_id=operation_id, durability=durability
            )
        )

    def info(self) -> m.InfoResult:
        """Return what the cluster offers."""
        return self.run(lambda hsm: hsm.info())

    def status(self) -> m.StatusResult:
        """Return the cluster as one proxy sees it."""
        return self.run(lambda hsm: hsm.status())

    def events(self, after: int = 0, limit: int = limits.DEFAULT_EVENTS_LIMIT) -> m.EventsResult:
        """Return what one proxy has seen happen since the event number `after`, oldest first; of 0: the newest."""
        return self.run(lambda hsm: hsm.events(after, limit))

    def ping(self) -> float:
        """Return the seconds that a node took to answer."""
        return self.run(lambda hsm: hsm.ping())

    def random(self, n: int) -> bytes:
        """Return n random bytes of the HSMs."""
        return self.run(lambda hsm: hsm.random(n))

    def generate_key(self, key_type: str, **new: Unpack[NewKey]) -> Key:
        """Make a key in the cluster; see NewKey for what may be named: label, usage, policy, key_id, durability."""
        return Key(self, self.run(lambda hsm: hsm.generate_key(key_type, **new)).info)

    def import_key(self, key_type: str, material: bytes, **new: Unpack[NewKey]) -> Key:
        """Bring a key in: PKCS#8 DER, or a secret key's bytes; see NewKey for what else may be named."""
        return Key(self, self.run(lambda hsm: hsm.import_key(key_type, material, **new)).info)

    def adopt_key(self, key_type: str, device_object: str, **new: Unpack[NewKey]) -> Key:
        """Use a key that a node's device has already; it is not replicated. See NewKey for what else may be named."""
        return Key(self, self.run(lambda hsm: hsm.adopt_key(key_type, device_object, **new)).info)

    def unwrap_key(
        self,
        wrapped: bytes,
        unwrapping_key: Key,
        mechanism: str | int,
        key_type: str,
        *,
        parameters: Parameters | None = None,
        **new: Unpack[NewKey],
    ) -> Key:
        """Bring a wrapped key in; raises BadData where no version of `unwrapping_key` wrapped it."""
        return Key(
            self,
            self.run(
                lambda hsm: hsm.unwrap_key(
                    wrapped, unwrapping_key.within(hsm), mechanism, key_type, parameters=parameters, **new
                )
            ).info,
        )

    def key(self, id_or_label: str) -> Key:
        """Return the key with that id (32 hex digits) or label; of versions of one key, the newest."""
        return Key(self, self.run(lambda hsm: hsm.key(id_or_label)).info)

    def find_keys(self, label: str | None = None, key_type: str | None = None) -> list[Key]:
        """Return all keys with that label and type."""
        return [Key(self, found.info) for found in self.run(lambda hsm: hsm.find_keys(label, key_type))]

    def create_object(
        self,
        kind: str,
        value: bytes,
        *,
        label: str = "",
        object_id: str | bytes | None = None,
        durability: Durability | None = None,
    ) -> StoredObject:
        """Store a `certificate` (X.509, DER), a `public-key` (SubjectPublicKeyInfo, DER) or `data`."""
        made = self.run(
            lambda hsm: hsm.create_object(kind, value, label=label, object_id=object_id, durability=durability)
        )
        return StoredObject(self, made.info)

    def object(self, id_or_label: str) -> StoredObject:
        """Return the object with that id (32 hex digits) or label."""
        return StoredObject(self, self.run(lambda hsm: hsm.object(id_or_label)).info)

    def find_objects(self, label: str | None = None, kind: str | None = None) -> list[StoredObject]:
        """Return all objects with that label and kind."""
        return [StoredObject(self, found.info) for found in self.run(lambda hsm: hsm.find_objects(label, kind))]

    def private_key(self, id_or_label: str) -> PrivateKey:
        """Return a `cryptography` private key (RSA, EC, Ed25519, Ed448, X25519) whose secret part stays in the cluster.

        An X25519 key, and an EC key's `exchange`, give no shared secret out: see Key.ecdh.
        """
        key = self.key(id_or_label)
        return make_private_key(key, encodings.load_public_key(key.info))


async def _started(inner: client.Hsm, work: Callable[[client.Hsm], Coroutine[Any, Any, _T]]) -> _T:
    inner.start()
    return await work(inner)


def _close(inner: client.Hsm) -> None:
    PORTAL.run(inner.close)
    _OPEN.discard(inner)


_CLIENTS: weakref.WeakSet[Hsm] = weakref.WeakSet()
_OPEN: set[client.Hsm] = set()
"""What this process opened and has not closed to the end, whether or not its client still knows it."""
_PARENTS: list[client.Hsm] = []
"""What a parent opened: kept, for nothing of it may be closed in order here."""


def _let_all_go() -> None:
    """In a forked child: drop the parent's sockets without a word on them."""
    # At once, not at the child's first call: until then the child may have closed these numbers and opened its own.
    for hsm in list(_CLIENTS):
        hsm.let_go()
    _PARENTS.extend(_OPEN)
    for inner in _OPEN:
        _blind(inner.file_numbers())
    _OPEN.clear()


os.register_at_fork(after_in_child=_let_all_go)


def _blind(numbers: list[int]) -> None:
    """Point file descriptors at nothing: closing them would let their owner close a stranger's later."""
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        for number in numbers:
            os.dup2(nothing, number)
    finally:
        os.close(nothing)


def connect(
    config: str | Path | ClientConfig | None = None,
    *,
    proxies: Sequence[str] | str | None = None,
    timeout_s: float | None = None,
    retry: bool = True,
    pool_size: int = 2,
) -> Hsm:
    """Return a blocking client, to be used as `with connect(...) as hsm`; raises ConfigurationError."""
    return Hsm(load_config(config, proxies), timeout_s=timeout_s, retry=retry, pool_size=pool_size)


__all__ = ["Encapsulated", "Encrypted", "Hsm", "Key", "StoredObject", "Usage", "connect", "policy"]

"""How a master key comes into the tokens of a cluster: `hsm-node init`, `hsm-node join`, `hsm-node record`.

docs/ceremony.md says who does what. Each step is one call of one token, and one line of the record.
"""

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from hsm_daemon import clock
from hsm_daemon.errors import StartError
from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.ceremony_token import CeremonyError, CeremonyToken, WrappedParts
from hsm_node.backends.pkcs11.device import UnusableError
from hsm_node.backends.pkcs11.library import ModuleLoadError
from hsm_node.backends.pkcs11.module import DeviceError, Module, Token
from hsm_node.backends.pkcs11.opening import look_for
from hsm_node.backends.pkcs11.pin_file import PinFile, PinFileError
from hsm_node.backends.pkcs11.settings import DeviceSettings
from hsm_node.backends.pkcs11.token import find_token
from hsm_node.ceremony_record import FIRST, Step, add_step, read_lines, verify, witness_text
from hsm_node.config import NodeConfig
from hsm_node.key_device import read_pin

MAX_FILE_BYTES: Final = 64 * 1024
"""A request has some 700 bytes, an answer 2 KB."""
_FINGERPRINT_DIGITS: Final = 32


class JoinRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a node's token asks with: nothing in it is secret."""

    node: str
    token: str
    transport_key: str
    """SubjectPublicKeyInfo in Base64."""

    @property
    def fingerprint(self) -> str:
        """What people compare, on both screens: the first half of SHA-256 of the key."""
        digits = hashlib.sha256(self.transport_key.encode()).hexdigest()[:_FINGERPRINT_DIGITS]
        return " ".join(digits[place : place + 4] for place in range(0, _FINGERPRINT_DIGITS, 4))


class JoinAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The master key for one token, which alone can open it."""

    node: str
    label: str
    check_value: str
    kek: str
    mac: str
    attributes: str

    def __repr__(self) -> str:
        return f"JoinAnswer({self.node}, <secret>)"


class Ceremony:
    """One node's part of it, with its token at hand."""

    def __init__(
        self,
        node: str,
        label: str,
        token: Token,
        at_token: CeremonyToken,
        record: Path,
        operators: Sequence[str],
        log_in: Callable[[], None] = lambda: None,
    ) -> None:
        self._node = node
        self._label = label
        self._token = token
        self._at_token = at_token
        self._record = record
        self._operators = operators
        self._log_in = log_in

    def init(self, requests: Sequence[JoinRequest]) -> tuple[str, list[JoinAnswer]]:
        """Make a master key in this token; return its check value and what goes to the others."""
        at_token = self._at_token
        at_token.check_new()
        made = at_token.make()
        try:
            own = at_token.transport_key()
            at_token.take(at_token.wrapped(made, own))
            wrapped = [at_token.wrapped(made, _bytes(request.transport_key)) for request in requests]
        except BaseException:
            at_token.drop()
            raise
        finally:
            at_token.forget(made)
            at_token.drop_transport_key()
        value = at_token.check_value()
        self._note("made the master key", value)
        for request in requests:
            self._note(f"wrapped it for {request.node}, token {request.token}, key {request.fingerprint}", value)
        return value, [
            JoinAnswer(request.node, self._label, value, *map(_text, parts))
            for request, parts in zip(requests, wrapped, strict=True)
        ]

    def request(self) -> JoinRequest:
        """Make the key that the master key is wrapped to; return what is taken to the first token."""
        self._at_token.check_new()
        request = JoinRequest(self._node, self._token_text, _text(self._at_token.transport_key()))
        self._note(f"made the transport key {request.fingerprint}", "")
        return request

    def join(self, answer: JoinAnswer) -> str:
        """Take the master key, and prove that it is the one that was made; return its check value.

        Raises:
            CeremonyError: it is not.
        """
        at_token = self._at_token
        if (answer.node, answer.label) != (self._node, self._label):
            text = f"the answer is for {answer.node} and label {answer.label!r}"
            raise CeremonyError(f"{text}; this is {self._node}, and [keystore] says {self._label!r}")
        at_token.check_new()
        at_token.take(WrappedParts(_bytes(answer.kek), _bytes(answer.mac), _bytes(answer.attributes)))
        value = self._proved(answer.check_value)
        at_token.drop_transport_key()
        return value

    def bring(self, master_key: bytes, expected: str) -> str:
        """Bring a master key that people have; return its check value, which has to be the expected one."""
        self._at_token.check_new()
        self._at_token.bring(master_key)
        return self._proved(expected)

    def trust(self, officer_pin: bytes) -> str:
        """Have the KEKs marked as trusted by the security officer; return why the token refuses, or nothing."""
        if self._token.flags & (ck.CKF_SO_PIN_FINAL_TRY | ck.CKF_SO_PIN_LOCKED):
            raise CeremonyError("the token has counted wrong PINs of its security officer: nothing is tried")
        refused = self._at_token.trust(officer_pin)
        self._log_in()
        value = self._at_token.check_value()
        self._note(f"could not mark the master key as trusted: {refused}" if refused else "marked it as trusted", value)
        return refused

    def _proved(self, expected: str) -> str:
        value = self._at_token.check_value()
        if value != expected:
            self._at_token.drop()
            raise CeremonyError(f"the check value is {value} and not {expected}: nothing was kept; begin anew")
        self._note("took the master key", value)
        return value

    def _note(self, what: str, value: str) -> None:
        witness = witness_text(self._at_token.witness())
        at = f"{datetime.fromtimestamp(clock.now(), UTC):%Y-%m-%dT%H:%M:%SZ}"
        step = Step(at, self._node, self._token_text, what, list(self._operators), value, witness, FIRST)
        add_step(self._record, step, self._at_token.sign)

    @property
    def _token_text(self) -> str:
        return f"{self._token.label} ({self._token.serial})"


@contextlib.contextmanager
def at_token(config: NodeConfig, record: Path, operators: Sequence[str]) -> Iterator[Ceremony]:
    """Log in to the node's token, by the same rules as the node does.

    Raises:
        StartError: it cannot be used, or a step at it fails: one line.
    """
    settings, label = config.backend, config.keystore.master_key.device
    if not isinstance(settings, DeviceSettings) or label is None:
        raise StartError('the ceremony is for nodes with [backend] kind = "pkcs11"; this node\'s keys are in software')
    verify(read_lines(record), record)  # Before anything is made that could not be recorded.
    config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        module = Module(settings.module)
        try:
            token = find_token(module, look_for(settings))
            session = module.open_session(token.slot, writing=True)
            log_in = partial(_log_in, module, session, token, PinFile(config.state_dir), read_pin(settings.pin))
            log_in()
            working = CeremonyToken(module, session, label, settings.wrap_mechanism)
            yield Ceremony(config.name, label, token, working, record, operators, log_in)
        finally:
            module.close()
    except (CeremonyError, UnusableError, ModuleLoadError, PinFileError) as error:
        raise StartError(str(error)) from None
    except DeviceError as error:
        raise StartError(f"{settings.module}: {error}; look at the device") from None


def _log_in(module: Module, session: int, token: Token, pins: PinFile, pin: bytes) -> None:
    objection = pins.begin(token.serial, pin, token.flags)
    if objection:
        raise CeremonyError(f"token {token.label!r} ({token.serial}): {objection}; nothing was tried")
    note = partial(pins.end, token.serial, pin)
    try:
        module.login(session, pin)
    except DeviceError as error:
        note(messages.Failed(error.number, error.function))
        raise
    note(messages.Done(b""))


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise CeremonyError("what came is no Base64; it was changed on its way, take it again") from None


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()

"""The process that a module runs in: a module that crashes, hangs or leaks does so here, and not in the node.

`python -m hsm_node.backends.pkcs11.worker CONTROL LINE...`, with the numbers of sockets that it was left. On the first
one the node says which module and token, and with which PIN; each of the others is served by a thread with a session
of its own, so that a session has one operation at a time by construction. It ends when the node closes the first.
"""

import os
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from hsm_daemon import hardening
from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.channel import Channel
from hsm_node.backends.pkcs11.core.return_values import Fault
from hsm_node.backends.pkcs11.device import Device, LostError, UnusableError, fault_of
from hsm_node.backends.pkcs11.library import ModuleLoadError
from hsm_node.backends.pkcs11.module import DeviceError, Module
from hsm_node.backends.pkcs11.token import find_token

EXIT_DONE: Final = 0
EXIT_LOST: Final = 3
"""The token, the login or the sessions are gone: a new process has to begin anew."""

_encode = messages.encoder.encode


class Session:
    """One thread's session."""

    def __init__(self, device: Device, handle: int) -> None:
        self._device = device
        self._handle = handle

    def answer(self, question: messages.Question) -> messages.Answer:
        """Do what is asked; in a new session once more where this one is at fault.

        Raises:
            LostError: a new session is at fault, too, or the token is gone.
        """
        try:
            return self._device.answer(self._handle, question)
        except DeviceError as error:
            fault = fault_of(error)
            if fault is Fault.TOKEN:
                raise LostError(error) from None
            if fault is not Fault.SESSION:
                return messages.Failed(error.number, error.function)
        try:
            self._open_again(question)
            return self._device.answer(self._handle, question)
        except DeviceError as error:
            if fault_of(error) in (Fault.SESSION, Fault.TOKEN):
                raise LostError(error) from None
            return messages.Failed(error.number, error.function)

    def _open_again(self, question: messages.Question) -> None:
        self._device.close(self._handle)
        self._handle = self._device.session()
        if isinstance(question, messages.Use):
            self._device.forget(question.key)


def serve(line: Channel, session: Session) -> None:
    """Answer what comes on one line until it is closed."""
    while message := line.receive():
        try:
            answer = session.answer(messages.questions.decode(message))
        except LostError as lost:
            line.send(_encode(lost.failed))
            _leave(EXIT_LOST)
        line.send(_encode(answer))


def begin(control: Channel, lines: Sequence[Channel]) -> None:
    """Load, look and log in as the node says, and start a thread for each line that the device has a session for.

    Raises:
        ModuleLoadError, UnusableError, DeviceError: it cannot.
    """
    look = messages.questions.decode(control.receive())
    assert isinstance(look, messages.Look)  # the node's first word
    module = Module(Path(look.module))
    token = find_token(module, look)
    device = Device(module, token.slot)
    seen = messages.Seen(token.label, token.serial, token.model, token.flags, tuple(module.mechanisms(token.slot)))
    control.send(_encode(seen))
    message = control.receive()
    if not message:  # It shall not log in.
        _leave(EXIT_DONE)
    asked = messages.questions.decode(message)
    assert isinstance(asked, messages.Begin)  # its second
    device.begin(asked)
    sessions = device.sessions(len(lines))
    for line, handle in zip(lines, sessions, strict=False):
        threading.Thread(target=serve, args=(line, Session(device, handle)), daemon=True).start()
    control.send(_encode(messages.Begun(len(sessions), device.given_out, device.unbound)))


def main(arguments: Sequence[str]) -> NoReturn:
    """Serve until the node closes the control line."""
    hardening.refuse_dumps()
    control, *lines = (Channel(socket.socket(fileno=int(number))) for number in arguments)
    try:
        begin(control, lines)
    except (ModuleLoadError, UnusableError) as error:
        control.send(_encode(messages.Unusable(str(error))))
    except DeviceError as error:
        control.send(_encode(messages.Failed(error.number, error.function)))
    control.receive()  # Nothing comes any more: it is the node's end that is waited for.
    _leave(EXIT_DONE)


def _leave(code: int) -> NoReturn:
    """End at once: a thread may hang in the module, and its destructors may hang as well."""
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])

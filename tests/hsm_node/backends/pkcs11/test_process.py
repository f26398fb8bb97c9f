"""The process of the module: started, asked, ended."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from softhsm import MODULE, SoftHsm

from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.channel import ChannelError
from hsm_node.backends.pkcs11.process import DeviceProcess


def look(module: Path = MODULE, label: str = "one") -> messages.Look:
    return messages.Look(str(module), label, "", None)


def test_it_looks_begins_and_serves_as_many_lines_as_there_are_sessions(
    softhsm: SoftHsm, begin: messages.Begin
) -> None:
    assert softhsm.environment
    process = DeviceProcess(2)
    seen, begun = process.look(look()), process.begin(begin)
    assert isinstance(seen, messages.Seen)
    assert isinstance(begun, messages.Begun)
    line, _ = process.lines(begun.sessions)
    line.send(messages.encoder.encode(messages.Random(5)))
    answer = messages.answers.decode(line.receive())
    assert isinstance(answer, messages.Done)
    assert len(answer.data) == 5
    assert process.end() == 0


def test_the_pin_is_in_no_argument_and_in_no_environment(softhsm: SoftHsm, begin: messages.Begin) -> None:
    assert softhsm.environment
    process = DeviceProcess(1)
    process.look(look())
    process.begin(begin)
    for name in ("cmdline", "environ"):
        content = Path(f"/proc/{process.pid}/{name}").read_bytes().split(b"\0")
        assert begin.pin not in content
        assert not any(part.endswith(b"=" + begin.pin) for part in content)
    process.end()


def test_it_ends_when_it_is_told_after_a_look_or_hangs(softhsm: SoftHsm) -> None:
    assert softhsm.environment
    process = DeviceProcess(1)
    assert isinstance(process.look(look()), messages.Seen)
    os.kill(process.pid, signal.SIGSTOP)
    assert process.end() == -signal.SIGKILL


def test_a_module_that_ends_its_process_is_an_error_of_one_line(
    tmp_path: Path, make_module: Callable[[Path, str], Path]
) -> None:
    crashing = make_module(tmp_path / "crashing.so", "raise(11); return 0;")
    process = DeviceProcess(1)
    with pytest.raises(ChannelError, match="signal 11"):
        process.look(look(crashing))
    process.end()

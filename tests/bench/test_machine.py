"""The description of the machine."""

import os

from bench import machine


def test_it_names_processor_programs_and_what_is_absent(monkeypatch) -> None:
    monkeypatch.setattr(machine, "find_program", lambda name: None)
    found = machine.describe()
    assert f"{os.cpu_count()} cores" in found["processor"]
    assert found["HAProxy"] == "absent"
    assert all(found.values())

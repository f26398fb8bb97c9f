"""MACs that were made a moment ago."""

from hsm_node.backends.pkcs11.core.mac_memory import MacMemory


def test_a_mac_is_remembered_for_its_message_alone() -> None:
    memory = MacMemory()
    assert memory.get(b"row") is None
    memory.put(b"row", b"mac")
    assert memory.get(b"row") == b"mac"
    assert memory.get(b"Row") is None
    assert repr(memory) == "MacMemory(1)"


def test_the_least_recently_used_leaves() -> None:
    memory = MacMemory(2)
    memory.put(b"1", b"one")
    memory.put(b"2", b"two")
    assert memory.get(b"1") == b"one"
    memory.put(b"3", b"three")
    assert [memory.get(message) for message in (b"1", b"2", b"3")] == [b"one", None, b"three"]

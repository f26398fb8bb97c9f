from hsm_node.backends.base import LoadedKey
from hsm_node.backends.loaded_keys import LoadedKeys


def test_the_least_recently_used_key_leaves_first() -> None:
    keys = LoadedKeys(limit=2)
    a, b, c = (1, b"a"), (1, b"b"), (1, b"c")
    for place in (a, b):
        keys.put(place, LoadedKey())
    assert keys.get(a) is not None
    keys.put(c, LoadedKey())
    assert keys.get(b) is None
    keys.drop(a)
    keys.drop(a)
    assert len(keys) == 1


def test_a_peek_leaves_the_order_alone() -> None:
    loaded: LoadedKeys[LoadedKey] = LoadedKeys(2)
    first = LoadedKey()
    loaded.put((1, b"a"), first)
    loaded.put((1, b"b"), LoadedKey())
    assert loaded.peek((1, b"a")) is first
    loaded.put((1, b"c"), LoadedKey())
    assert loaded.peek((1, b"a")) is None

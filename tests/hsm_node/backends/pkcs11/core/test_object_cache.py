"""Which session objects a device holds."""

from hsm_node.backends.pkcs11.core.object_cache import ObjectCache


def filled(count: int, limit: int = 3) -> ObjectCache:
    cache = ObjectCache(limit)
    for key in range(count):
        cache.give_back(cache.put(key, 100 + key))
    return cache


def test_what_was_put_is_found_until_it_is_dropped() -> None:
    cache = filled(1)
    taken = cache.take(0)
    assert taken is not None
    assert (taken.handle, cache.take(1)) == (100, None)
    assert cache.drop(0) == [100]
    assert (cache.drop(0), cache.take(0), len(cache)) == ([], None, 0)


def test_the_least_recently_used_leaves_for_the_next() -> None:
    cache = filled(3)
    used = cache.take(0)
    assert used is not None
    cache.give_back(used)
    assert cache.surplus() == [101]
    assert cache.surplus() == []


def test_what_is_at_work_stays() -> None:
    cache = filled(3)
    assert cache.take(0) is not None
    assert cache.take(1) is not None
    assert cache.surplus(3) == [102]
    assert len(cache) == 2


def test_a_device_that_is_full_sets_the_limit() -> None:
    cache = filled(3, limit=100)
    assert cache.surplus() == []
    assert cache.full() == [100]
    assert (cache.limit, len(cache)) == (3, 2)
    cache.clear()
    assert cache.full() == []
    assert cache.limit == 1

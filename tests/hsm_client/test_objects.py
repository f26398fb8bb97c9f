"""Objects of the asyncio client."""

import pytest

from hsm_client import connect
from hsm_client.errors import KeyChanged, KeyNotFound


async def test_an_object_is_read_changed_and_destroyed(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        stored = await hsm.create_object("data", b"one", label="notes")
        assert (await stored.value(), stored.kind, stored.label) == (b"one", "data", "notes")
        await stored.update(value=b"two")
        assert (await stored.value(), stored.label, stored.info.version) == (b"two", "notes", 2)
        await stored.update(label="more")
        assert (await stored.value(), stored.label) == (b"two", "more")
        await stored.destroy()
        with pytest.raises(KeyNotFound):
            await stored.value()


async def test_a_change_from_an_old_version_is_refused(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        stored = await hsm.create_object("data", b"one")
        await stored.update(value=b"two", expected_version=1)
        with pytest.raises(KeyChanged):
            await stored.update(value=b"three", expected_version=1)


async def test_the_value_of_an_object_is_not_in_its_repr(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        stored = await hsm.create_object("data", b"hidden", label="notes")
        assert repr(stored) == f"<StoredObject {stored.id} data label='notes'>"

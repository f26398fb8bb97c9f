"""Objects of the blocking client."""

import pytest

from hsm_client import sync
from hsm_client.errors import KeyNotFound


def test_an_object_is_stored_found_changed_and_destroyed(fake_cluster, configured):
    with sync.connect(configured(fake_cluster.proxy)) as hsm:
        stored = hsm.create_object("data", b"one", label="notes")
        assert hsm.object("notes").id == hsm.object(stored.id).id == stored.id
        assert [each.kind for each in hsm.find_objects(label="notes")] == ["data"]
        assert (stored.update(value=b"two").version, stored.label) == (2, "notes")
        stored.update(label="more")
        assert (stored.value(), stored.label) == (b"two", "more")
        assert repr(stored) == f"<StoredObject {stored.id} data label='more'>"
        stored.destroy()
        with pytest.raises(KeyNotFound):
            stored.value()


def test_reading_an_object_shows_what_it_is_now(fake_cluster, configured):
    with sync.connect(configured(fake_cluster.proxy)) as hsm:
        stored = hsm.create_object("data", b"one")
        hsm.object(stored.id).update(label="renamed")
        assert (stored.label, stored.value(), stored.label) == ("", b"one", "renamed")

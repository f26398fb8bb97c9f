"""What the asyncio client offers: keys and objects by id and label."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hsm_client import connect, policy
from hsm_client.errors import BadData, BadRequest, KeyDisabled, KeyNotFound, KeyOrDataError, KeyUsage
from hsm_wire.usages import Usage

WRAPPING = Usage.WRAP | Usage.UNWRAP


async def test_a_key_made_by_the_client_signs_and_its_public_part_verifies(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("ec-p256", label="tls")
        signature = await key.sign(b"data", "ecdsa-sha256")
        public = await key.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(signature, b"data", ec.ECDSA(hashes.SHA256()))
        await key.verify(b"data", signature, "ecdsa-sha256")
        assert (await hsm.key("tls")).id == key.id == (await hsm.key(key.id)).id


async def test_events_are_asked_for_from_a_number_on(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        told = await hsm.events(after=7, limit=3)
        assert (told.newest, [event.what for event in told.events]) == (8, ["one of 3"])


async def test_a_missing_key_and_an_ambiguous_label_are_errors_that_help(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        with pytest.raises(KeyNotFound):
            await hsm.key("nobody")
        made = [await hsm.generate_key("aes-256", label="twin") for _ in range(2)]
        with pytest.raises(KeyOrDataError) as caught:
            await hsm.key("twin")
        assert all(key.id in caught.value.detail for key in made)


async def test_a_disabled_key_serves_no_more_until_it_is_enabled(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("aes-256")
        await key.disable()
        with pytest.raises(KeyDisabled):
            await key.encrypt(b"x")
        await key.enable()
        assert await key.decrypt(await key.encrypt(b"x", aad=b"a"), aad=b"a") == b"x"
        await key.destroy()
        with pytest.raises(KeyNotFound):
            await key.describe()


async def test_a_label_shared_by_the_versions_of_a_key_names_the_newest(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        first = await hsm.generate_key("ec-p256", label="tls")
        second = await first.rotate()
        third = await second.rotate()
        assert (await hsm.key("tls")).id == third.id
        await second.destroy()
        assert (await hsm.key("tls")).id == third.id
        stranger = await hsm.generate_key("ec-p256", label="tls")
        with pytest.raises(KeyOrDataError, match=stranger.id):
            await hsm.key("tls")


@pytest.mark.parametrize(("wrapping", "mechanism"), [("aes-256", "aes-kwp"), ("rsa-2048", "rsa-oaep")])
async def test_a_key_that_was_wrapped_comes_back_unwrapped(proxy, configured, wrapping, mechanism):
    async with connect(configured(proxy)) as hsm:
        wrapper = await hsm.generate_key(wrapping, usage=WRAPPING)
        key = await hsm.generate_key("aes-256", policy=policy(exportable=True))
        wrapped = await wrapper.wrap(key, mechanism)
        again = await hsm.unwrap_key(wrapped, wrapper, mechanism, "aes-256", label="again", usage=Usage.DECRYPT)
        assert (again.label, again.info.origin, again.info.usage) == ("again", "unwrapped", Usage.DECRYPT)
        assert await again.decrypt(await key.encrypt(b"x")) == b"x"
        with pytest.raises(BadData):
            await hsm.unwrap_key(wrapped[:-1] + b"?", wrapper, mechanism, "aes-256")


async def test_what_an_earlier_version_wrapped_is_unwrapped_with_the_newest(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        wrapper = await hsm.generate_key("aes-256", usage=WRAPPING)
        key = await hsm.generate_key("hmac-256", policy=policy(exportable=True))
        wrapped = await wrapper.wrap(key)
        newest = await wrapper.rotate()
        again = await hsm.unwrap_key(wrapped, newest, "aes-kwp", "hmac-256", key_id=bytes(16))
        assert again.id == bytes(16).hex()
        assert await again.sign(b"x", "hmac-sha256") == await key.sign(b"x", "hmac-sha256")


async def test_a_key_that_is_not_exportable_is_not_wrapped(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        wrapper, key = await hsm.generate_key("aes-256", usage=WRAPPING), await hsm.generate_key("aes-256")
        with pytest.raises(KeyUsage):
            await wrapper.wrap(key)


async def test_objects_are_stored_found_by_id_label_and_kind(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        made = await hsm.create_object("data", b"value", label="notes", object_id=bytes(16))
        assert made.id == bytes(16).hex()
        assert (await hsm.object(made.id)).label == (await hsm.object("notes")).label == "notes"
        assert [each.id for each in await hsm.find_objects(kind="data")] == [made.id]
        assert await hsm.find_objects(kind="certificate") == []
        with pytest.raises(BadRequest):
            await hsm.create_object("secret", b"value")


async def test_a_missing_object_and_an_ambiguous_label_are_errors_that_help(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        with pytest.raises(KeyNotFound, match="hsmctl object list"):
            await hsm.object("nobody")
        made = [await hsm.create_object("data", b"", label="twin") for _ in range(2)]
        with pytest.raises(KeyOrDataError) as caught:
            await hsm.object("twin")
        assert all(each.id in caught.value.detail for each in made)


async def test_keys_and_objects_come_from_as_many_pages_as_there_are(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        for _ in range(257):
            await hsm.create_object("data", b"")
        assert len(await hsm.find_objects()) == 257

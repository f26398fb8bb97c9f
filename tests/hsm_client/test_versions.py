"""Versions of a rotated key."""

import asyncio
from itertools import permutations

import pytest

from hsm_client.errors import BadData, BadSignature, KeyDisabled, KeyNotFound, Unavailable
from hsm_client.versions import MAX_EARLIER_VERSIONS, Versions, newest
from hsm_wire.messages import KeyInfo, Policy
from hsm_wire.usages import Usage


def key_id(number):
    return bytes([number]) * 16 if number else b""


def version(number, before=0, after=0):
    """Key `number`; 0 is none."""
    return KeyInfo(
        key_id(number), "ec-p256", "tls", Usage.SIGN, True, 1, 0, "generated", b"", Policy(), 0,
        key_id(before), key_id(after),
    )  # fmt: skip


CHAIN = [version(1, 0, 2), version(2, 1, 3), version(3, 2, 4), version(4, 3, 0)]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_newest_of_a_chain_is_the_one_that_nothing_replaced(order):
    assert newest([CHAIN[index] for index in order]) is CHAIN[3]


def test_one_that_is_missing_between_two_is_bridged():
    assert newest([CHAIN[0], CHAIN[1], CHAIN[3]]) is CHAIN[3]


@pytest.mark.parametrize(
    "infos",
    [
        [version(1), version(2)],
        [*CHAIN, version(9)],
        [version(1, 0, 2), version(3, 0, 4), version(4, 3)],
        CHAIN[:3],
        [CHAIN[0], CHAIN[3]],
        [],
    ],
)
def test_keys_that_are_not_one_chain_have_no_newest(infos):
    assert newest(infos) is None


class Reader:
    """Describes the keys of a chain, and counts."""

    def __init__(self, *infos):
        self.infos = {info.key_id: info for info in infos}
        self.read = []

    async def describe(self, wanted):
        self.read.append(wanted)
        await asyncio.sleep(0)
        if wanted not in self.infos:
            raise KeyNotFound("gone")
        return self.infos[wanted]


def good_with(number, error=BadSignature):
    async def attempt(info):
        if info.key_id != key_id(number):
            raise error("not with this one")
        return info.key_id

    return attempt


@pytest.mark.parametrize("error", [BadSignature, BadData])
async def test_the_newest_that_fits_is_taken_and_each_is_read_once(error):
    reader, versions = Reader(*CHAIN), Versions()
    for number, reads in ((4, 0), (3, 1), (1, 3), (1, 3), (2, 3)):
        assert await versions.first_good(CHAIN[3], reader.describe, good_with(number, error)) == key_id(number)
        assert len(reader.read) == reads


async def test_where_none_fits_the_keys_own_error_is_raised():
    async def attempt(info):
        if info is CHAIN[3]:
            raise BadSignature("of the newest")
        raise KeyDisabled("of an earlier one")

    with pytest.raises(BadSignature, match="of the newest"):
        await Versions().first_good(CHAIN[3], Reader(*CHAIN).describe, attempt)


async def test_a_destroyed_version_ends_the_search():
    with pytest.raises(BadSignature):
        await Versions().first_good(CHAIN[3], Reader(CHAIN[2], CHAIN[0]).describe, good_with(1))


async def test_another_error_than_of_the_data_asks_no_other_version():
    reader = Reader(*CHAIN)
    for error in (KeyDisabled, Unavailable):
        with pytest.raises(error):
            await Versions().first_good(CHAIN[3], reader.describe, good_with(1, error))
    assert reader.read == []


async def test_a_cluster_that_fails_on_the_way_is_no_verdict():
    async def attempt(info):
        raise BadSignature("no") if info is CHAIN[3] else Unavailable("away")

    with pytest.raises(Unavailable):
        await Versions().first_good(CHAIN[3], Reader(*CHAIN).describe, attempt)


async def test_no_more_than_the_limit_are_tried():
    chain = [version(number, number - 1) for number in range(1, 31)]
    reader = Reader(*chain)
    with pytest.raises(BadSignature):
        await Versions().first_good(chain[-1], reader.describe, good_with(1))
    assert len(reader.read) == MAX_EARLIER_VERSIONS


async def test_calls_at_the_same_time_keep_each_version_once():
    reader, versions = Reader(*CHAIN), Versions()
    await asyncio.gather(
        *(versions.first_good(CHAIN[3], reader.describe, good_with(number)) for number in (1, 2, 1, 3, 1))
    )
    before = len(reader.read)
    assert await versions.first_good(CHAIN[3], reader.describe, good_with(1)) == key_id(1)
    assert len(reader.read) == before

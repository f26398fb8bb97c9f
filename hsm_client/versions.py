"""The versions of a rotated key: which is the newest, and what the earlier ones still open and check."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeVar

from hsm_client.errors import BadData, BadSignature, KeyNotFound, KeyOrDataError
from hsm_wire import mechanisms as mech
from hsm_wire import messages as m

MAX_EARLIER_VERSIONS: Final = 16
"""Earlier versions that are tried: each costs a request, and a wrong signature would cost as many as there are."""
SELF_CHECKING: Final = frozenset(
    {mech.CKM_AES_GCM, mech.CKM_RSA_PKCS_OAEP, mech.CKM_AES_KEY_WRAP, mech.CKM_AES_KEY_WRAP_KWP}
)
"""Ciphers that notice a wrong key. The others give some plaintext with any: for them a version is named by its id."""
_T = TypeVar("_T")
Describe = Callable[[bytes], Awaitable[m.KeyInfo]]


def newest(infos: Sequence[m.KeyInfo]) -> m.KeyInfo | None:
    """Return the newest of keys that are all versions of one another, None where they are not.

    One that is missing between two of them (destroyed, or with another label) is bridged: both name it.
    """
    heads = [info for info in infos if not info.replaced_by]
    if len(heads) != 1:
        return None
    chain = {heads[0].key_id, heads[0].replaces}
    left = [info for info in infos if info is not heads[0]]
    while left:
        linked = [info for info in left if chain & {info.key_id, info.replaced_by}]
        if not linked:
            return None
        chain |= {each for info in linked for each in (info.key_id, info.replaces)}
        left = [info for info in left if info not in linked]
    return heads[0]


class Versions:
    """What was read of the keys that one key replaced, newest first; kept, for that never changes."""

    def __init__(self) -> None:
        self._earlier: list[m.KeyInfo] = []

    async def first_good(
        self, info: m.KeyInfo, describe: Describe, attempt: Callable[[m.KeyInfo], Awaitable[_T]]
    ) -> _T:
        """Return what the newest version that fits gives; raise what the key itself raised where none does."""
        try:
            return await attempt(info)
        except (BadSignature, BadData) as error:
            failure = error
        async for earlier in self._before(info, describe):
            try:
                return await attempt(earlier)
            except KeyOrDataError:  # Not this one's either, or it is disabled: that says nothing about the data.
                continue
        raise failure

    async def _before(self, info: m.KeyInfo, describe: Describe) -> AsyncIterator[m.KeyInfo]:
        for index in range(MAX_EARLIER_VERSIONS):
            if index == len(self._earlier):
                before = (self._earlier[-1] if self._earlier else info).replaces
                if not before:
                    return
                try:
                    found = await describe(before)
                except KeyNotFound:  # It was destroyed; what came before it, nobody knows any more.
                    return
                if index == len(self._earlier):  # Another call may have read it meanwhile.
                    self._earlier.append(found)
            yield self._earlier[index]

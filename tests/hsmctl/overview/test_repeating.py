"""Looks again and again until Ctrl-C."""

import pytest

from hsm_client.config import ClientConfig, ProxyAddress
from hsmctl.overview.observer import Observer
from hsmctl.overview.repeating import repeat
from hsmctl.proxies import Asker

NOBODY = Asker(ClientConfig((ProxyAddress("127.0.0.1", 1),), None), 0.2)


def test_it_ends_in_order_with_ctrl_c() -> None:
    seen: list[Observer] = []

    async def look(observer: Observer) -> None:
        seen.append(observer)
        if len(seen) == 3:
            raise KeyboardInterrupt

    repeat(NOBODY, look, 0.001)
    assert len(seen) == 3
    assert len(set(map(id, seen))) == 1


def test_an_error_ends_it_too_and_is_told() -> None:
    async def look(observer: Observer) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        repeat(NOBODY, look, 10)

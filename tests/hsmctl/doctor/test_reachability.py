"""Why a proxy does not answer."""

import asyncio
import errno
import socket
from typing import Any

import pytest

from hsm_client.config import ProxyAddress
from hsm_client.errors import ClusterUnreachable, ConfigurationError, HsmError
from hsmctl.doctor import reachability
from hsmctl.doctor.finding import Finding

FAULT = ClusterUnreachable("proxy 127.0.0.1:1 cannot be reached")


async def found(address: ProxyAddress, fault: HsmError = FAULT) -> Finding:
    return await reachability.unreachable(address, fault)


async def test_a_port_on_which_nobody_listens_is_said() -> None:
    finding = await found(ProxyAddress("127.0.0.1", 1))
    assert finding.wrong == "nothing listens there"
    assert "systemctl start hsm-proxy" in finding.advice


async def test_a_name_without_an_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown, raising=False)
    finding = await found(ProxyAddress("proxy.invalid", 2410))
    assert finding.wrong == "its name has no address (Name or service not known)"
    assert "getent hosts proxy.invalid" in finding.advice


async def test_a_name_server_that_says_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(*_: Any, **__: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", silent, raising=False)
    monkeypatch.setattr(reachability, "LOOK_UP_S", 0.01)
    assert "no name server said" in (await found(ProxyAddress("proxy.invalid", 2410))).wrong


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (TimeoutError(), "packets are dropped, or the host is off"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "it cannot be reached: No route to host"),
    ],
)
async def test_a_network_that_does_not_lead_there_is_said(
    monkeypatch: pytest.MonkeyPatch, failure: OSError, words: str
) -> None:
    async def fails(target: object) -> OSError:
        return failure

    monkeypatch.setattr(reachability, "_connect", fails)
    assert words in (await found(ProxyAddress("127.0.0.1", 2410))).wrong


async def test_of_what_can_be_connected_to_tls_or_the_proxy_says_the_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = ProxyAddress("127.0.0.1", server.getsockname()[1])
        line = f"proxy {address} cannot be trusted: its certificate has expired; renew it"
        finding = await found(address, ClusterUnreachable(line))
        assert finding.subject == f"proxy {address}"
        assert (finding.check, finding.wrong, finding.advice) == (
            "proxies", "cannot be trusted: its certificate has expired", "renew it"
        )  # fmt: skip
        ours = await found(address, ConfigurationError("the certificate of this client has expired; renew it"))
        assert ours.check == "certificates"
        mute = await found(address, ClusterUnreachable(f"proxy {address} did not answer within 3 s"))
        assert (mute.wrong, mute.advice) == ("did not answer within 3 s", reachability.OTHERWISE)
        assert "see whether it hangs" in mute.advice

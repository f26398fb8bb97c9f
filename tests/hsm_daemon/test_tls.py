"""Real TLS over loopback: who gets in, and who they are."""

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives import serialization

from hsm_daemon.accepting import Acceptor
from hsm_daemon.errors import StartError
from hsm_daemon.lifecycle import loop_factory
from hsm_daemon.listening import address_of, bind
from hsm_daemon.pace import Pace
from hsm_daemon.tls import (
    MAX_PEM_BYTES,
    PeerIdentity,
    TlsFiles,
    client_context,
    load_certificates,
    not_after,
    peer_identity,
    server_context,
)

NODE, CLIENT = "spiffe://test/node/n", "spiffe://test/client/c"


class Greeter(asyncio.Protocol):
    """Notes who comes, says one byte and ends."""

    def __init__(self, seen: list[PeerIdentity | None]) -> None:
        self.seen = seen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.seen.append(peer_identity(transport))
        cast(asyncio.Transport, transport).write(b"x")
        transport.close()


async def handshake(server: TlsFiles, client: ssl.SSLContext) -> list[PeerIdentity | None]:
    """Connect and exchange one byte; return whom the server saw, then whom the client saw."""
    seen: list[PeerIdentity | None] = []
    acceptor = Acceptor(
        lambda: Greeter(seen),
        Pace(1000.0, 10, 10),
        context=server_context(server),
        handshake_s=5.0,
        closing_s=5.0,
        room=None,
        refused=print,
    )
    listener = bind("127.0.0.1", 0, 16)
    acceptor.start(listener)
    try:
        reader, writer = await asyncio.open_connection(*address_of(listener), ssl=client, server_hostname="")
        try:
            assert await reader.read(1) == b"x"
            seen.append(peer_identity(writer.transport))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    finally:
        acceptor.stop(close=True)
        await acceptor.settled()
    return seen


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_both_ends_know_each_other(authority: Callable[[str], Any], kind: Any) -> None:
    ours = authority("a")
    server, client = ours.issue("n", [NODE]), ours.issue("c", [CLIENT])
    with asyncio.Runner(loop_factory=loop_factory(kind)) as runner:
        seen = runner.run(handshake(server, client_context(client)))
    assert [who and who.identity for who in seen] == [CLIENT, NODE]
    assert all(who and len(who.certificate_sha256) == 32 and who.not_after > 0 for who in seen)


@pytest.mark.parametrize("uris", [[], [CLIENT, NODE]])
async def test_none_or_several_names_are_nobody(authority: Callable[[str], Any], uris: list[str]) -> None:
    ours = authority("a")
    seen = await handshake(ours.issue("n", [NODE]), client_context(ours.issue("c", uris)))
    assert seen[0] is None


async def test_a_foreign_authority_does_not_get_in(authority: Callable[[str], Any]) -> None:
    ours, foreign = authority("a"), authority("b")
    files = foreign.issue("c", [CLIENT])
    server = ours.issue("n", [NODE])
    with pytest.raises((ssl.SSLError, OSError)):
        await handshake(server, client_context(files))


def test_contexts_speak_tls_1_3_only(authority: Callable[[str], Any]) -> None:
    files = authority("a").issue("n", [NODE])
    for context in (server_context(files), client_context(files)):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_3
        assert context.verify_mode == ssl.CERT_REQUIRED


def test_bad_files_are_named(authority: Callable[[str], Any]) -> None:
    ours = authority("a")
    good, other = ours.issue("n", [NODE]), ours.issue("o", [NODE])
    old = ours.issue("old", [NODE], seconds=-60)
    missing, bad = good.key.with_name("none.pem"), good.key.with_name("bad.pem")
    bad.write_text("no pem")
    future = ours.issue("future", [NODE], since=600)
    locked, large = good.key.with_name("locked.pem"), good.key.with_name("large.pem")
    secret = serialization.load_pem_private_key(good.key.read_bytes(), None)
    form, lock = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
    locked.write_bytes(secret.private_bytes(serialization.Encoding.PEM, form, lock))
    large.write_bytes(b"x" * (MAX_PEM_BYTES + 1))
    pipe = good.key.with_name("pipe.pem")
    os.mkfifo(pipe)
    for files, words in (
        (TlsFiles(missing, good.certificate, good.key), "CA file .*none.pem is missing"),
        (TlsFiles(good.ca, missing, good.key), "certificate .*none.pem is missing"),
        (TlsFiles(good.ca, good.certificate, missing), "key .*none.pem is missing"),
        (TlsFiles(good.ca, bad, good.key), "not a PEM certificate"),
        (TlsFiles(good.ca, good.certificate, bad), "not a PEM private key"),
        (TlsFiles(good.ca, good.certificate, other.key), "does not belong"),
        (old, "expired at"),
        (future, "is not valid before .*; check this machine's clock"),
        (TlsFiles(good.ca, good.certificate, locked), "locked.pem is encrypted; daemons start without a password"),
        (TlsFiles(good.ca, good.certificate, large), "larger than"),
        (TlsFiles(good.ca, good.certificate, good.key.parent), "cannot be read"),
        (TlsFiles(good.ca, pipe, good.key), "certificate .*pipe.pem is not an ordinary file"),
    ):
        with pytest.raises(StartError, match=words):
            server_context(files)


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_tls_1_2_is_refused_on_the_wire(
    authority: Callable[[str], Any], kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ours = authority("a")
    server, client = ours.issue("n", [NODE]), ours.issue("c", [CLIENT])
    context = client_context(client)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with asyncio.Runner(loop_factory=loop_factory(kind)) as runner, pytest.raises(OSError) as refused:
        runner.run(handshake(server, context))
    assert isinstance(refused.value, ssl.SSLError | ConnectionError)
    assert "unsupported protocol" in str([record.__dict__.get("fields") for record in caplog.records])


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o400, False), (0o600, False), (0o440, False), (0o644, True), (0o660, True)]
)
def test_a_key_that_others_can_use_is_warned_of_and_used(
    authority: Callable[[str], Any], caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    files = authority("a").issue("n", [NODE])
    files.key.chmod(mode)
    server_context(files)
    client_context(files)
    assert ["chmod" in record.message for record in caplog.records] == [True] * warned


def test_the_first_certificate_to_expire_is_told(authority: Callable[[str], Any]) -> None:
    ours = authority("a")
    long, short = ours.issue("long", [NODE], seconds=7200), ours.issue("short", [NODE], seconds=60)
    now = time.time()
    assert now + 7100 < not_after(long) < now + 7300
    with long.certificate.open("ab") as file:
        file.write(short.certificate.read_bytes())
    assert not_after(long) < now + 70
    with pytest.raises(StartError, match="missing"):
        not_after(TlsFiles(long.ca, long.ca.with_name("none.pem"), long.key))


def test_a_daemon_s_own_files_make_both_ends_and_say_who_it_is(authority: Callable[[str], Any]) -> None:
    ours = authority("a")
    made = load_certificates(ours.issue("n", [NODE], seconds=60))
    assert made is not None
    assert (made.server.verify_mode, made.client.verify_mode) == (ssl.CERT_REQUIRED, ssl.CERT_REQUIRED)
    assert made.identity == NODE
    assert made.not_after < time.time() + 70
    nameless = load_certificates(ours.issue("m", [NODE, CLIENT]))
    assert nameless is not None
    assert nameless.identity == ""
    assert load_certificates(None) is None
    lost = ours.issue("o", [NODE])
    with pytest.raises(StartError, match="missing"):
        load_certificates(TlsFiles(lost.ca, lost.ca.with_name("none.pem"), lost.key))

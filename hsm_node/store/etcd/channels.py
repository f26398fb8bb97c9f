"""A gRPC channel per member, with the calls that the driver makes of it.

Theory of the settings. A member that was stopped (SIGSTOP) or cut off answers nothing, and TCP says nothing for
minutes: `ping_timeout_ms` is what ends the connection then (7 s; without it more than 40 s, measured), every call has a
deadline, and `probing` has an eye on the watch. Keepalive stays above 5 s, etcd's minimum: below it the member closes
the connection. A connection that does not come about is given up after 2 s, not gRPC's 20. Each channel has its own
connection and uses no proxy of the environment.
"""

from typing import Final

import grpc

from hsm_cluster.address import Address
from hsm_daemon.tls import TlsFiles, read_pem
from hsm_node.store.etcd.messages_pb2 import (
    RangeRequest,
    RangeResponse,
    StatusRequest,
    StatusResponse,
    TxnRequest,
    TxnResponse,
    WatchRequest,
    WatchResponse,
)

METADATA: Final = (("hasleader", "true"),)
"""A member without quorum then says so at once, instead of keeping a call for 7 s and a watch for ever."""
MAX_ANSWER_BYTES: Final = 256 << 20
"""A page or an answer of the watch: up to 1,000 rows, most below 2 KB, none above etcd's limit of 1.5 MB."""
_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.ping_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    ("grpc.enable_retries", 0),  # `calls` decides what is sent again, and to whom
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


class Link:
    """The way to one member. Connects at its first call, and again by itself."""

    def __init__(self, address: Address, credentials: grpc.ChannelCredentials | None) -> None:
        """Open nothing yet.

        Args:
            address: of the member's clients' port.
            credentials: None: without TLS.
        """
        self.address = address
        target = str(address)
        if credentials is None:
            self._channel = grpc.insecure_channel(target, options=_OPTIONS)
        else:
            self._channel = grpc.secure_channel(target, credentials, options=_OPTIONS)
        self.range = self._channel.unary_unary(
            "/etcdserverpb.KV/Range", RangeRequest.SerializeToString, RangeResponse.FromString
        )
        self.txn = self._channel.unary_unary(
            "/etcdserverpb.KV/Txn", TxnRequest.SerializeToString, TxnResponse.FromString
        )
        self.status = self._channel.unary_unary(
            "/etcdserverpb.Maintenance/Status", StatusRequest.SerializeToString, StatusResponse.FromString
        )
        self.watch = self._channel.stream_stream(
            "/etcdserverpb.Watch/Watch", WatchRequest.SerializeToString, WatchResponse.FromString
        )

    def close(self) -> None:
        """End what is under way; its callers hear of it."""
        self._channel.close()


def credentials_of(files: TlsFiles | None) -> grpc.ChannelCredentials | None:
    """Return the credentials of mutual TLS; None without files.

    Raises:
        StartError: a file cannot be read.
    """
    if files is None:
        return None
    return grpc.ssl_channel_credentials(
        read_pem(files.ca, "the store's CA file"),
        read_pem(files.key, "the store's key"),
        read_pem(files.certificate, "the store's certificate"),
    )

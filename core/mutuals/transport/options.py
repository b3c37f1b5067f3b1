"""The settings of channels and servers, and what bounds a call (DESIGN §11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Options = list[tuple[str, Any]]

MAX_MESSAGE_BYTES = 1024 * 1024
MAX_METADATA_BYTES = 8 * 1024
UNREAD_BYTES = 256 * 1024
"""How much of a stream may be under way to a side that has not read it; no more moves in a round trip."""
READ_AHEAD_BYTES = UNREAD_BYTES // 2
"""How much a side may have read of a stream that it has not dealt with: this and ``UNREAD_BYTES`` is what is lost, and
sent again, each way when the line of a match breaks.
"""
PENDING_MESSAGES = 8
PENDING_BYTES = 2 * MAX_MESSAGE_BYTES
"""How many messages, and bytes of them, wait on each side of a stream before the sender has to."""

SPARE_THREADS = 8
"""Threads of a server that only refuse, once all places are taken."""
WAITING_CALLS = 256
"""Calls that wait for a thread, for milliseconds; more are refused by gRPC itself."""

_MB = 1_000_000


@dataclass(frozen=True)
class Limits:
    """What bounds a call, in seconds, and a server: in all, and with one partner. What the defaults of a server are
    made of: docs/operations.md, Limits; ``mutuals_server.limits`` makes them of the configuration.

    ``unary`` is the deadline of a ping or sync, ``stream`` that of a whole run, ``first`` how long its first message
    may take, ``idle`` how long a side waits for the partner's next message, or for room to send one.
    ``connection_age`` is after how long a partner has to connect anew, ``drain`` how long a stopping server lets
    calls finish.

    ``runs`` and ``unary_calls`` (pings and syncs) are how many may go on at a time. ``calls_per_minute`` and, of them,
    ``matches_per_minute`` are a partner's. ``bytes_per_second`` of messages are read; ``memory`` is what matches at
    work hold and ``spool`` what runs keep on disk, in bytes, by what both sides announced; ``free_disk`` bytes of the
    disk are left. ``connections`` are all there are, strangers' too.
    """

    unary: float = 30
    stream: float = 6 * 3600
    first: float = 300
    idle: float = 300
    connection_age: float = 600
    drain: float = 20
    runs: int = 16
    runs_per_partner: int = 4
    unary_calls: int = 16
    unary_calls_per_partner: int = 4
    calls_per_minute: int = 300
    matches_per_minute: int = 30
    bytes_per_second: int = 128 * _MB
    bytes_per_second_per_partner: int = 32 * _MB
    memory: int = 64_000 * _MB
    memory_per_partner: int = 64_000 * _MB
    spool: int = 50_000 * _MB
    spool_per_partner: int = 20_000 * _MB
    free_disk: int = 1_000 * _MB
    connections: int = 5000

    @property
    def threads(self) -> int:
        """How many threads of gRPC's carry calls."""
        return self.runs + self.unary_calls + SPARE_THREADS


DEFAULT_LIMITS = Limits()


def channel_options(server_name: str, *, local: bool) -> Options:
    """Options of a channel to the partner whose certificate has the name ``server_name``.

    ``local``: the endpoint is on this machine, so that a configured web proxy must not be asked for it.
    """
    return [
        *_COMMON,
        ("grpc.ssl_target_name_override", server_name),
        # A retry would repeat what a call has already done to the partner's store and budgets.
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
        # A channel of its own: no back-off inherited from an earlier attempt in the same process.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0 if local else 1),
    ]


def server_options(limits: Limits) -> Options:
    """Options of the server."""
    return [
        *_COMMON,
        # Without it a second server binds the same port and takes half of the calls.
        ("grpc.so_reuseport", 0),
        # One connection's; a few more than a partner's share, so that it hears a refusal and does not wait unheard.
        (
            "grpc.max_concurrent_streams",
            limits.runs_per_partner + limits.unary_calls_per_partner + SPARE_THREADS,
        ),
        # One more is closed at once, before the handshake.
        ("grpc.max_allowed_incoming_connections", limits.connections),
        ("grpc.max_connection_idle_ms", _ms(limits.connection_age)),
        ("grpc.max_connection_age_ms", _ms(limits.connection_age)),
        # A run may outlive the age of its connection: no new call enters, and the old one may finish.
        ("grpc.max_connection_age_grace_ms", _ms(limits.stream)),
        # Strangers who only connect hold their connection for so long.
        ("grpc.server_handshake_timeout_ms", _ms(5)),
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(20)),
        ("grpc.http2.max_ping_strikes", 3),
    ]


_COMMON: Options = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * MAX_METADATA_BYTES),
    # Blinded points do not compress, and a message that cannot be compressed cannot be a bomb.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    # By itself gRPC takes what the line holds, several megabytes of each connection.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", UNREAD_BYTES),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)

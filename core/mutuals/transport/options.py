"""The settings of channels and servers, and what bounds a call (DESIGN §11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Options = list[tuple[str, Any]]

MAX_MESSAGE_BYTES = 1024 * 1024
MAX_METADATA_BYTES = 8 * 1024
PENDING_MESSAGES = 8
"""How many messages wait on each side of a stream before the sender has to."""


@dataclass(frozen=True)
class Limits:
    """What bounds a call, in seconds, and a server.

    ``unary`` is the deadline of a ping or sync, ``stream`` that of a whole run, ``idle`` how long a side
    waits for the partner's next message, or for room to send one. ``connection_age`` is after how long a
    partner has to connect anew, ``drain`` how long a stopping server lets calls finish. ``runs`` may go on at
    a time, ``runs_per_partner`` of them with one partner; ``unary_calls`` more threads answer the rest.
    """

    unary: float = 30
    stream: float = 6 * 3600
    idle: float = 300
    connection_age: float = 600
    drain: float = 20
    runs: int = 8
    runs_per_partner: int = 4
    unary_calls: int = 8


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
        ("grpc.max_concurrent_streams", limits.runs + limits.unary_calls),
        ("grpc.max_connection_idle_ms", _ms(limits.connection_age)),
        ("grpc.max_connection_age_ms", _ms(limits.connection_age)),
        # A run may outlive the age of its connection: no new call enters, and the old one may finish.
        ("grpc.max_connection_age_grace_ms", _ms(limits.stream)),
        ("grpc.server_handshake_timeout_ms", _ms(10)),
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
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)

"""Addresses of this very machine, and the one under which the server is watched."""

from __future__ import annotations

import re

from mutuals.identity.text import valid_endpoint

NETWORK = "network:"
"""Written before an address of the metrics that others than this machine can reach."""


def is_loopback(host: str) -> bool:
    """Whether ``host``, without brackets, is this machine and for it alone: ``localhost``, 127.0.0.0/8, ::1."""
    return host.lower() in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def metrics_address(text: str) -> tuple[str, int]:
    """Host and port of ``127.0.0.1:9464``, or of ``network:10.0.0.5:9464``. Raises ValueError, a clause that goes on
    from the key, where it is something else, or would be open to the network without saying so.
    """
    network = text.startswith(NETWORK)
    address = text.removeprefix(NETWORK)
    if not valid_endpoint(address):
        raise ValueError("is not host:port, for example 127.0.0.1:9464")
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not network and not is_loopback(host):
        raise ValueError(
            "would show partners' names and how much goes to them to everybody on the network; "
            f"write 127.0.0.1:{port}, or {NETWORK}{address} where a firewall lets nobody else in"
        )
    return host, int(port)

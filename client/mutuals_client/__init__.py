"""The command line of a peer, the side that starts runs, and the same for Python (docs/python.md).

    import mutuals_client as mutuals

    with mutuals.open_peer("~/acme", operator="anna") as acme:
        run = acme.match("A-7Q3K2M9X", unless_since="20h")

Importing it loads nothing else: each part comes when it is first used, so that the command line starts quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mutuals.errors import ErrorCode, MutualsError
    from mutuals_client.api.session import PeerSession, open_peer
    from mutuals_client.api.values import Preview, Report, Run, Step

__all__ = [
    "ErrorCode",
    "MutualsError",
    "PeerSession",
    "Preview",
    "Report",
    "Run",
    "Step",
    "open_peer",
]

_WHERE = {
    "ErrorCode": "mutuals.errors",
    "MutualsError": "mutuals.errors",
    "PeerSession": "mutuals_client.api.session",
    "Preview": "mutuals_client.api.values",
    "Report": "mutuals_client.api.values",
    "Run": "mutuals_client.api.values",
    "Step": "mutuals_client.api.values",
    "open_peer": "mutuals_client.api.session",
}


def __getattr__(name: str) -> Any:
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(where), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Engines by name, and the workers that run them.

engine = get_engine("openmined")
points = engine.blind(engine.generate_key(), items)
"""

from __future__ import annotations

from collections.abc import Callable

from mutuals.engines.base import Engine
from mutuals.errors import ErrorCode, MutualsError

__all__ = ["engine_names", "get_engine"]


def _openmined(_: str | None) -> Engine:
    from mutuals.engines.openmined import OpenMinedEngine

    return OpenMinedEngine()


def _x25519(backend: str | None) -> Engine:
    from mutuals.engines.x25519 import X25519Engine

    return X25519Engine(backend)


_ENGINES: dict[str, Callable[[str | None], Engine]] = {"openmined": _openmined, "x25519": _x25519}


def engine_names() -> tuple[str, ...]:
    """The engines this release knows, whether or not this machine can run them."""
    return tuple(_ENGINES)


def get_engine(name: str, x25519_backend: str | None = None) -> Engine:
    """The engine called ``name``; ``x25519_backend`` forces what computes X25519 and means nothing to other engines.

    Raises MutualsError (ENGINE_MISMATCH) where this release does not know it or this machine cannot run it.
    """
    if name not in _ENGINES:
        raise MutualsError(
            ErrorCode.ENGINE_MISMATCH,
            f"This release has no engine called {name!r}.",
            hint=f"Name one of {', '.join(engine_names())} in the agreement, or update mutuals.",
        )
    return _ENGINES[name](x25519_backend)

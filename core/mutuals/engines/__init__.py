"""Engines by name, and the workers that run them.

engine = get_engine("openmined")
points = engine.blind(engine.generate_key(), items)
"""

from __future__ import annotations

from collections.abc import Callable

from mutuals.engines.base import Engine
from mutuals.errors import ErrorCode, MutualsError

__all__ = ["engine_names", "get_engine"]


def _openmined() -> Engine:
    from mutuals.engines.openmined import OpenMinedEngine

    return OpenMinedEngine()


def _x25519() -> Engine:
    from mutuals.engines.x25519 import X25519Engine

    return X25519Engine()


_ENGINES: dict[str, Callable[[], Engine]] = {"openmined": _openmined, "x25519": _x25519}


def engine_names() -> tuple[str, ...]:
    """The engines this release knows, whether or not this machine can run them."""
    return tuple(_ENGINES)


def get_engine(name: str) -> Engine:
    """The engine called ``name``.

    Raises MutualsError (ENGINE_MISMATCH) where this release does not know it or this machine cannot run it.
    """
    if name not in _ENGINES:
        raise MutualsError(
            ErrorCode.ENGINE_MISMATCH,
            f"This release has no engine called {name!r}.",
            hint=f"Name one of {', '.join(engine_names())} in the agreement, or update mutuals.",
        )
    return _ENGINES[name]()

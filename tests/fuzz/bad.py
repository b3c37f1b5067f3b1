"""Parsers with every kind of fault, by which is shown that each is found."""

from __future__ import annotations

import os
import signal

from fuzz.mutate_bytes import mutate_bytes
from fuzz.target import Ready, Target


def _hang(data: bytes) -> None:
    """Inside of C, where no exception can be raised."""
    if data:
        sum(range(10**12))


def _crash(data: bytes) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _hoard(data: bytes) -> None:
    bytearray(4 << 30)


def _leave(data: bytes) -> None:
    raise KeyError(data)


def _ready(parse: object) -> Ready:
    assert callable(parse)
    return Ready([b"a sound input"], parse)


TARGETS = (
    Target("bad.hang", lambda: _ready(_hang), mutate_bytes),
    Target("bad.crash", lambda: _ready(_crash), mutate_bytes),
    Target("bad.memory", lambda: _ready(_hoard), mutate_bytes),
    Target("bad.error", lambda: _ready(_leave), mutate_bytes),
)

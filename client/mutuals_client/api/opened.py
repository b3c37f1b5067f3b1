"""A peer that a program has open: its keys, its frames, its progress, and that it is closed in the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.api.frames import Kind, as_kind
from mutuals_client.api.values import Frame, ProgressCallback, Step

if TYPE_CHECKING:
    import polars as pl

    from mutuals.peer import Peer
    from mutuals.runs.ports import Progress
    from mutuals_client.api.unlocking import Operator
    from mutuals_client.patience import Patience


class OpenPeer(Generic[Frame]):
    """What every method of ``PeerSession`` uses."""

    def __init__(
        self, peer: Peer, operator: Operator, progress: ProgressCallback | None, frames: Kind
    ) -> None:
        self._opened: Peer | None = peer
        self._operator = operator
        self._progress = progress
        self._frames: Kind = frames
        self._process = os.getpid()
        self._lock = threading.Lock()
        self.home = peer.home.root
        self.name = peer.name

    def __repr__(self) -> str:
        state = "" if self._opened else " (closed)"
        return f"<mutuals peer of {self.name} in {self.home}{state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget the operator's keys and close the store; safe to call twice, not while another thread is at work."""
        with self._lock:
            peer, self._opened = self._opened, None
        self._operator.forget()
        if peer is not None:
            peer.close()

    @property
    def _peer(self) -> Peer:
        if self._opened is None:
            raise MutualsError(
                ErrorCode.USAGE, f"The peer in {self.home} was closed.", hint="Open it again: open_peer(...)"
            )
        if os.getpid() != self._process:
            raise MutualsError(
                ErrorCode.USAGE,
                "A peer can be used only in the process that opened it.",
                hint="Open it in each process, and start these by spawn.",
            )
        return self._opened

    def _ready(self) -> Peer:
        """The peer, after what has lapsed was ended."""
        from mutuals.runs.lifecycle import expire_runs

        peer = self._peer
        expire_runs(peer)
        return peer

    def _frame(self, frame: pl.DataFrame) -> Frame:
        made: Frame = as_kind(frame, self._frames)
        return made

    @contextmanager
    def _showing(self) -> Iterator[Progress]:
        from mutuals_client.api.telling import telling

        with telling(self._progress) as progress:
            yield progress

    def _patience(self, lasting: str | timedelta | None) -> Patience:
        from mutuals_client.patience import Patience

        tell = self._progress
        return Patience(
            timedelta() if lasting is None else duration_of(lasting, "wait_for_partner"),
            None if tell is None else lambda sentence: tell(Step(sentence)),
        )


def duration_of(given: str | timedelta, name: str) -> timedelta:
    """What ``"20h"`` or a timedelta means; ``name`` is the argument. Raises MutualsError (USAGE)."""
    from mutuals_client.patience import duration

    if isinstance(given, str):
        return duration(given, name)
    if given < timedelta():
        raise MutualsError(ErrorCode.USAGE, f"{name} is negative.")
    return given

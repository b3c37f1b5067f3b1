"""The own side of a run in numbers, taken while it happens: what the report shows later (``mutuals.runs.report``).

    meter = Meter(progress)                       # a Progress, and a stream that counts
    statistics = match_statistics(own, ordered)   # who took part, who did not and why
    with measured(peer, run_id, "reveal", meter): # the durations and bytes go to the run, however it ends

Counts only: no identifier, no id, no hash of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from mutuals.errors import MutualsError
from mutuals.models.run import Run, RunState
from mutuals.models.statistics import Act, Effort, RunStatistics
from mutuals.peer import Peer
from mutuals.protocol.items import Rows
from mutuals.protocol.messages import SealedRecord
from mutuals.runs.overlap import Overlap
from mutuals.runs.ports import MessageStream, Progress, Silent
from mutuals.runs.prepare import OrderedItems, OwnSet

Outgoing = TypeVar("Outgoing")
Incoming = TypeVar("Incoming")

_NUMBER = 4
"""Bytes of a number in a message: what most take on the wire, as varint or u32."""


def match_statistics(own: OwnSet, ordered: OrderedItems) -> RunStatistics:
    """Who takes part in a match and who does not, before the first message."""
    people = own.participants
    return RunStatistics(
        eligible=len(people.contact_ids),
        excluded=people.excluded,
        identifiers={kind: len(span) for kind, span in people.spans.items()},
        withheld=people.withheld_identifiers,
        padding=len(ordered.dummies),
    )


def with_overlap(
    statistics: RunStatistics | None, own: OwnSet, items: Rows, overlap: Overlap
) -> RunStatistics | None:
    """``statistics`` with the overlap by type of identifier; ``items`` (shape (n, 32)) are its items by rank."""
    if statistics is None:
        return None
    spans = own.participants.spans
    kinds = list(spans)
    starts = np.array([span.start for span in spans.values()], dtype=np.int64)
    of_rank: npt.NDArray[np.int64] = np.searchsorted(starts, own.rows_of(items), side="right") - 1
    pairs = np.bincount(of_rank, minlength=len(kinds)).tolist()
    holders = overlap.holders()
    kind = pl.Series("kind", np.left_shift(1, of_rank)[holders["rank"].to_numpy()])
    found = holders.with_columns(kind).group_by("contact").agg(pl.col("kind").bitwise_or())
    by_types = dict(found["kind"].value_counts().sort("kind").iter_rows())
    return statistics.model_copy(
        update={
            "pairs": dict(zip(kinds, pairs, strict=True)),
            "contacts": {_named(mask, kinds): count for mask, count in by_types.items()},
        }
    )


def _named(mask: int, kinds: Sequence[str]) -> str:
    return "+".join(kind for index, kind in enumerate(kinds) if mask >> index & 1)


class Meter:
    """A Progress that passes everything on and notes how long each stage took; its streams count bytes."""

    def __init__(self, progress: Progress | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress = progress or Silent()
        self._clock = clock
        self._seconds: dict[str, float] = {}
        self._stage: str | None = None
        self._since = clock()
        self.sent = 0
        self.received = 0

    def stage(self, name: str, total: int) -> None:
        """See ``Progress.stage``."""
        self._close()
        self._stage = name
        self._progress.stage(name, total)

    def advance(self, items: int) -> None:
        """See ``Progress.advance``."""
        self._progress.advance(items)

    def metered(self, stream: MessageStream[Outgoing, Incoming]) -> MessageStream[Outgoing, Incoming]:
        """``stream``, counted."""
        return _MeteredStream(stream, self)

    def effort(self) -> Effort:
        """What it took so far; the present stage ends here."""
        self._close()
        seconds = {name: round(spent, 3) for name, spent in self._seconds.items()}
        return Effort(seconds=seconds, sent=self.sent, received=self.received)

    def _close(self) -> None:
        now = self._clock()
        if self._stage is not None:
            self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + max(now - self._since, 0.0)
        self._since = now


class _MeteredStream(Generic[Outgoing, Incoming]):
    """A MessageStream; one thread sends while another receives, so each counts for itself."""

    def __init__(self, stream: MessageStream[Outgoing, Incoming], meter: Meter) -> None:
        self._stream = stream
        self._meter = meter

    def send(self, message: Outgoing) -> None:
        """See ``MessageStream.send``."""
        self._stream.send(message)
        self._meter.sent += message_bytes(message)

    def receive(self) -> Incoming:
        """See ``MessageStream.receive``."""
        message = self._stream.receive()
        self._meter.received += message_bytes(message)
        return message


def message_bytes(message: object) -> int:
    """About how many bytes a message is: its contents, without the framing of Protobuf, gRPC and TLS."""
    if isinstance(message, bytes | bytearray | memoryview | str):
        return len(message)
    if isinstance(message, np.ndarray):
        return message.nbytes
    if isinstance(message, SealedRecord):  # as many as there are pairs
        return len(message.ciphertext) + _NUMBER * (2 + len(message.also))
    if isinstance(message, int):
        return _NUMBER
    if isinstance(message, tuple | list):
        if message and isinstance(message[0], int):
            return _NUMBER * len(message)
        return sum(map(message_bytes, message))
    if is_dataclass(message):
        return sum(message_bytes(getattr(message, field.name)) for field in fields(message))
    return 0


@contextmanager
def measured(peer: Peer, run: Callable[[], Run | None], act: Act, meter: Meter) -> Iterator[None]:
    """Note in the run what ``act`` cost, whichever way it ends; ``run`` may be known only by then."""
    try:
        yield
    except BaseException:
        with suppress(MutualsError):  # the first error is the one to tell
            _record(peer, run(), act, meter)
        raise
    _record(peer, run(), act, meter)


def _record(peer: Peer, run: Run | None, act: Act, meter: Meter) -> None:
    if run is None:
        return
    with peer.store.transaction() as tx:
        current = tx.runs.get(run.run_id)
        if current is not None and current.statistics is not None:
            statistics = current.statistics.spent(act, meter.effort())
            tx.runs.update(run.run_id, set(RunState), statistics=statistics)

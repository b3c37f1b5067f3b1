"""Whether there is memory and disk for one more match, by what both sides announce, before anything is charged.

    with room.place(partner) as place:
        place.claim(own=1_000_000, theirs=2_000_000)    # raises Refused
        place.carries(run_id)

What a partner announces is a number in a signed message; what it makes us hold is in proportion to it. So the number
is weighed first, against what all matches at work have claimed, what earlier runs left on disk (journals, and what
waits for a reveal), and what the disk has. What a claim stands for is written bit by bit: the rest counts as gone.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mutuals.errors import ErrorCode
from mutuals.peer import Peer
from mutuals.runs.needs import memory_needed, spool_needed
from mutuals.runs.spool_files import spool_files
from mutuals.transport.options import Limits
from mutuals_server.refusals import Reason, Refused


@dataclass
class _Claim:
    partner: str
    memory: int = 0
    spool: int = 0
    run: str | None = None


class Place:
    """What one call claims."""

    def __init__(self, room: Room, claim: _Claim) -> None:
        self._room = room
        self._claim = claim

    def claim(self, own: int, theirs: int) -> None:
        """Claim what a match of ``own`` and ``theirs`` items needs, in place of an earlier claim. Raises Refused."""
        self._room._weigh(self._claim, memory_needed(own, theirs), spool_needed(own, theirs))

    def carries(self, run_id: str) -> None:
        """The files of this run are what is claimed."""
        self._claim.run = run_id

    def check_disk(self) -> None:
        """Raise Refused where the disk has less left than is kept."""
        self._room.check_disk()


class Room:
    """What the server of ``peer`` has for matches; ``free`` gives the free bytes of the home's disk."""

    def __init__(self, peer: Peer, limits: Limits, free: Callable[[], int] | None = None) -> None:
        self._peer = peer
        self._limits = limits
        self._free = free or (lambda: shutil.disk_usage(peer.home.root).free)
        self._lock = threading.Lock()
        self._claims: list[_Claim] = []

    @contextmanager
    def place(self, partner: str) -> Iterator[Place]:
        """A place for a run with the partner of this fingerprint (hex); what it claims is given back at the end."""
        claim = _Claim(partner)
        with self._lock:
            self._claims.append(claim)
        try:
            yield Place(self, claim)
        finally:
            with self._lock:
                # By identity: two claims may be equal.
                self._claims = [other for other in self._claims if other is not claim]

    def check_disk(self) -> None:
        """Raise Refused where the disk has less left than is kept."""
        if self._free() < self._limits.free_disk:
            raise Refused(
                Reason.DISK,
                f"Less than the {_megabytes(self._limits.free_disk)} that are kept are free on the disk of "
                f"{self._peer.home.root}.",
                ErrorCode.NO_ROOM,
            )

    def _weigh(self, claim: _Claim, memory: int, spool: int) -> None:
        files = _sizes(spool_files(self._peer))
        owners = self._owners(files)
        with self._lock:
            others = [other for other in self._claims if other is not claim]
            self._weigh_memory(claim.partner, others, memory)
            self._weigh_spool(claim, others, files, owners, spool)
            unwritten = sum(max(0, other.spool - files.get(other.run or "", 0)) for other in others)
            written = files.get(claim.run or "", 0)
            if self._free() - unwritten - max(0, spool - written) < self._limits.free_disk:
                raise Refused(
                    Reason.DISK,
                    f"A run needs {_megabytes(spool)} on the disk of {self._peer.home.root}, of which "
                    f"{_megabytes(self._limits.free_disk)} are kept free.",
                    ErrorCode.NO_ROOM,
                )
            claim.memory, claim.spool = memory, spool

    def _weigh_memory(self, partner: str, others: list[_Claim], memory: int) -> None:
        taken = sum(other.memory for other in others)
        theirs = sum(other.memory for other in others if other.partner == partner)
        limits = self._limits
        if memory > min(limits.memory, limits.memory_per_partner):  # waiting would not help
            raise Refused(
                Reason.MEMORY, f"A run of this size needs {_megabytes(memory)} of memory.", ErrorCode.NO_ROOM
            )
        if taken + memory > limits.memory or theirs + memory > limits.memory_per_partner:
            raise Refused(
                Reason.MEMORY,
                f"A run needs {_megabytes(memory)} of memory; those at work have {_megabytes(taken)}, the "
                f"partner's {_megabytes(theirs)}.",
            )

    def _weigh_spool(
        self,
        claim: _Claim,
        others: list[_Claim],
        files: dict[str, int],
        owners: dict[str, str],
        spool: int,
    ) -> None:
        working = {claim.run, *(other.run for other in others)}
        left = {run: size for run, size in files.items() if run not in working}
        taken = sum(other.spool for other in others) + sum(left.values())
        theirs = sum(other.spool for other in others if other.partner == claim.partner)
        theirs += sum(size for run, size in left.items() if owners.get(run) == claim.partner)
        limits = self._limits
        if taken + spool > limits.spool or theirs + spool > limits.spool_per_partner:
            raise Refused(
                Reason.SPOOL,
                f"A run needs {_megabytes(spool)} in {self._peer.home.spool}; runs have {_megabytes(taken)} there, "
                f"the partner's {_megabytes(theirs)}.",
                ErrorCode.NO_ROOM,
            )

    def _owners(self, runs: Iterable[str]) -> dict[str, str]:
        """The partner of each of these runs that is in the store."""
        with self._peer.store.transaction() as tx:
            found = [tx.runs.get(run) for run in runs]
        return {run.run_id: run.partner for run in found if run is not None}


def _sizes(files: list[Path]) -> dict[str, int]:
    """What the files of each run take, in bytes."""
    sizes: dict[str, int] = {}
    for path in files:
        with suppress(OSError):  # gone meanwhile
            sizes[path.stem] = sizes.get(path.stem, 0) + path.stat().st_size
    return sizes


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"

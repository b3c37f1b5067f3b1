"""The journal of a match in flight: a file in the spool folder, encrypted under the run's key.

    journal = MatchJournal.create(peer, run, Opening(items, dummies, count_only, withdrawals))
    session.proceed(journal)
    ...                                                    # the line breaks, or the process is killed
    journal = MatchJournal.open(peer, run)                 # nobody else can hold it
    session.restore(run.sid, run.partner_size, journal.entries(), ...)

It begins with the items in the order in which they are sent, and grows by what the session accepts
(``mutuals.protocol.journal``): 80 bytes an own item in the end, 48 one of the partner's. Records are numbered and
authenticated; what a killed process left unfinished at the end is cut off. The file is gone when the match ends.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mutuals.engines.base import ITEM_SIZE, Operation
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.files import PRIVATE_FILE, lock, sync_directory
from mutuals.models.run import Run, RunState
from mutuals.peer import Peer
from mutuals.protocol.items import Rows, as_rows
from mutuals.protocol.journal import Began, Computed, Entry
from mutuals.protocol.lists import Work
from mutuals.protocol.messages import Blinded, TagCommit, Tags
from mutuals.runs.spool_files import destroy_journal, journal_path, make_spool

RESUMED_AT_MOST = 100
"""How often one match is taken up again: each time costs reading the journal."""

_PART = "journal"
_LENGTH = struct.Struct(">I")
_OPENING = struct.Struct(">BQQQ")
_ENTRY = struct.Struct(">BQQB")
_NONCE_BYTES = 12
_OVERHEAD = _NONCE_BYTES + 16
_PIECE_BYTES = 1 << 20
_LONGEST = 2 * _PIECE_BYTES

_RESUMED, _BEGAN, _POINTS, _TAGS_OF, _BLINDED, _COMMIT, _TAGS = b"RBPWLCT"


@dataclass(frozen=True)
class Opening:
    """What a match begins with: the own items as sent (n × 32), which of them are padding (uint32, ascending),
    whether the count alone was agreed, and how many contacts were withdrawn when the source was read.
    """

    items: Rows = field(repr=False)
    dummies: npt.NDArray[np.uint32] = field(repr=False)
    count_only: bool
    withdrawals: int


_UNREAD = Opening(as_rows(b"", ITEM_SIZE), np.empty(0, np.uint32), False, 0)


class MatchJournal:
    """A ``mutuals.protocol.journal.Journal`` in a file, which no other process holds meanwhile.

    Every method raises MutualsError: LOCAL where the file cannot be written.
    """

    def __init__(self, peer: Peer, run: Run, file: BinaryIO, opening: Opening) -> None:
        self.opening = opening
        self.resumed = 0
        self._peer = peer
        self._run = run
        self._file = file
        self._cipher = _cipher(run)
        self._number = 0

    @classmethod
    def create(cls, peer: Peer, run: Run, opening: Opening) -> MatchJournal:
        """Begin the journal of a run that is about to enter the store."""
        path = journal_path(peer, run)
        try:
            make_spool(path.parent)
            file = _created(path)
        except OSError as error:
            destroy_journal(peer, run)
            raise _cannot(path, error) from error
        journal = cls(peer, run, file, opening)
        try:
            lock(journal._file.fileno())
            dummies = opening.dummies.astype("<u4").tobytes()
            journal._put(
                _OPENING.pack(opening.count_only, opening.withdrawals, len(opening.items), len(dummies))
            )
            for data in (dummies, opening.items.data.cast("B") if opening.items.size else b""):
                for start in range(0, len(data), _PIECE_BYTES):
                    journal._put(bytes(data[start : start + _PIECE_BYTES]))
            journal.settle()  # with the order of the items, a run that is charged can go on
        except BaseException:
            journal.close()
            destroy_journal(peer, run)
            raise
        return journal

    @classmethod
    def open(cls, peer: Peer, run: Run) -> MatchJournal:
        """Take up the journal of ``run``; ``entries`` must be read to the end before anything is added.

        Raises MutualsError: RUN_STATE where it is gone or damaged, BUSY where somebody else is at the match.
        """
        path = journal_path(peer, run)
        gone = MutualsError(
            ErrorCode.RUN_STATE,
            f"What run {run.run_id} needs to go on is gone or damaged.",
            hint="Start a new match.",
        )
        if run.spool_key is None:
            raise gone
        try:
            file = path.open("r+b", buffering=0)
        except FileNotFoundError as error:
            raise gone from error
        except OSError as error:  # it may be there and whole, and the disk or the rights be put in order
            raise _cannot(path, error) from error
        try:
            if not lock(file.fileno()):
                raise MutualsError(
                    ErrorCode.BUSY,
                    f"Run {run.run_id} is under way.",
                    hint="See how it stands: mutuals runs",
                )
            journal = cls(peer, run, file, _UNREAD)
            journal.opening = journal._read_opening(gone)
        except BaseException:
            file.close()
            raise
        return journal

    @classmethod
    def count_only(cls, peer: Peer, run: Run) -> bool | None:
        """Whether ``run`` was to end with the count; nothing where it cannot go on, or somebody is at it."""
        path = journal_path(peer, run)
        try:
            file = path.open("r+b", buffering=0)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _cannot(path, error) from error
        with file:
            if run.spool_key is None or not lock(file.fileno()):
                return None
            first = cls(peer, run, file, _UNREAD)._next()
        return None if first is None or len(first) != _OPENING.size else bool(_OPENING.unpack(first)[0])

    @classmethod
    def heard(cls, peer: Peer, run: Run) -> bool | None:
        """Whether anything of the partner came once ``run`` was stored; nothing where that cannot be told any more."""
        try:
            with cls.open(peer, run) as journal:
                return any(isinstance(entry, Blinded | TagCommit | Tags) for entry in journal.entries())
        except MutualsError:
            return None

    def entries(self) -> Iterator[Entry]:
        """What was added so far; an unfinished record at the end is cut off."""
        while (data := self._next()) is not None:
            entry = _decode(data)
            if entry is None:
                self.resumed += 1
            else:
                yield entry

    def count_resumption(self) -> None:
        """Note that the match goes on. Raises MutualsError (RUN_STATE) once it was taken up too often."""
        if self.resumed >= RESUMED_AT_MOST:
            raise MutualsError(
                ErrorCode.RUN_STATE,
                f"Run {self._run.run_id} was interrupted more than {RESUMED_AT_MOST} times.",
                hint="Start a new match once the connection holds.",
            )
        self.resumed += 1
        self._put(_ENTRY.pack(_RESUMED, 0, 0, 0))

    def add(self, entry: Entry) -> None:
        """See ``Journal.add``."""
        self._put(_encode(entry))

    def settle(self) -> None:
        """See ``Journal.settle``."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _cannot(journal_path(self._peer, self._run), error) from error

    def forget_key(self) -> None:
        """See ``Journal.forget_key``."""
        with self._peer.store.transaction() as tx:
            tx.runs.update(self._run.run_id, {RunState.MATCHING}, match_key=None)

    def close(self) -> None:
        """Let the file go, for another attempt. May be called twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put(self, data: bytes) -> None:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, data, self._associated())
        try:
            rest = memoryview(_LENGTH.pack(len(sealed)) + sealed)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise _cannot(journal_path(self._peer, self._run), error) from error
        self._number += 1

    def _next(self) -> bytes | None:
        """The next record, or nothing at the end, where the file then ends."""
        try:
            return self._read()
        except OSError as error:
            raise _cannot(journal_path(self._peer, self._run), error) from error

    def _read(self) -> bytes | None:
        start = self._file.tell()
        head = self._file.read(_LENGTH.size)
        size = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
        if _OVERHEAD <= size <= _LONGEST:
            sealed = self._file.read(size)
            try:
                data = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._associated())
            except (InvalidTag, ValueError):
                pass
            else:
                self._number += 1
                return data
        self._file.seek(start)
        self._file.truncate()
        return None

    def _associated(self) -> bytes:
        return frame(Context.SPOOL, self._run.sid, _PART, self._number)

    def _read_opening(self, gone: MutualsError) -> Opening:
        def read(size: int) -> bytearray:
            data = bytearray()
            while len(data) < size:
                piece = self._next()
                if piece is None or len(data) + len(piece) > size:
                    raise gone
                data += piece
            return data

        try:
            count_only, withdrawals, items, dummies = _OPENING.unpack(read(_OPENING.size))
            return Opening(
                dummies=np.frombuffer(read(dummies), "<u4").astype(np.uint32),
                items=as_rows(memoryview(read(items * ITEM_SIZE)), ITEM_SIZE),
                count_only=bool(count_only),
                withdrawals=withdrawals,
            )
        except struct.error as error:
            raise gone from error


def _cipher(run: Run) -> AESGCM:
    if run.spool_key is None:
        raise MutualsError(ErrorCode.RUN_STATE, f"Run {run.run_id} has ended; nothing is kept of it.")
    return AESGCM(run.spool_key)


def _encode(entry: Entry) -> bytes:
    match entry:
        case Began(nonce):
            return _ENTRY.pack(_BEGAN, 0, 0, 0) + nonce
        case Computed(work, result):
            kind = _POINTS if work.operation is Operation.BLIND else _TAGS_OF
            return _ENTRY.pack(kind, work.start, work.stop, 0) + result
        case Blinded(start, points):
            return _ENTRY.pack(_BLINDED, start, 0, 0) + points
        case TagCommit(commitment):
            return _ENTRY.pack(_COMMIT, 0, 0, 0) + commitment
        case Tags(start, tags, nonce):
            return _ENTRY.pack(_TAGS, start, 0, len(nonce)) + nonce + tags


def _decode(data: bytes) -> Entry | None:
    """The entry, or nothing where the record says that the match went on."""
    kind, start, stop, extra = _ENTRY.unpack_from(data)
    rest = data[_ENTRY.size :]
    if kind == _RESUMED:
        return None
    if kind == _BEGAN:
        return Began(rest)
    if kind == _COMMIT:
        return TagCommit(rest)
    if kind == _BLINDED:
        return Blinded(start, rest)
    if kind == _TAGS:
        return Tags(start, rest[extra:], rest[:extra])
    return Computed(Work(Operation.BLIND if kind == _POINTS else Operation.REBLIND, start, stop), rest)


def _created(path: Path) -> BinaryIO:
    """A new file whose name outlives a power cut: without the name, what ``settle`` keeps would be lost with it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        sync_directory(path.parent)
        return os.fdopen(descriptor, "r+b", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def _cannot(path: Path, error: OSError) -> MutualsError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return MutualsError(
        ErrorCode.LOCAL,
        f"The journal of a match cannot be kept in {path.parent}: "
        f"{'the disk is full' if full else os.strerror(error.errno or 0)}.",
        hint="A match needs 130 bytes there for each item of the longer list; once there is room, start it again.",
    )

"""Two companies at every point of a run and of an agreement's life, and what is done there: once, and then again.

scenes = Scenes.build(folder)
with scenes.world("exchange", place) as world:
    ends = world.act()                  # what each side raised, if anything
    world.reopen()                      # as after a restart
    world.retry()                       # what a person or a scheduled job does then; what is wrong, in sentences
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from support.assessed import accept, propose
from support.pairing import (
    PASSPHRASE,
    Company,
    Pair,
    TestClock,
    agreement_between,
    contact,
    deliver,
    paired,
)
from support.revealed import authorise_both
from support.streams import MemoryStream, stream_pair

from mutuals.agreement.ending import terminate
from mutuals.documents import receipt_bytes, take_document
from mutuals.engines.workers import InlinePool
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import unlock
from mutuals.models.agreement import AgreementState, Side
from mutuals.models.run import Run, RunState
from mutuals.obligations.retention import keep_retention
from mutuals.obligations.revoke import carry_out, plan_revocation
from mutuals.peer import Peer
from mutuals.protocol.messages import Document
from mutuals.runs.authorisation import authorise_reveal
from mutuals.runs.ending import end_due
from mutuals.runs.exchange import initiate_exchange, respond_exchange
from mutuals.runs.export import open_received, write_export
from mutuals.runs.lifecycle import expire_runs
from mutuals.runs.match import initiate_match, respond_match
from mutuals.runs.resume import interrupted_match, resume_match
from mutuals.runs.reveal import initiate_reveal, respond_reveal
from mutuals.sources.definition import define_source
from mutuals.store.rows import SourceRow
from storage.sites import SIDES

SHARED = 4
LEFT = [contact(f"L{i}", f"person{i}@example.com") for i in range(6)]
RIGHT = [contact(f"R{i}", f"person{i}@example.com", score=str(i)) for i in range(2, 8)]
_FIELDS: dict[str, Any] = {
    "proposer_sends": ({"name": "city", "departments": ("marketing",), "retention_days": 10},),
    "partner_sends": (
        {"name": "score", "type": "integer", "departments": ("marketing",), "retention_days": 10},
    ),
}

End = Callable[[MemoryStream], Any]

BEFORE = {
    "accept": "proposed",
    "match": "agreed",
    "resume": "broken",
    "reveal": "counted",
    "exchange": "revealed",
    "export": "done",
    "revoke": "done",
    "retention": "done",
    "terminate": "done",
    "destruction": "over",
}
"""The acts, and the scene that each begins in."""


@dataclass(frozen=True)
class Scenes:
    """Both homes at every point, and what the run and the agreement are called."""

    folder: Path
    now: datetime
    digest: str
    proposed: str
    run_id: str

    @classmethod
    def build(cls, folder: Path) -> Scenes:
        """Play everything once on sound disks."""
        live = folder / "live"
        live.mkdir(parents=True)
        with paired(live, {Side.PROPOSER: LEFT, Side.PARTNER: RIGHT}, **_FIELDS) as pair:
            left, right = pair.left, pair.right

            def keep(name: str) -> None:
                shutil.copytree(live, folder / name)

            keep("agreed")
            proposed = propose(
                left.peer, agreement_between(left, right, title="Another"), "crm", {}, left.keys
            )
            deliver(left, right)
            keep("proposed")
            _restore(folder / "agreed", live)
        with _opened(live, left.clock.now, pair.digest) as pair:
            _break_off(pair)
            keep("broken")
        _restore(folder / "agreed", live)
        with _opened(live, left.clock.now, pair.digest) as pair:
            run, _ = pair.match()
            for side in pair.sides.values():
                authorise_reveal(side.peer, side.run(run.run_id), side.keys)
            keep("counted")
            pair.reveal(run.run_id)
            authorise_both(pair, run.run_id)
            keep("revealed")
            pair.both(
                lambda stream: initiate_exchange(pair.left.peer, run.run_id, stream),
                lambda stream: respond_exchange(pair.right.peer, pair.right.partner(), stream),
            )
            keep("done")
            terminate(pair.left.peer, pair.digest, "It is over.", pair.left.keys, cause=True)
            keep("over")
            return cls(folder, pair.left.clock.now, pair.digest, proposed, run.run_id)

    @contextmanager
    def world(self, act: str, place: Path) -> Iterator[World]:
        """Copies of both homes in ``place`` before ``act``."""
        scene = self.folder / BEFORE[act]
        if (scene, place) not in _prepared:
            shutil.copytree(scene, place)
            with _opened(place, self.now, self.digest):  # its sources are in another folder now
                pass
            _prepared[scene, place] = _Folder.of(place)
            shutil.rmtree(place)
        _prepared[scene, place].write(place)
        with _opened(place, self.now, self.digest) as pair:
            world = World(self, act, place, pair)
            if act == "retention":
                pair.left.clock.now += timedelta(days=11)
            try:
                yield world
            finally:
                world.close()


@dataclass(frozen=True)
class _Folder:
    """Everything below a folder: modes and contents by relative path, None for that of a folder."""

    entries: tuple[tuple[Path, int, bytes | None], ...]

    @classmethod
    def of(cls, root: Path) -> _Folder:
        found = []
        for path in (root, *sorted(root.rglob("*"))):
            content = None if path.is_dir() else path.read_bytes()
            found.append((path.relative_to(root), path.stat().st_mode & 0o777, content))
        return cls(tuple(found))

    def write(self, root: Path) -> None:
        for relative, mode, content in self.entries:
            path = root / relative
            if content is None:
                path.mkdir(mode)
            else:
                path.write_bytes(content)
                path.chmod(mode)


_prepared: dict[tuple[Path, Path], _Folder] = {}
"""Scenes as they are copied to a place, in memory: an act is played thousands of times."""


@dataclass
class World:
    """One act on copies of the homes."""

    scenes: Scenes
    name: str
    place: Path
    pair: Pair

    def act(
        self, look: Callable[[tuple[MemoryStream, ...]], None] = lambda _: None
    ) -> dict[str, BaseException]:
        """Do it; what each side raised. The threads carry the names of the sides; ``look`` is shown the streams."""
        left, right = getattr(self, f"_{self.name}")()
        return self._run(left, right, look)

    def reopen(self) -> None:
        """Both processes end and begin anew."""
        clock = self.pair.left.clock
        self.close()
        self.pair = Pair(
            {side: _company(self.place / name, clock) for side, name in _NAMES.items()}, self.pair.digest
        )

    def state(self) -> bytes:
        """A digest of everything on the disks of both."""
        return hashlib.sha256(repr(_Folder.of(self.place)).encode()).digest()

    def close(self) -> None:
        for company in self.pair.sides.values():
            company.peer.close()

    def retry(self) -> list[str]:
        """Call for the same again, as often as three times; what is wrong with how it ends."""
        errors: dict[str, BaseException] = {}
        for _ in range(3):
            with suppress(MutualsError):
                self._exchange_documents()
            errors = self._run(*getattr(self, f"_{self.name}")(again=True))
            if not errors:
                break
        self._exchange_documents()
        return list(getattr(self, f"_after_{self.name}")(errors))

    # --- what is done ---------------------------------------------------------------------------------------------

    def _match(self, again: bool = False) -> tuple[End | None, End | None]:
        left, right, pool = self.pair.left, self.pair.right, InlinePool()

        def start(stream: MemoryStream) -> Run:
            if again:
                with left.peer.store.transaction() as tx:
                    broken = interrupted_match(tx, left.peer, self.pair.digest, count_only=False)
                    runs = tx.runs.list()
                if broken is not None:
                    return resume_match(left.peer, broken.run_id, stream, pool)
                if runs and runs[-1].state is RunState.COUNTED:  # it was done, and only not said
                    return resume_match(left.peer, runs[-1].run_id, stream, pool)
            return initiate_match(left.peer, self.pair.digest, stream, pool)

        return start, lambda stream: respond_match(right.peer, right.partner(), stream, pool)

    def _resume(self, again: bool = False) -> tuple[End | None, End | None]:
        return self._match(again=True)

    def _reveal(self, again: bool = False) -> tuple[End | None, End | None]:
        left, right, run_id = self.pair.left, self.pair.right, self.scenes.run_id
        if again and not {RunState.COUNTED} & {side.run(run_id).state for side in (left, right)}:
            return None, None
        return (
            lambda stream: initiate_reveal(left.peer, run_id, stream),
            lambda stream: respond_reveal(right.peer, right.partner(), stream),
        )

    def _exchange(self, again: bool = False) -> tuple[End | None, End | None]:
        left, right, run_id = self.pair.left, self.pair.right, self.scenes.run_id
        if again and left.run(run_id).state is RunState.DONE:
            return None, None
        return (
            lambda stream: initiate_exchange(left.peer, run_id, stream),
            lambda stream: respond_exchange(right.peer, right.partner(), stream),
        )

    def _export(self, again: bool = False) -> tuple[End | None, End | None]:
        left = self.pair.left

        def export(_: MemoryStream) -> None:
            received = open_received(left.peer, self.scenes.run_id, left.keys)
            write_export(left.peer, received, self.place / "out.csv", left.keys, force=again)

        return export, None

    def _accept(self, again: bool = False) -> tuple[End | None, End | None]:
        right, digest = self.pair.right, self.scenes.proposed

        def agree(_: MemoryStream) -> None:
            if not again or self._state(right, digest) is AgreementState.PROPOSED:
                accept(right.peer, digest, "crm", {}, right.keys)
            deliver(right, self.pair.left)

        return None, agree

    def _terminate(self, again: bool = False) -> tuple[End | None, End | None]:
        left, right = self.pair.left, self.pair.right

        def end(_: MemoryStream) -> None:
            if not again or self._state(left, self.pair.digest) is AgreementState.ACTIVE:
                terminate(left.peer, self.pair.digest, "It is over.", left.keys, cause=True)
            end_due(left.peer)
            deliver(left, right)

        return end, None

    def _destruction(self, again: bool = False) -> tuple[End | None, End | None]:
        return lambda _: keep_retention(self.pair.left.peer), None

    def _retention(self, again: bool = False) -> tuple[End | None, End | None]:
        return self._destruction()

    def _revoke(self, again: bool = False) -> tuple[End | None, End | None]:
        left = self.pair.left

        def revoke(_: MemoryStream) -> None:
            plan = plan_revocation(left.peer, ["L3"], "withdrawal", left.keys)
            carry_out(left.peer, plan, left.keys)
            deliver(left, self.pair.right)

        return revoke, None

    # --- what must have come of it --------------------------------------------------------------------------------

    def _after_match(self, errors: dict[str, BaseException]) -> Iterator[str]:
        runs = {name: self.runs(side) for name, side in self.sides()}
        good = [
            {run.run_id for run in found if (run.state, run.count) == (RunState.COUNTED, SHARED)}
            for found in runs.values()
        ]
        if errors or len(good[0] & good[1]) != 1:
            states = {name: [run.state.value for run in found] for name, found in runs.items()}
            yield f"the match does not work again: {states} {_words(errors)}"
        yield from self._ended()

    _after_resume = _after_match

    def _after_reveal(self, errors: dict[str, BaseException]) -> Iterator[str]:
        self.pair.left.clock.now += timedelta(
            hours=2
        )  # after which a reveal that was broken off counts as that
        for _, side in self.sides():
            expire_runs(side.peer)
        states = [side.run(self.scenes.run_id).state for _, side in self.sides()]
        if states != [RunState.REVEALED] * 2 and RunState.HALF_REVEALED not in states:
            yield f"the reveal does not work again: {states} {_words(errors)}"
        yield from self._ended()

    def _after_exchange(self, errors: dict[str, BaseException]) -> Iterator[str]:
        states = [side.run(self.scenes.run_id).state for _, side in self.sides()]
        if states != [RunState.DONE] * 2:
            yield f"the exchange does not work again: {states} {_words(errors)}"
        for name, side in self.sides():
            if len(open_received(side.peer, self.scenes.run_id, side.keys).rows) != SHARED:
                yield f"records are missing on the {name} side"

    def _after_export(self, errors: dict[str, BaseException]) -> Iterator[str]:
        path = self.place / "out.csv"
        if errors or not path.exists() or len(path.read_bytes().splitlines()) != SHARED + 1:
            yield f"the export does not work again {_words(errors)}"
        if left := [path.name for path in self.place.iterdir() if path.name not in {*SIDES, "out.csv"}]:
            yield f"{len(left)} unfinished files were left beside the export"

    def _after_accept(self, errors: dict[str, BaseException]) -> Iterator[str]:
        states = [self._state(side, self.scenes.proposed) for _, side in self.sides()]
        if errors or states != [AgreementState.ACTIVE] * 2:
            yield f"the agreement cannot be accepted again: {states} {_words(errors)}"

    def _after_terminate(self, errors: dict[str, BaseException]) -> Iterator[str]:
        for name, side in self.sides():
            end_due(side.peer)
            if self._state(side, self.pair.digest) is not AgreementState.ENDED:
                yield f"the agreement did not end on the {name} side {_words(errors)}"

    def _after_destruction(self, errors: dict[str, BaseException]) -> Iterator[str]:
        left = self.pair.left
        if errors:
            yield f"retention does not work again {_words(errors)}"
        with left.peer.store.transaction() as tx:
            if tx.received.count(self.scenes.run_id):
                yield "records are still there"
            if len(tx.certificates.list(self.pair.digest)) != 1:
                yield f"there are {len(tx.certificates.list(self.pair.digest))} certificates"
        for folder in (left.peer.home.run_keys, left.peer.home.spool):
            if folder.is_dir() and any(folder.iterdir()):
                yield f"files are left in {folder.name}"

    def _after_retention(self, errors: dict[str, BaseException]) -> Iterator[str]:
        if errors:
            yield f"retention does not work again {_words(errors)}"
        with self.pair.left.peer.store.transaction() as tx:
            if tx.received.count(self.scenes.run_id):
                yield "records are still there"
        if any(self.pair.left.peer.home.run_keys.iterdir()):
            yield "the share of a key to nothing is still there"

    def _after_revoke(self, errors: dict[str, BaseException]) -> Iterator[str]:
        if errors:
            yield f"the contact cannot be withdrawn again {_words(errors)}"
        with self.pair.left.peer.store.transaction() as tx:
            if not tx.suppressions.count():
                yield "the contact is not kept out"
        with self.pair.right.peer.store.transaction() as tx:
            if tx.received.count(self.scenes.run_id) != SHARED - 1:
                yield "the partner still holds it"

    # --- helpers --------------------------------------------------------------------------------------------------

    def sides(self) -> list[tuple[str, Company]]:
        """Both companies by the names of their sides."""
        return [("left", self.pair.left), ("right", self.pair.right)]

    def _ended(self) -> Iterator[str]:
        """Once their dates have passed, every run has ended, or a person must look at it; with a reason."""
        clock = self.pair.left.clock
        clock.now += timedelta(days=40)
        for name, side in self.sides():
            expire_runs(side.peer)
            for run in self.runs(side):
                if not run.state.final and run.state is not RunState.HALF_REVEALED:
                    yield f"a run of the {name} side stays {run.state.value}"
                elif run.reason is None:
                    yield f"a run of the {name} side is {run.state.value} without a reason"

    def _exchange_documents(self) -> None:
        _carry(self.pair.left, self.pair.right)
        _carry(self.pair.right, self.pair.left)

    def _run(
        self,
        left: End | None,
        right: End | None,
        look: Callable[[tuple[MemoryStream, ...]], None] = lambda _: None,
    ) -> dict[str, BaseException]:
        errors: dict[str, BaseException] = {}
        streams = stream_pair()
        look(streams)

        def work(name: str, end: End, stream: MemoryStream) -> None:
            try:
                end(stream)
            except BaseException as error:
                errors[name] = error
                stream.close()

        threads = [
            threading.Thread(target=work, args=(name, end, stream), name=name)
            for name, end, stream in zip(SIDES, (left, right), streams, strict=True)
            if end is not None
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            if thread.is_alive():
                raise RuntimeError(f"the {thread.name} side hangs")
        return errors

    @staticmethod
    def runs(company: Company) -> list[Run]:
        """What runs its store has."""
        with company.peer.store.transaction() as tx:
            return tx.runs.list()

    @staticmethod
    def _state(company: Company, digest: str) -> AgreementState | None:
        with company.peer.store.transaction() as tx:
            row = tx.agreements.get(digest)
        return None if row is None else row.state


_NAMES = {Side.PROPOSER: "left", Side.PARTNER: "right"}


def _break_off(pair: Pair) -> None:
    """A match whose line breaks while points go to and fro."""
    left = iter(range(3))

    def start(stream: MemoryStream) -> Run:
        def alter(message: Any) -> list[Any]:
            if next(left, None) is None:
                stream.close()
                raise MutualsError(ErrorCode.UNREACHABLE, "The connection is down.")
            return [message]

        stream.alter = alter
        return initiate_match(pair.left.peer, pair.digest, stream, pair.pool)

    with suppress(MutualsError):
        pair.both(
            start, lambda stream: respond_match(pair.right.peer, pair.right.partner(), stream, pair.pool)
        )


@contextmanager
def _opened(root: Path, now: datetime, digest: str) -> Iterator[Pair]:
    clock = TestClock()
    clock.now = now
    pair = Pair({side: _company(root / name, clock) for side, name in _NAMES.items()}, digest)
    try:
        yield pair
    finally:
        for company in pair.sides.values():
            company.peer.close()


def _company(home: Path, clock: TestClock) -> Company:
    peer = Peer.open(home, clock)
    path = home / "contacts.csv"
    with peer.store.transaction() as tx:
        definition = define_source("crm", str(path), {}, "DE")
        row = tx.sources.get("crm")
        if row is None or row.definition != definition.model_dump_json():
            tx.sources.put(SourceRow("crm", definition.model_dump_json(), clock()))
        operator = tx.operators.get("anna")
    if operator is None:
        raise RuntimeError("the operator is gone")
    return Company(peer, unlock(operator, PASSPHRASE), clock, path)


def _carry(sender: Company, receiver: Company) -> None:
    """Everything in the outbox; what the other side refuses (the end of a run it never had) is done with, too."""
    with sender.peer.store.transaction() as tx:
        pending = tx.outbox.pending(receiver.peer.fingerprint.hex())
    for row in pending:
        document = Document(row.kind, row.body, row.signature)
        receipt = take_document(receiver.peer, receiver.partner(), document)
        with sender.peer.store.transaction() as tx:
            tx.outbox.delivered(row.document_id, receipt_bytes(receipt), sender.clock())


def _restore(source: Path, live: Path) -> None:
    shutil.rmtree(live)
    shutil.copytree(source, live)


def _words(errors: dict[str, BaseException]) -> str:
    return "; ".join(f"{name}: {error}" for name, error in sorted(errors.items()))

"""Two companies with a revealed run, made once and copied for each test: everything up to the exchange is slow.

snapshot = reveal_once(tmp, LEFT, RIGHT)
with snapshot.copy(tmp_path) as pair: exchange(pair, snapshot.run_id)
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mutuals.identity.operators import unlock
from mutuals.models.agreement import Side
from mutuals.models.run import Role
from mutuals.peer import Peer
from mutuals.runs.authorisation import authorise_exchange, authorise_reveal
from mutuals.runs.exchange import initiate_exchange, respond_exchange
from mutuals.runs.preview import preview_exchange
from mutuals.sources.definition import define_source
from mutuals.store.rows import SourceRow
from support.pairing import PASSPHRASE, Company, Pair, Row, TestClock, paired
from support.peers import Ends, run_both
from support.streams import Alter, MemoryStream

NAMES = {Side.PROPOSER: "left", Side.PARTNER: "right"}
ROLES = {Side.PROPOSER: Role.INITIATOR, Side.PARTNER: Role.RESPONDER}


@dataclass(frozen=True)
class Snapshot:
    """The homes of both companies after the reveal of ``run_id``."""

    root: Path
    run_id: str
    digest: str
    now: datetime

    @contextmanager
    def copy(self, root: Path) -> Iterator[Pair]:
        """Both companies in new homes, with a clock of their own that stands still."""
        clock = TestClock()
        clock.now = self.now
        sides = {side: _reopen(self.root / name, root / name, clock) for side, name in NAMES.items()}
        try:
            yield Pair(sides, self.digest)
        finally:
            for side in sides.values():
                side.peer.close()

    def exchanged(self, root: Path) -> Snapshot:
        """The same after the exchange, in homes under ``root``."""
        with self.copy(root) as pair:
            exchange_both(pair, self.run_id)
        return replace(self, root=root)


def reveal_once(root: Path, left: Sequence[Row], right: Sequence[Row], **changes: Any) -> Snapshot:
    """Match and reveal; the left side starts. ``changes`` are to the agreement."""
    with paired(root, {Side.PROPOSER: left, Side.PARTNER: right}, **changes) as pair:
        run, _ = pair.match()
        for side in pair.sides.values():
            authorise_reveal(side.peer, side.run(run.run_id), side.keys)
        pair.reveal(run.run_id)
        return Snapshot(root, run.run_id, pair.digest, pair.left.clock())


def authorise(company: Company, run_id: str) -> None:
    """Authorise what the company would send now."""
    preview = preview_exchange(company.peer, run_id)
    names = [item.shared.name for item in preview.outgoing.fields]
    authorise_exchange(company.peer, preview.run, names, preview.digest, company.keys)


def authorise_both(pair: Pair, run_id: str) -> None:
    """Authorise on both sides."""
    for company in pair.sides.values():
        authorise(company, run_id)


def exchange_both(pair: Pair, run_id: str) -> None:
    """Authorise on both sides, and exchange."""
    authorise_both(pair, run_id)
    assert not exchange(pair, run_id).errors


def exchange(pair: Pair, run_id: str, alter: dict[Role, Alter] | None = None, **options: Any) -> Ends:
    """Run the exchange; how each side ended."""
    sides: dict[Role, Callable[[MemoryStream], Any]] = {
        Role.INITIATOR: lambda stream: initiate_exchange(pair.left.peer, run_id, stream, **options),
        Role.RESPONDER: lambda stream: respond_exchange(pair.right.peer, pair.right.partner(), stream),
    }
    return run_both(sides, alter)


def _reopen(source: Path, target: Path, clock: TestClock) -> Company:
    shutil.copytree(source, target)
    peer = Peer.open(target, clock)
    path = target / "contacts.csv"
    with peer.store.transaction() as tx:
        definition = define_source("crm", str(path), {}, "DE")
        tx.sources.put(SourceRow("crm", definition.model_dump_json(), clock()))
        operator = tx.operators.get("anna")
    assert operator is not None
    return Company(peer, unlock(operator, PASSPHRASE), clock, path)

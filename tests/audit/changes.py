"""Two companies whose logs are cosigned, and ways to tamper with one of them that leave everything else as it is.

``History`` is made once; each attempt starts from a copy of both stores. What is attempted is drawn from a number, so
that the same number is the same change.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.audit import meet, overwrite, save, write_entry
from support.pairing import Company, Pair, contact, paired
from support.postgres import needs_sqlite

from mutuals.audit.heads import PEER_LOG
from mutuals.audit.stored import verify_store
from mutuals.errors import MutualsError
from mutuals.models.agreement import Side
from mutuals.runs.log_faults import open_faults

Change = Callable[["Attempt"], None]
Row = tuple[int, str | None, str, str, int]
"""A row of the table ``log``: seq, agreement, event, body, at."""


@dataclass
class History:
    """Both companies, and copies of their stores over time: ``copies[side][0]`` is the oldest."""

    pair: Pair
    copies: dict[Side, list[Path]]

    def restore(self) -> None:
        """Both stores as they were at the end."""
        for side, company in self.pair.sides.items():
            overwrite(company, self.copies[side][-1])


@dataclass
class Attempt:
    """One change to the log of ``company``: of the agreement, or its own where ``log`` is nothing."""

    history: History
    side: Side
    log: str | None
    random: random.Random

    @property
    def company(self) -> Company:
        return self.history.pair.sides[self.side]

    @contextmanager
    def rows(self) -> Iterator[list[Row]]:
        """All entries of the store, to be changed; they are numbered anew, as whoever hides a change would."""
        needs_sqlite("changes the file")
        with sqlite3.connect(self.company.peer.home.store) as connection:
            rows = connection.execute(
                "SELECT seq, agreement, event, body, at FROM log ORDER BY seq"
            ).fetchall()
            yield rows
            connection.execute("DELETE FROM log")
            numbered = [(number, *row[1:]) for number, row in enumerate(rows, 1)]
            connection.executemany(
                "INSERT INTO log (seq, agreement, event, body, at) VALUES (?,?,?,?,?)", numbered
            )
        connection.close()

    def places(self, rows: list[Row]) -> list[int]:
        """Where the entries of this log stand."""
        return [place for place, row in enumerate(rows) if row[1] == self.log]


def edit(attempt: Attempt) -> None:
    with attempt.rows() as rows:
        place = attempt.random.choice(attempt.places(rows))
        seq, agreement, event, body, at = rows[place]
        what = attempt.random.choice(["event", "body", "at", "log"])
        if what == "event":
            event += attempt.random.choice(["d", "."])
        elif what == "body":
            body = json.dumps({**json.loads(body), "added": attempt.random.randrange(9)})
        elif what == "at":
            at += attempt.random.choice([-1, 1]) * attempt.random.choice([1, 10**6])
        else:
            agreement = None if agreement else attempt.history.pair.digest
        rows[place] = (seq, agreement, event, body, at)


def delete(attempt: Attempt) -> None:
    with attempt.rows() as rows:
        del rows[attempt.random.choice(attempt.places(rows))]


def insert(attempt: Attempt) -> None:
    with attempt.rows() as rows:
        place = attempt.random.choice(attempt.places(rows))
        rows.insert(place, (0, attempt.log, "test.forged", "{}", rows[place][4]))


def truncate(attempt: Attempt) -> None:
    with attempt.rows() as rows:
        places = attempt.places(rows)
        for place in reversed(places[-attempt.random.randint(1, len(places)) :]):
            del rows[place]


def reorder(attempt: Attempt) -> None:
    with attempt.rows() as rows:
        one, other = attempt.random.sample(attempt.places(rows), 2)
        rows[one], rows[other] = rows[other], rows[one]


def rollback(attempt: Attempt) -> None:
    """Yesterday's copy of the whole store, with the checkpoints as they were then."""
    overwrite(attempt.company, attempt.random.choice(attempt.history.copies[attempt.side][:-1]))


def fork(attempt: Attempt) -> None:
    """Yesterday's copy, and another history from there, also a longer one."""
    rollback(attempt)
    for _ in range(attempt.random.randint(1, 12)):
        write_entry(attempt.company, attempt.log, "test.other", number=attempt.random.randrange(99))


def rewrite(attempt: Attempt) -> None:
    """Any change to the entries, by somebody who has the log key and signs everything anew."""
    attempt.random.choice([edit, delete, insert, reorder])(attempt)
    if attempt.log is None:  # nor may an old head of the own log give it away
        with attempt.rows() as rows:
            rows[:] = [row for row in rows if row[2] != PEER_LOG]
    with sqlite3.connect(attempt.company.peer.home.store) as connection:
        connection.execute("DELETE FROM checkpoints WHERE own")
    connection.close()


CHANGES: dict[str, Change] = {
    "an entry edited": edit,
    "an entry deleted": delete,
    "an entry inserted": insert,
    "the end cut off": truncate,
    "two entries swapped": reorder,
    "yesterday's copy put back": rollback,
    "another history from yesterday on": fork,
    "changed and signed anew": rewrite,
}


@dataclass(frozen=True)
class Noticed:
    """Who noticed a change: the company itself with ``audit verify``, its partner at the next contact."""

    verify: bool
    partner: bool


@contextmanager
def history(folder: Path) -> Iterator[History]:
    """A match and several contacts between two companies; in the end both logs are cosigned as they are."""
    rows = [contact(str(number), f"person{number}@example.com") for number in range(3)]
    with paired(folder, dict.fromkeys(Side, rows)) as pair:
        copies: dict[Side, list[Path]] = {side: [] for side in Side}
        for number in range(4):
            meet(pair.left, pair.right)
            for side, company in pair.sides.items():
                copies[side].append(save(company, folder / f"{side.value}-{number}.sqlite"))
                if number < 3:
                    write_entry(company, None, number=number)
                    write_entry(company, pair.digest, number=number)
            if number == 1:
                pair.match()
        yield History(pair, copies)


def attempt(made: History, number: int) -> tuple[str, Noticed]:
    """Attempt ``number``: the kind of change, and who noticed it."""
    made.restore()
    names = list(CHANGES)
    name = names[number % len(names)]
    numbers = random.Random(number)
    side = numbers.choice(list(Side))
    one = Attempt(made, side, numbers.choice([None, made.pair.digest]), numbers)
    CHANGES[name](one)
    noticed = verified(one.company)
    partner = made.pair.sides[side.other]
    ends = [one.company, partner]
    numbers.shuffle(ends)
    try:
        meet(*ends)
    except MutualsError:
        return name, Noticed(noticed, True)
    with partner.peer.store.transaction() as tx:
        return name, Noticed(noticed, any(not fault.own for fault in open_faults(tx)))


def verified(company: Company) -> bool:
    """Whether ``audit verify`` finds something wrong."""
    try:
        with company.peer.store.transaction() as tx:
            return not all(report.sound for report in verify_store(tx, company.peer))
    except MutualsError:
        return True

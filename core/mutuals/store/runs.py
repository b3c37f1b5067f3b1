"""The runs. Every change is a compare-and-set on the state, so that two processes cannot both take a step."""

from __future__ import annotations

import builtins
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, func, select

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import Role, Run, RunState
from mutuals.store.schema import runs
from mutuals.store.table import RowTable, note_erasure

_KEYS = frozenset({"spool_key", "match_key"})
_FIXED = frozenset({"run_id", "sid", "agreement", "partner", "role"})


class Runs:
    """Runs by id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._table = RowTable(connection, runs, Run)

    def add(self, run: Run) -> None:
        """Add a run; its id and sid must be new."""
        self._table.insert([run])

    def get(self, run_id: str) -> Run | None:
        """The run of this id."""
        return self._table.one(runs.c.run_id == run_id)

    def by_sid(self, sid: bytes) -> Run | None:
        """The run of this session id (32 bytes)."""
        return self._table.one(runs.c.sid == sid)

    def list(self, partner: str | None = None) -> builtins.list[Run]:
        """All runs, or those with one partner (fingerprint), oldest first."""
        where = () if partner is None else (runs.c.partner == partner,)
        return self._table.all(*where, order=(runs.c.opened_at, runs.c.run_id))

    def update(self, run_id: str, expect: Collection[RunState], **changes: Any) -> Run:
        """Set fields of the run, provided its state is one of ``expect``; the run as it then is.

        Raises RUN_UNKNOWN, or RUN_STATE where the run is in another state; then nothing changed. What names a
        run (ids, agreement, partner, role) is fixed: TypeError.
        """
        if fixed := _FIXED & changes.keys():
            raise TypeError(f"a run's {', '.join(sorted(fixed))} cannot change")
        values = {"state": runs.c.state} | changes
        changed = self._table.update([runs.c.run_id == run_id, runs.c.state.in_(list(expect))], values)
        run = self.get(run_id)
        if run is None:
            raise MutualsError(
                ErrorCode.RUN_UNKNOWN, f"There is no run {run_id}.", hint="`mutuals runs` lists them."
            )
        if not changed:
            raise MutualsError(
                ErrorCode.RUN_STATE,
                f"Run {run_id} is {_words(run.state)}; this needs one that is {_either(expect)}.",
                hint="`mutuals runs` shows where each run stands.",
            )
        if _KEYS & changes.keys():
            note_erasure(self._connection)
        return run

    def tally(self) -> dict[tuple[str, Role, RunState], int]:
        """How many runs there are, by partner (fingerprint), own role and state."""
        columns = (runs.c.partner, runs.c.role, runs.c.state)
        query = select(*columns, func.count()).group_by(*columns)
        return {
            (partner, role, state): n for partner, role, state, n in self._connection.execute(query).all()
        }

    def latest_counted(self, agreement: str) -> Run | None:
        """The last run under this agreement (digest) whose overlap was counted."""
        return self._table.one(
            runs.c.agreement == agreement,
            runs.c.counted_at.is_not(None),
            order=(runs.c.counted_at.desc(), runs.c.run_id),
        )

    def blocking(self, partner: str) -> Run | None:
        """The run with this partner that was half revealed and that no person has cleared yet."""
        return self._table.one(
            runs.c.partner == partner,
            runs.c.state == RunState.HALF_REVEALED,
            order=(runs.c.opened_at, runs.c.run_id),
        )


def _words(state: RunState) -> str:
    return state.value.replace("_", " ")


def _either(states: Collection[RunState]) -> str:
    return " or ".join(sorted(_words(state) for state in states)) or "in no state at all"

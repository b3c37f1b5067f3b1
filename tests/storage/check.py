"""What must hold of both homes after a disk failed, whatever was being done; in sentences that quote no data."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

from support.pairing import Company

from mutuals.audit.stored import verify_store
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import Run, RunState
from mutuals.runs.keys import runs_with_keys
from mutuals.runs.spool import load_matched, load_overlap
from mutuals.store.database import Transaction

_REMEMBERS: dict[RunState, Callable[..., object]] = {
    RunState.COUNTED: load_matched,
    RunState.REVEALED: load_overlap,
    RunState.EXCHANGING: load_overlap,
}
_DATA = re.compile(r"@|\bperson\d|\b[LR]\d+\b|Bremen")


def unclean(error: BaseException) -> str | None:
    """Why ``error`` is none that a person may be shown."""
    if not isinstance(error, MutualsError):
        return f"{type(error).__name__} was raised"
    if error.code is ErrorCode.INTERNAL:
        return f"it is called an internal error: {error.message}"
    for text in (error.message, error.hint or "."):
        if "\n" in text or "Traceback" in text or _DATA.search(text):
            return "it says more than one sentence about what failed"
    return None if error.message.endswith(".") else f"it is no sentence: {error.message}"


def inconsistent(company: Company) -> list[str]:
    """What is wrong with the store of ``company`` and with what its runs need."""
    found = []
    path = company.peer.store.path
    if path is None:
        raise RuntimeError("this looks into SQLite's file")
    with company.peer.store.transaction() as tx:  # which also undoes what a process left half written
        reports = verify_store(tx, company.peer)
        found += [f"the log: {problem}" for report in reports for problem in report.problems]
        runs = tx.runs.list()
        charged = tx.budgets.usage(company_partner(tx), company.clock() - timedelta(days=3650)).runs
        if charged != len(runs):
            found.append(f"{len(runs)} runs, {charged} charged")
        for run in runs:
            found += _impossible(tx, run)
    for run in runs:
        needed = _REMEMBERS.get(run.state)
        if needed is not None:
            try:
                needed(company.peer, run)
            except MutualsError as error:
                found.append(f"a run that is {run.state.value}: {error.message}")
    with closing(sqlite3.connect(path)) as connection:
        found += [
            f"integrity: {row[0]}" for row in connection.execute("PRAGMA integrity_check") if row != ("ok",)
        ]
        found += [f"a foreign key of {row[0]}" for row in connection.execute("PRAGMA foreign_key_check")]
    return found


def _impossible(tx: Transaction, run: Run) -> list[str]:
    said = f"run is {run.state.value}"
    found = []
    if run.state.final and (run.spool_key or run.match_key):
        found.append(f"{said} and keeps a key of its spool")
    if run.state.final and run.state is not RunState.DONE:
        if run.state is not RunState.COUNT_ONLY and run.reason is None:
            found.append(f"{said} without a reason")
        if tx.received.count(run.run_id) or run.run_id in runs_with_keys(tx):
            found.append(f"{said} and keeps what it received, or a key to it")
    if run.state in _REMEMBERS and (run.count is None or run.th is None):
        found.append(f"{said} without a count")
    if run.state is RunState.MATCHING and run.count is not None:
        found.append(f"{said} with a count")
    if run.state is RunState.EXCHANGING and not tx.envelopes.outgoing(run.run_id):
        found.append(f"{said} without envelopes")
    if run.state is RunState.DONE and run.finished_at is None:
        found.append(f"{said} at no time")
    return found


def company_partner(tx: Transaction) -> str:
    """The fingerprint of the only partner."""
    (row,) = tx.partners.list()
    return row.fingerprint

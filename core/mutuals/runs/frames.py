"""What a run found and received, as polars frames in memory instead of a file.

    received = open_received(peer, run_id, keys)            # an unlocked operator, entitled to read
    frame = take_out_frame(peer, received, keys)            # contact_id and the fields: signed and logged as an export
    overlap = take_out_overlap(peer, run_id, keys)          # contact_id alone

A frame in somebody's process is a copy like a file: where it goes from there nobody sees. So it is recorded as an
export before it is handed over, and the deletion certificate names it.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from mutuals.agreement.active import ActiveAgreement, load_readable
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import READ_ROLES, OperatorKeys, require_current, require_role
from mutuals.models.run import Run, RunState
from mutuals.peer import Peer
from mutuals.runs.export import (
    ReceivedRecords,
    allowed_fields,
    heading,
    open_overlap,
    record_export,
)
from mutuals.runs.export_approval import require_approval
from mutuals.runs.exported import log_export
from mutuals.runs.keys import open_receiving_key
from mutuals.runs.log_faults import check_logs_accepted
from mutuals.runs.opened import OpenedRows
from mutuals.runs.own_contacts import still_taking_part
from mutuals.runs.shares import load_shares
from mutuals.runs.spool import load_overlap
from mutuals.runs.tables import CONTACT_ID
from mutuals.runs.transforms import Column, column_of
from mutuals.store.database import Transaction
from mutuals.store.rows import OWN_IDS

IN_MEMORY = "in memory (Python)"
"""What the record of an export says in place of a file."""

_KIND = "frame"
_WITH_OVERLAP = frozenset({RunState.REVEALED, RunState.EXCHANGING, RunState.DONE})


def frame_of(received: ReceivedRecords) -> pl.DataFrame:
    """One row for each own contact: ``contact_id`` (String) and each field under the heading that a file has.

    Integers are Int64, decimals Float64, dates Date, truth values Boolean, all else String; a value that did not come
    is null. It is only a conversion: who hands it out has recorded that.
    """
    names = [item.name for item in received.fields]
    if isinstance(received.rows, OpenedRows):
        contacts, values = received.rows.columns()
    else:
        contacts = pl.Series([contact for contact, _ in received.rows], dtype=pl.String)
        values = pl.DataFrame(
            {name: [values.get(name) for _, values in received.rows] for name in names}, strict=False
        )
    columns = [contacts.alias(CONTACT_ID)]
    for item in received.fields:
        columns.append(_typed(values[item.name], column_of(item)).alias(heading(item.name)))
    return pl.DataFrame(columns)


def take_out_frame(peer: Peer, received: ReceivedRecords, keys: OperatorKeys) -> pl.DataFrame:
    """``frame_of``, after the export was signed and recorded. Raises MutualsError as ``write_export`` does."""
    frame = frame_of(received)
    record_export(peer, received, keys, IN_MEMORY, _KIND)
    return frame


def take_out_overlap(peer: Peer, run_id: str, keys: OperatorKeys) -> pl.DataFrame:
    """The own contacts that the partner holds too, as ``contact_id`` (String), distinct, after that was recorded.

    Left out is whom the source, read now, no longer lets take part. Whom an export would refuse is refused: the
    operator reads, holds a key to the run, and where the partner sends fields may export at least one; where the
    policy asks for four eyes, an approval of the operator's export is used up. Raises MutualsError: RUN_UNKNOWN,
    RUN_STATE before the reveal and after the overlap was destroyed, AGREEMENT_NOT_ACTIVE, NOT_ENTITLED,
    NOT_AUTHORISED_YET, INPUT_QUALITY.
    """
    require_role(keys, READ_ROLES, "read which contacts are shared")
    shares = load_shares(peer, run_id)
    with peer.store.transaction() as tx:
        run = _revealed(tx, run_id)
        active, _ = _allowed(tx, peer, run, keys)
        private = open_receiving_key(tx, run.run_id, run.own_receiving_key, keys, shares)
        sealed = tx.overlaps.get(run.run_id)
        withdrawn = tx.suppressions.count()
    overlap = open_overlap(run, private, sealed) if run.state is RunState.DONE else load_overlap(peer, run)
    contacts = still_taking_part(peer, active, overlap.contacts).contacts
    _record_overlap(peer, run, len(contacts), withdrawn, keys)
    return pl.DataFrame([contacts.alias(CONTACT_ID)])


def _allowed(tx: Transaction, peer: Peer, run: Run, keys: OperatorKeys) -> tuple[ActiveAgreement, list[str]]:
    """The agreement, and the fields that the operator may export now. Raises NOT_ENTITLED, AGREEMENT_NOT_ACTIVE."""
    operator = require_current(tx, keys)
    require_role(operator, READ_ROLES, "read which contacts are shared")
    check_logs_accepted(tx, run.partner)
    active = load_readable(tx, run.agreement, peer.clock(), own=peer.fingerprint.hex())
    if not active.agreement.sends(active.own_side.other):
        return active, []
    visible, _ = allowed_fields(tx, active, "export", operator)
    return active, [item.name for item in visible]


def _revealed(tx: Transaction, run_id: str) -> Run:
    run = tx.runs.get(run_id)
    if run is None:
        raise MutualsError(
            ErrorCode.RUN_UNKNOWN, f"There is no run {run_id}.", hint="List them: mutuals runs"
        )
    if run.state not in _WITH_OVERLAP:
        raise MutualsError(
            ErrorCode.RUN_STATE,
            f"Run {run.run_id} is {run.state.value.replace('_', ' ')}; only a revealed run says which contacts are "
            "shared.",
            hint=f"Reveal it first: mutuals reveal {run.run_id}"
            if run.state is RunState.COUNTED
            else "See where it stands: mutuals runs",
        )
    return run


def _record_overlap(peer: Peer, run: Run, rows: int, withdrawn: int, keys: OperatorKeys) -> None:
    """Sign and log it; what was asked before must hold at the moment the frame is handed over."""
    now = peer.clock()
    with peer.store.transaction() as tx:
        _revealed(tx, run.run_id)
        _, names = _allowed(tx, peer, run, keys)
        if tx.suppressions.count() != withdrawn:
            raise MutualsError(
                ErrorCode.RUN_STATE,
                f"While the overlap of run {run.run_id} was read, own contacts were withdrawn.",
                hint="Ask for it again.",
            )
        approved_by = require_approval(tx, run.run_id, keys.name, names)
        log_export(
            tx,
            run,
            keys,
            rows=rows,
            fields=(OWN_IDS,),
            file=IN_MEMORY,
            kind=_KIND,
            approved_by=approved_by,
            now=now,
        )


def _typed(values: pl.Series, kind: Column) -> pl.Series:
    types: dict[Column, Any] = {
        Column.TEXT: pl.String,
        Column.INTEGER: pl.Int64,
        Column.DECIMAL: pl.Float64,
        Column.BOOLEAN: pl.Boolean,
    }
    if kind is Column.DATE:
        return values.cast(pl.String).str.to_date("%Y-%m-%d")
    return values.cast(types[kind])

"""Opening what was received, and joining it to the own contacts (DESIGN §7, §8).

    received = open_received(peer, run_id, keys)            # an unlocked operator, entitled to read
    write_export(peer, received, Path("campaign.csv"), keys)

This is where the partner's records are opened for the first time, so this is where their content is checked:
every envelope's plaintext against the digest that the partner signed, every record against the fields that
were agreed. A fault is evidence, and nothing is exported.

An operator gets the fields that the agreement gives to the operator's department and that the own policy lets the
operator view or export; the others are refused by name and rule. An export is signed by the operator; where the policy
asks for four eyes, a second operator approves it before (``mutuals.runs.export_approval``). Each own contact of the
overlap whose pair came with a record, and whom the source still lets take part (``mutuals.runs.own_contacts``), gets
one row. Where the partner knows it as several contacts (one by e-mail address, another by phone), the row is that of
the lowest rank: fields of two people are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mutuals.agreement.active import ActiveAgreement, load_readable, utc_date
from mutuals.agreement.document import agreement_id
from mutuals.crypto.hpke import open_sealed
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.framing import Context, frame
from mutuals.identity.operators import READ_ROLES, OperatorKeys, require_current, require_role
from mutuals.models.agreement import SharedField
from mutuals.models.run import Run, RunState
from mutuals.peer import Peer
from mutuals.policy.current import current_policy
from mutuals.protocol.envelopes import EnvelopeHeader
from mutuals.protocol.sealing import RecordKeys, open_secret
from mutuals.runs.export_approval import require_approval
from mutuals.runs.exported import log_export
from mutuals.runs.keys import open_receiving_key
from mutuals.runs.lifecycle import log_run
from mutuals.runs.log_faults import check_logs_accepted
from mutuals.runs.opened import ContentFault, Opening
from mutuals.runs.overlap import Overlap
from mutuals.runs.own_contacts import require_own_exportable, still_taking_part
from mutuals.runs.permitted import Reading, RefusedField, readable_fields, require_readable
from mutuals.runs.shares import load_shares
from mutuals.runs.tables import CONTACT_ID, Rows, Style, write_table
from mutuals.runs.transforms import Column, Value, column_of
from mutuals.store.database import Transaction
from mutuals.store.rows import IncomingRow, OperatorRow, ReceivedRow

if TYPE_CHECKING:
    from mutuals.runs.campaign import CampaignShape

EXCHANGED = "run.exchanged"
"""The entry of the log when an exchange is complete."""

PAGE = 8_192
"""The records of so many ranks are read from the store at once."""


@dataclass(frozen=True)
class ReceivedRecords:
    """A run's received records, opened for one operator.

    ``fields`` are the agreed fields the operator may view or export (``reading``), ``refused`` the others and why.
    ``rows`` holds own contact id and values by field. ``expired`` counts records past their retention, ``ambiguous``
    the own contacts that the partner knows as several, ``opened`` all records that were there. ``withheld`` counts own
    contacts left out by reason: the source no longer lets them take part. ``delete_by`` is the first day on which
    something of it has to be gone, ``suppressions`` tells withdrawals of another moment apart.
    """

    run: Run
    active: ActiveAgreement
    fields: tuple[SharedField, ...]
    refused: tuple[RefusedField, ...]
    rows: Sequence[tuple[str, dict[str, Value]]] = field(repr=False)
    expired: int
    ambiguous: int
    opened: int
    reading: Reading = "export"
    withheld: Mapping[str, int] = field(default_factory=dict)
    delete_by: date | None = None
    suppressions: str = ""

    @property
    def left_out(self) -> tuple[str, ...]:
        """The names of the fields that the operator does not get."""
        return tuple(item.field for item in self.refused)


def open_received(
    peer: Peer, run_id: str, keys: OperatorKeys, *, reading: Reading = "export"
) -> ReceivedRecords:
    """Open and check what run ``run_id`` received, for an unlocked operator who views or exports it.

    Raises MutualsError: RUN_UNKNOWN, RUN_STATE, AGREEMENT_NOT_ACTIVE, NOT_ENTITLED (role, department, policy, or
    no key to this run), LOG_ROLLED_BACK while a log shared with the partner lacks what was cosigned, INPUT_QUALITY
    where the own source cannot be read, PartnerFault (the partner signed something that was not agreed).
    """
    require_role(keys, READ_ROLES, "read received records")
    shares = load_shares(peer, run_id)
    with peer.store.transaction() as tx:
        require_current(tx, keys)
        run = tx.runs.get(run_id)
        if run is None:
            raise MutualsError(
                ErrorCode.RUN_UNKNOWN, f"There is no run {run_id}.", hint="List them: mutuals runs"
            )
        if run.state is not RunState.DONE:
            raise MutualsError(
                ErrorCode.RUN_STATE,
                f"Run {run.run_id} is {run.state.value.replace('_', ' ')}; only a finished exchange can be exported.",
                hint=_way_to_done(run),
            )
        check_logs_accepted(tx, run.partner)  # an older copy of the home may hold what was deleted since
        active = load_readable(tx, run.agreement, peer.clock(), own=peer.fingerprint.hex())
        visible, refused = allowed_fields(tx, active, reading, keys)
        private = open_receiving_key(tx, run.run_id, run.own_receiving_key, keys, shares)
        sealed_overlap = tx.overlaps.get(run.run_id)
        envelopes = tx.envelopes.incoming(run.run_id)
        exchanged_at = _exchanged_at(tx, run)
        suppressions = tx.suppressions.mark()
    overlap = open_overlap(run, private, sealed_overlap)
    now = peer.clock()
    shared = active.agreement.sends(active.own_side.other)
    names = {item.name for item in visible}
    alive = _Alive(now, exchanged_at, {item.retention_days for item in visible})
    try:
        keys_of_run = _record_keys(run, private, envelopes)
        opening = Opening(shared, names, keys_of_run, envelopes, alive)
        # What is deleted meanwhile, the count tells in write_export.
        for first in range(0, overlap.count, PAGE):
            with peer.store.transaction() as tx:
                page = tx.received.between(run.run_id, first, first + PAGE)
            opening.take(page)
        rows, ambiguous = opening.joined(overlap)
    except ContentFault as fault:
        raise _report(peer, run, fault) from fault
    still = still_taking_part(peer, active, rows.contacts)
    return ReceivedRecords(
        run=run,
        active=active,
        fields=visible,
        refused=refused,
        rows=rows.of(still.contacts),
        expired=opening.expired,
        ambiguous=ambiguous,
        opened=opening.opened,
        reading=reading,
        withheld=still.withheld,
        delete_by=alive.first_end and utc_date(alive.first_end),
        suppressions=suppressions,
    )


def allowed_fields(
    tx: Transaction, active: ActiveAgreement, reading: Reading, keys: OperatorKeys | OperatorRow
) -> tuple[tuple[SharedField, ...], tuple[RefusedField, ...]]:
    """The received fields this operator may view or export now, and the others; NOT_ENTITLED where none is left."""
    if not active.agreement.sends(active.own_side.other):
        raise MutualsError(ErrorCode.AGREEMENT_FORBIDS, "Under this agreement the partner sends no fields.")
    visible, refused = readable_fields(current_policy(tx), active, reading, keys)
    require_readable(visible, refused, reading, keys)
    return visible, refused


def _way_to_done(run: Run) -> str:
    """What brings the run to where it can be exported, or another run that can be."""
    command = _NEXT.get(run.state)
    if command is None:
        return f"This run ends here. Start a new match: mutuals match {agreement_id(run.agreement)}"
    return f"{command} {run.run_id}"


_NEXT = {
    RunState.MATCHING: "Wait for the match to end: mutuals runs show",
    RunState.COUNTED: "Reveal it first: mutuals reveal",
    RunState.REVEALING: "Wait for the reveal to end: mutuals runs show",
    RunState.REVEALED: "Exchange it first: mutuals exchange",
    RunState.EXCHANGING: "Finish it: mutuals exchange",
    RunState.HALF_REVEALED: "Find out with the partner why it broke off, then: mutuals runs clear",
}


def write_export(
    peer: Peer,
    received: ReceivedRecords,
    path: Path,
    keys: OperatorKeys,
    *,
    force: bool = False,
    raw: bool = False,
    shape: CampaignShape | None = None,
) -> int:
    """Write the rows to ``path`` (.csv or .parquet), readable by its owner alone, and record the export.

    ``shape`` gives the file a CRM's headings and own columns; without it the ids stand under ``contact_id`` and fields
    under their names. ``raw`` leaves out the guard against formulas in CSV (``mutuals.runs.tables``); how many cells it
    changed is returned. The export is signed and recorded before the file appears, so that no copy exists that the
    deletion certificate would not name; that is also where operator, agreement and policy are asked for the last time.
    Raises MutualsError (USAGE) for another kind of file or one that exists, unless ``force``; LOCAL where it cannot be
    written; NOT_ENTITLED, AGREEMENT_NOT_ACTIVE, RUN_STATE or NOT_AUTHORISED_YET (four eyes) where it may not be taken
    out.
    """
    own = () if shape is None else shape.own
    facts = {
        "mutuals.agreement": received.active.agreement_id,
        "mutuals.run": received.run.run_id,
        "mutuals.purpose": received.active.agreement.purpose,
        **({"mutuals.delete_by": received.delete_by.isoformat()} if received.delete_by else {}),
    }
    rows: Rows = received.rows
    if shape is None:
        columns = [(heading(item.name), item.name, column_of(item)) for item in received.fields]
        style = Style(raw=raw, facts=facts)
    else:
        own_columns = [(name, shape.own_key(name), Column.TEXT) for name in shape.own_columns]
        sent = [(shape.fields[item.name], item.name, column_of(item)) for item in received.fields]
        columns, rows = [*own_columns, *sent], shape.rows(received.rows)
        style = Style(
            contact=shape.contact,
            delimiter=shape.delimiter,
            mark=shape.mark,
            raw=raw,
            verbatim=frozenset(key for _, key, _ in own_columns),
            facts=facts,
        )
    return write_table(
        path,
        columns,
        rows,
        force=force,
        style=style,
        before_visible=lambda: record_export(
            peer, received, keys, str(path.absolute()), path.suffix, own=own
        ),
    )


def record_export(
    peer: Peer,
    received: ReceivedRecords,
    keys: OperatorKeys,
    file: str,
    kind: str,
    *,
    own: Sequence[str] = (),
) -> None:
    """Sign and log that the operator takes the rows out, to ``file``, before anybody has them.

    ``kind`` is the ending of the file's name, or what there is in place of a file; ``own`` are the headings of own
    columns that go with them. Raises MutualsError as ``write_export`` does where they may not be taken out.
    """
    run, now = received.run, peer.clock()
    names = [item.name for item in received.fields]
    further: dict[str, object] = {"own": list(own)} if own else {}
    if received.delete_by:
        further["delete_by"] = received.delete_by.isoformat()
    with peer.store.transaction() as tx:
        approved_by = _require_still_allowed(tx, peer, received, keys, own)
        log_export(
            tx,
            run,
            keys,
            rows=len(received.rows),
            fields=names,
            file=file,
            kind=kind,
            approved_by=approved_by,
            now=now,
            further=further,
        )


def _require_still_allowed(
    tx: Transaction, peer: Peer, received: ReceivedRecords, keys: OperatorKeys, own: Sequence[str]
) -> tuple[str, ...]:
    """What ``open_received`` found must hold at the moment the file appears; who approved it besides the operator."""
    operator = require_current(tx, keys)
    require_role(operator, READ_ROLES, "export received records")
    check_logs_accepted(tx, received.run.partner)
    active = load_readable(tx, received.run.agreement, peer.clock(), own=peer.fingerprint.hex())
    visible, refused = allowed_fields(tx, active, "export", operator)
    for item in received.fields:
        if received.reading != "export" or item not in visible:
            why = next((found for found in refused if found.field == item.name), None)
            rule = why.rule if why else "It was opened to be viewed."
            raise MutualsError(
                ErrorCode.NOT_ENTITLED,
                f"Operator {keys.name} may not export {item.name}. {rule}",
                hint=why.changes if why else f"Export it: mutuals export {received.run.run_id}",
            )
    require_own_exportable(current_policy(tx), own, operator)
    if tx.received.count(received.run.run_id) != received.opened:
        raise MutualsError(
            ErrorCode.RUN_STATE,
            f"While the records of run {received.run.run_id} were open, some were deleted: the partner withdrew them, "
            "or their retention ended. Nothing was written.",
            hint=f"Export what is left: mutuals export {received.run.run_id}",
        )
    if tx.suppressions.mark() != received.suppressions:
        raise MutualsError(
            ErrorCode.RUN_STATE,
            f"While the records of run {received.run.run_id} were open, own contacts were withdrawn. Nothing was "
            "written.",
            hint=f"Export what is left: mutuals export {received.run.run_id}",
        )
    return require_approval(tx, received.run.run_id, keys.name, [item.name for item in received.fields], own)


def _exchanged_at(tx: Transaction, run: Run) -> datetime | None:
    """When the log says that the exchange was complete, so that nothing of it came later."""
    ended = [
        entry.at for entry in tx.log.kinds([run.agreement], EXCHANGED) if entry.body.get("run") == run.run_id
    ]
    return ended[-1] if ended else None


class _Alive:
    """Whether a record may still be read; ``first_end`` is when the first of those that do must be gone.

    Only records of the retention classes ``kept`` (days) count for that: those that hold a field that is read.
    """

    def __init__(self, now: datetime, exchanged_at: datetime | None, kept: set[int]) -> None:
        self.first_end: datetime | None = None
        self._now = now
        self._exchanged_at = exchanged_at
        self._kept = kept

    def __call__(self, row: ReceivedRow) -> bool:
        ends = _delete_after(row, self._exchanged_at)
        if ends <= self._now:
            return False
        if row.retention_days in self._kept and (self.first_end is None or ends < self.first_end):
            self.first_end = ends
        return True


def _delete_after(row: ReceivedRow, exchanged_at: datetime | None) -> datetime:
    """When the record must be gone: the date in its row, or sooner where that was put off by hand.

    The class is bound into the record's ciphertext, and so cannot be edited; it counts from the receipt, which was at
    the latest when the log has the exchange as complete.
    """
    came = row.received_at if exchanged_at is None else min(row.received_at, exchanged_at)
    return min(row.delete_after, came + timedelta(days=row.retention_days))


def heading(name: str) -> str:
    """A field's heading in the file: its name, unless that is where the own contact id stands."""
    return f"partner_{name}" if name == CONTACT_ID else name


def open_overlap(run: Run, private: bytes, sealed: bytes | None) -> Overlap:
    """The overlap of a finished run, by its receiving key's private half. Raises MutualsError (RUN_STATE, LOCAL)."""
    if sealed is None:
        raise MutualsError(ErrorCode.RUN_STATE, f"The overlap of run {run.run_id} was destroyed.")
    try:
        return Overlap.from_bytes(open_sealed(private, frame(Context.OVERLAP, run.sid), sealed))
    except ValueError as error:
        raise MutualsError(ErrorCode.LOCAL, f"The stored overlap of run {run.run_id} is damaged.") from error


def _record_keys(run: Run, private: bytes, envelopes: Sequence[IncomingRow]) -> RecordKeys:
    """The keys of the partner's records, from the secret in its first envelope; without envelopes they open nothing."""
    secret = b""
    if envelopes:
        try:
            sealed = EnvelopeHeader.from_bytes(envelopes[0].header).sealed_secret
            secret = open_secret(private, run.sid, run.role.other, sealed)
        except ValueError as error:
            raise ContentFault("a sealed secret that does not open", envelopes[0]) from error
    return RecordKeys(run.sid, run.role.other, secret)


def _report(peer: Peer, run: Run, fault: ContentFault) -> PartnerFault:
    """Keep the evidence: the signed header, never the content."""
    with peer.store.transaction() as tx:
        log_run(
            tx,
            run,
            "content_refused",
            peer.clock(),
            reason=f"The partner signed {fault}.",
            header=fault.envelope.header.hex() if fault.envelope else None,
            signature=fault.envelope.signature.hex() if fault.envelope else None,
        )
    return PartnerFault(
        ErrorCode.BAD_MESSAGE,
        f"In run {run.run_id} the partner sent {fault}; nothing was exported.",
        hint="The log holds the evidence. Talk to the partner.",
    )

"""The minimised records of a run: what would be sent, of whom, and what is withheld and why (DESIGN §7).

    outgoing = build_records(agreement, side, overlap, table, mapping=mapping, today=today)
    digest = preview_digest(run.spool_key, run.sid, run.role, outgoing.records)

Every contact of the overlap that is eligible *now* yields one record for each retention class of the agreed
fields, at the contact's lowest rank, naming its other ranks. A field without a value is left out of the
record; a value that does not fit its type is withheld. A record without any value is still sent: that the
contact takes part was agreed.

Where the agreement includes identifiers that several contacts share, a rank may belong to several own
contacts. It is used only while all of them are eligible, and it goes to the first of them by contact id, so
that no two records name one rank; a contact that is first nowhere is withheld.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from mutuals.canonical import canonical_json
from mutuals.framing import Context, frame
from mutuals.models.agreement import Agreement, SharedField, Side
from mutuals.models.run import Role
from mutuals.protocol.exchange import PlainRecord
from mutuals.runs.overlap import Overlap
from mutuals.runs.transforms import UnfitValue, Value, transform
from mutuals.sources.contacts import ContactTable
from mutuals.sources.eligibility import consent_exclusions, field_values

GONE = "no_longer_in_source"
SHARED_WITH_INELIGIBLE = "shared_with_ineligible"
SHARED_WITH_OTHER = "sent_under_another_contact"

RanksByContact = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class FieldSummary:
    """One field that is sent, over all records: ``values`` are sent, ``empty`` have none, ``withheld`` no fit."""

    shared: SharedField
    values: int
    empty: int
    withheld: dict[str, int]


@dataclass(frozen=True)
class OutgoingRecords:
    """What this side sends in a run.

    ``records`` ascend by rank and retention class. ``sent`` names, per contact id, the fields that have a
    value, and ``ranks`` its ranks, ascending; ``withheld`` counts the overlap's other contacts by reason.
    ``fields`` are in the agreement's order.
    """

    records: tuple[PlainRecord, ...] = field(repr=False)
    sent: dict[str, tuple[str, ...]] = field(repr=False)
    withheld: dict[str, int]
    fields: tuple[FieldSummary, ...]
    ranks: RanksByContact = field(repr=False)


NOTHING = OutgoingRecords(records=(), sent={}, withheld={}, fields=(), ranks={})
"""What a side without agreed fields sends."""


def build_records(
    agreement: Agreement,
    side: Side,
    overlap: Overlap,
    table: ContactTable,
    *,
    mapping: Mapping[str, str],
    today: date,
    kept_back: Collection[str] = (),
) -> OutgoingRecords:
    """The records that ``side`` sends of ``overlap`` as of ``today``, from its freshly read source.

    ``mapping`` is field → heading; ``kept_back`` names the agreed fields that are not even read, because the own
    policy does not let them be shared. Raises MutualsError (INPUT_QUALITY) where the source lacks a column.
    """
    agreed = agreement.sends(side)
    if not agreed:
        return NOTHING
    shared = tuple(item for item in agreed if item.name not in kept_back)
    ranks, withheld = _senders(overlap, _exclusions(table, agreement, overlap, today))
    cells = field_values(table, ranks, {item.name: mapping[item.name] for item in shared})
    tally = {item.name: _Tally() for item in shared}
    classes = sorted({item.retention_days for item in agreed})
    records: list[PlainRecord] = []
    sent: dict[str, tuple[str, ...]] = {}
    for contact, (lowest, *also) in ranks.items():
        values = _values(shared, cells[contact], tally)
        sent[contact] = tuple(values)
        for days in classes:
            own = {
                item.name: values[item.name]
                for item in shared
                if item.name in values and item.retention_days == days
            }
            records.append(PlainRecord(lowest, tuple(also), days, canonical_json(dict(own))))
    summaries = tuple(
        FieldSummary(item, tally[item.name].values, tally[item.name].empty, dict(tally[item.name].withheld))
        for item in shared
    )
    return OutgoingRecords(tuple(records), sent, withheld, summaries, ranks)


def preview_digest(run_key: bytes, sid: bytes, direction: Role, records: Sequence[PlainRecord]) -> bytes:
    """What an operator authorises: a digest over exactly these records; 32 bytes.

    Keyed with the run's spool key, because a plain digest over guessable values would tell them to whoever
    guesses.
    """
    message = frame(Context.PREVIEW, sid, direction.value, (_record_bytes(record) for record in records))
    return hmac.new(run_key, message, hashlib.sha256).digest()


def ineligible(table: ContactTable, agreement: Agreement, overlap: Overlap, today: date) -> set[str]:
    """The contacts of the overlap that may not be sent today, or that the source no longer has."""
    return set(_exclusions(table, agreement, overlap, today))


class _Tally:
    def __init__(self) -> None:
        self.values = 0
        self.empty = 0
        self.withheld: Counter[str] = Counter()


def _values(
    shared: Sequence[SharedField], cells: Mapping[str, str | None], tally: Mapping[str, _Tally]
) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for item in shared:
        cell = (cells[item.name] or "").strip()
        count = tally[item.name]
        if not cell:
            count.empty += 1
            continue
        try:
            values[item.name] = transform(item, cell)
            count.values += 1
        except UnfitValue as unfit:
            count.withheld[unfit.reason.value] += 1
    return values


def _exclusions(table: ContactTable, agreement: Agreement, overlap: Overlap, today: date) -> dict[str, str]:
    """Why contacts of the overlap may not be sent; those that may are absent."""
    ids = table.frame["contact_id"].to_list()
    reasons = consent_exclusions(table.frame, agreement.consent, today).to_list()
    by_contact = dict(zip(ids, reasons, strict=True))
    found = {contact: by_contact.get(contact, GONE) for contacts in overlap.pairs for contact in contacts}
    return {contact: reason for contact, reason in found.items() if reason is not None}


def _senders(overlap: Overlap, excluded: Mapping[str, str]) -> tuple[RanksByContact, dict[str, int]]:
    """The contacts to send with their ranks, by lowest rank, and how many others there are by reason."""
    ranks: dict[str, list[int]] = {}
    blocked: set[str] = set()
    for rank, contacts in enumerate(overlap.pairs):
        if any(contact in excluded for contact in contacts):
            blocked.update(contacts)
        else:
            ranks.setdefault(min(contacts), []).append(rank)
    withheld: Counter[str] = Counter()
    for contact in sorted({contact for contacts in overlap.pairs for contact in contacts} - ranks.keys()):
        otherwise = SHARED_WITH_INELIGIBLE if contact in blocked else SHARED_WITH_OTHER
        withheld[excluded.get(contact, otherwise)] += 1
    return {contact: tuple(own) for contact, own in ranks.items()}, dict(withheld)


def _record_bytes(record: PlainRecord) -> bytes:
    ranks = struct.pack(
        f">III{len(record.also)}I", record.rank, record.retention_days, len(record.also), *record.also
    )
    return ranks + record.plaintext

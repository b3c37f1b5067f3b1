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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from mutuals.framing import Context, frame
from mutuals.models.agreement import Agreement, SharedField, Side
from mutuals.models.run import Role
from mutuals.protocol.exchange import PlainRecord
from mutuals.runs.overlap import Overlap
from mutuals.runs.record_columns import RecordColumns, WrittenColumn, objects, write_column
from mutuals.sources.contacts import ContactTable
from mutuals.sources.eligibility import consent_exclusions, field_cells

GONE = "no_longer_in_source"
SHARED_WITH_INELIGIBLE = "shared_with_ineligible"
SHARED_WITH_OTHER = "sent_under_another_contact"

_LENGTH = struct.Struct(">I")


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

    ``records`` ascend by rank and retention class. ``sent`` has a row for each contact, by lowest rank: ``contact``
    (String), its ``ranks`` (List[UInt32], ascending), and in ``fields`` (String) for each of ``fields`` a ``1`` where
    it has a value, else a ``0``. ``withheld`` counts the overlap's other contacts by reason. ``fields`` are in the
    agreement's order; so are ``columns``, their values, which are kept only for who asked to look at them.
    """

    records: Sequence[PlainRecord] = field(repr=False)
    sent: pl.DataFrame = field(repr=False)
    withheld: dict[str, int]
    fields: tuple[FieldSummary, ...]
    columns: tuple[WrittenColumn, ...] = field(default=(), repr=False)


_SENT = {"contact": pl.String(), "ranks": pl.List(pl.UInt32()), "fields": pl.String()}

NOTHING = OutgoingRecords(records=(), sent=pl.DataFrame(schema=_SENT), withheld={}, fields=())
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
    keep_columns: bool = False,
) -> OutgoingRecords:
    """The records that ``side`` sends of ``overlap`` as of ``today``, from its freshly read source.

    ``mapping`` is field → heading; ``kept_back`` names the agreed fields that are not even read, because the own
    policy does not let them be shared. With ``keep_columns`` the values stay at hand to be looked at. Raises
    MutualsError (INPUT_QUALITY) where the source lacks a column.
    """
    agreed = agreement.sends(side)
    if not agreed:
        return NOTHING
    shared = tuple(item for item in agreed if item.name not in kept_back)
    senders, withheld = _senders(_holders(table, agreement, overlap, today))
    cells = field_cells(table, senders["contact"], {item.name: mapping[item.name] for item in shared})
    columns = [write_column(item, cells[item.name], table.dates) for item in shared]
    texts = {
        days: objects([column for column in columns if column.shared.retention_days == days], len(senders))
        for days in {item.retention_days for item in agreed}
    }
    return OutgoingRecords(
        records=RecordColumns(senders["ranks"], texts),
        sent=senders.with_columns(_presence(columns)),
        withheld=withheld,
        fields=tuple(FieldSummary(item.shared, item.values, item.empty, item.withheld) for item in columns),
        columns=tuple(columns) if keep_columns else (),
    )


def preview_digest(run_key: bytes, sid: bytes, direction: Role, records: Sequence[PlainRecord]) -> bytes:
    """What an operator authorises: a digest over exactly these records; 32 bytes.

    Keyed with the run's spool key, because a plain digest over guessable values would tell them to whoever
    guesses.
    """
    # As hmac(frame(PREVIEW, sid, direction, records)), of which the last field is too large to be held.
    code = hmac.new(run_key, frame(Context.PREVIEW, sid, direction.value), hashlib.sha256)
    code.update(_LENGTH.pack(sum(16 + 4 * len(record.also) + len(record.plaintext) for record in records)))
    for record in records:
        code.update(_record_bytes(record))
    return code.digest()


def ineligible(table: ContactTable, agreement: Agreement, overlap: Overlap, today: date) -> set[str]:
    """The contacts of the overlap that may not be sent today, or that the source no longer has."""
    holders = _holders(table, agreement, overlap, today)
    return set(holders.filter(pl.col("reason").is_not_null())["contact"].to_list())


def _presence(columns: Sequence[WrittenColumn]) -> pl.Series:
    """Which columns have a value, as a ``0`` or a ``1`` each."""
    if not columns:
        return pl.Series("fields", [""], dtype=pl.String)
    digits = [column.members.is_not_null().cast(pl.Int8()).cast(pl.String()) for column in columns]
    return pl.select(pl.concat_str(digits).alias("fields"))["fields"]


def _holders(table: ContactTable, agreement: Agreement, overlap: Overlap, today: date) -> pl.DataFrame:
    """Who holds which rank: ``rank``, ``contact``, and the ``reason`` why it may not be sent, null where it may."""
    reasons = consent_exclusions(table.frame, agreement.consent, today)
    ids = table.frame["contact_id"].alias("contact")
    known = pl.DataFrame([ids, reasons.alias("reason")]).with_columns(known=True)
    return (
        overlap.holders()
        .join(known, on="contact", how="left", maintain_order="left")
        .select("rank", "contact", reason=pl.when(pl.col("known")).then("reason").otherwise(pl.lit(GONE)))
    )


def _senders(holders: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """The contacts to send (``contact``, ``ranks``), by lowest rank, and how many others there are by reason."""
    of_rank = holders.group_by("rank", maintain_order=True).agg(
        pl.col("contact").min(), blocked=pl.col("reason").is_not_null().any()
    )
    usable = of_rank.filter(~pl.col("blocked"))
    senders = usable.group_by("contact", maintain_order=True).agg(ranks="rank")
    blocked = of_rank.filter("blocked").select("rank", blocked=True)
    others = (
        holders.join(senders, on="contact", how="anti")
        .join(blocked, on="rank", how="left")
        .group_by("contact")
        .agg(pl.col("reason").first(), blocked=pl.col("blocked").any())
        .select(
            pl.when(pl.col("reason").is_not_null())
            .then("reason")
            .when("blocked")
            .then(pl.lit(SHARED_WITH_INELIGIBLE))
            .otherwise(pl.lit(SHARED_WITH_OTHER))
            .alias("reason")
        )
    )
    return senders, dict(sorted(others["reason"].value_counts().iter_rows()))


def _record_bytes(record: PlainRecord) -> bytes:
    also = record.also
    ranks = struct.pack(
        f">IIII{len(also)}I",
        12 + 4 * len(also) + len(record.plaintext),
        record.rank,
        record.retention_days,
        len(also),
        *also,
    )
    return ranks + record.plaintext

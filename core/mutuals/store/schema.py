"""The tables as they are now. A change here needs a migration: a test compares the two.

Column names are the field names of the rows. No column holds a contact's data in the clear.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, MetaData, Table, Text

from mutuals.models.agreement import AgreementState, Side
from mutuals.models.run import Role, RunState
from mutuals.models.statistics import RunStatistics
from mutuals.store.columns import Choice, JsonModel, JsonObject, JsonTuple, Moment

# Oldest first, so that opening an up-to-date store needs one look and no Alembic.
REVISIONS = ("0001", "0002", "0003", "0004")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def _key(name: str, kind: Any = Text, *references: ForeignKey) -> Column[Any]:
    return Column(name, kind, *references, primary_key=True, autoincrement=False)


def _counter() -> Column[int]:
    """An own key in order of insertion, for tables whose rows have none or need that order."""
    return Column("position", Integer, primary_key=True, autoincrement=True)


def _need(name: str, kind: Any = Text, *references: ForeignKey, **options: Any) -> Column[Any]:
    return Column(name, kind, *references, nullable=False, **options)


def _may(name: str, kind: Any = Text, **options: Any) -> Column[Any]:
    return Column(name, kind, nullable=True, **options)


def _partner() -> ForeignKey:
    return ForeignKey("partners.fingerprint")


def _agreement() -> ForeignKey:
    return ForeignKey("agreements.digest")


def _run() -> ForeignKey:
    return ForeignKey("runs.run_id")


# One row. Every transaction locks it where the database itself would let two write at once; its numbers tell
# whether something was erased and not yet swept from the file (``mutuals.store.sweep``).
store_state = Table(
    "store_state", metadata, _key("id", Integer), _need("erasures", BigInteger), _need("swept", BigInteger)
)

partners = Table(
    "partners",
    metadata,
    _key("fingerprint"),
    _need("name"),
    _need("signed_card", LargeBinary),
    _need("serial", BigInteger),
    _need("pin", LargeBinary, index=True),
    _need("added_at", Moment),
    _may("removed_at", Moment),
    _may("previous_certificate"),
    _may("previous_pin", LargeBinary, index=True),
    _may("previous_until", Moment),
)

operators = Table(
    "operators",
    metadata,
    _key("name"),
    _need("roles", JsonTuple),
    _need("department"),
    _need("signing_public", LargeBinary),
    _need("wrapping_public", LargeBinary),
    _need("sealed_private", LargeBinary),
    _need("created_at", Moment),
    _may("disabled_at", Moment),
)

wrapped_keys = Table(
    "wrapped_keys",
    metadata,
    _key("subject"),
    _key("operator", Text, ForeignKey("operators.name")),
    _need("blob", LargeBinary),
)

sources = Table("sources", metadata, _key("name"), _need("definition"), _need("added_at", Moment))

agreements = Table(
    "agreements",
    metadata,
    _key("digest"),
    _need("agreement_id", index=True),
    _need("title"),
    _need("partner", Text, _partner(), index=True),
    _need("own_side", Choice(Side)),
    _need("state", Choice(AgreementState)),
    _need("document", LargeBinary),
    _may("source"),
    _need("mapping", JsonObject),
    _need("created_at", Moment),
    _need("updated_at", Moment),
    _may("reason"),
    _may("replaces"),
    _may("ends_at", Moment),
    _may("ended_at", Moment),
)

statements = Table(
    "statements",
    metadata,
    _key("digest", Text, _agreement()),
    _key("side", Choice(Side)),
    _need("body", LargeBinary),
    _need("signature", LargeBinary),
)

runs = Table(
    "runs",
    metadata,
    _key("run_id"),
    _need("sid", LargeBinary, unique=True),
    _need("agreement", Text, _agreement(), index=True),
    _need("partner", Text, _partner(), index=True),
    _need("role", Choice(Role)),
    _need("engine"),
    _need("state", Choice(RunState)),
    _need("own_size", BigInteger),
    _need("partner_size", BigInteger),
    _need("opened_at", Moment),
    _need("own_receiving_key", LargeBinary),
    _need("partner_receiving_key", LargeBinary),
    _may("spool_key", LargeBinary),
    _may("count", BigInteger),
    _may("th", LargeBinary),
    _may("counted_at", Moment),
    _may("reveal_by", Moment),
    _may("revealed_at", Moment),
    _may("contacts", BigInteger),
    _may("finished_at", Moment),
    _may("reason"),
    _may("statistics", JsonModel(RunStatistics)),
    _may("backend"),
    _may("executor"),
    _may("match_key", LargeBinary),
)

# No reference to runs: a charge is made at Accept and outlives whatever becomes of the run.
charges = Table(
    "charges",
    metadata,
    _key("sid", LargeBinary),
    _need("partner", Text, _partner(), index=True),
    _need("agreement", Text, _agreement()),
    _need("items", BigInteger),
    _need("at", Moment),
)

authorisations = Table(
    "authorisations",
    metadata,
    _key("id"),
    _need("act"),
    _need("subject", index=True),
    _need("operator", Text, ForeignKey("operators.name")),
    _need("statement", LargeBinary),
    _need("signature", LargeBinary),
    _may("preview", LargeBinary),
    _need("created_at", Moment),
    _need("expires_at", Moment),
    _may("voided_at", Moment),
)

outbox = Table(
    "outbox",
    metadata,
    _counter(),
    _need("document_id", unique=True),
    _need("partner", Text, _partner(), index=True),
    _need("kind"),
    _need("body", LargeBinary),
    _need("signature", LargeBinary),
    _need("created_at", Moment),
    _may("delivered_at", Moment),
    _may("receipt", LargeBinary),
)

inbox = Table(
    "inbox",
    metadata,
    _key("document_id"),
    _need("partner", Text, _partner()),
    _need("kind"),
    _need("receipt", LargeBinary),
    _need("at", Moment),
)

outgoing = Table(
    "outgoing",
    metadata,
    _key("run_id", Text, _run()),
    _key("number", BigInteger),
    _need("header", LargeBinary),
    _need("signature", LargeBinary),
    _need("records", LargeBinary),
    _need("digest", LargeBinary),
    _may("acknowledged_at", Moment),
    _may("ack", LargeBinary),
)

incoming = Table(
    "incoming",
    metadata,
    _key("run_id", Text, _run()),
    _key("number", BigInteger),
    _need("header", LargeBinary),
    _need("signature", LargeBinary),
    _need("digest", LargeBinary),
    _need("ack", LargeBinary),
    _need("received_at", Moment),
)

received = Table(
    "received",
    metadata,
    _key("run_id", Text, _run()),
    _key("rank", BigInteger),
    _key("retention_days", BigInteger),
    _need("also", JsonTuple),
    _need("ciphertext", LargeBinary),
    _need("received_at", Moment),
    _need("delete_after", Moment, index=True),
    _may("envelope", BigInteger),
)

overlaps = Table("overlaps", metadata, _key("run_id", Text, _run()), _need("blob", LargeBinary))

sent = Table(
    "sent",
    metadata,
    _counter(),
    _need("run_id", Text, _run(), index=True),
    _need("partner", Text, _partner()),
    _need("agreement", Text, _agreement()),
    _need("blob", LargeBinary),
    _need("contacts", BigInteger),
    _need("at", Moment),
    _need("delete_after", Moment),
)

exports = Table(
    "exports",
    metadata,
    _counter(),
    _need("run_id", Text, _run(), index=True),
    _need("operator", Text, ForeignKey("operators.name")),
    _need("file"),
    _need("rows", BigInteger),
    _need("fields", JsonTuple),
    _need("at", Moment),
)

log = Table(
    "log",
    metadata,
    _key("seq", BigInteger),
    Column("agreement", Text, nullable=True, index=True),
    _need("event"),
    _need("body", JsonObject),
    _need("at", Moment),
)

assessments = Table(
    "assessments",
    metadata,
    _key("digest"),
    _need("terms", Text, index=True),
    _need("document", LargeBinary),
    _need("operator", Text, ForeignKey("operators.name")),
    _need("body", LargeBinary),
    _need("signature", LargeBinary),
    _need("created_at", Moment),
)

# What an operator signed off for others to rely on: a field of a category, one of two signatures under an act.
approvals = Table(
    "approvals",
    metadata,
    _counter(),
    _need("act"),
    _need("subject", Text, index=True),
    _need("operator", Text, ForeignKey("operators.name")),
    _need("body", LargeBinary),
    _need("signature", LargeBinary),
    _need("at", Moment),
    _may("voided_at", Moment),
)

policies = Table(
    "policies",
    metadata,
    _key("version", Integer),
    _need("digest", Text, unique=True),
    _need("document", LargeBinary),
    _need("operator", Text, ForeignKey("operators.name")),
    _need("body", LargeBinary),
    _need("signature", LargeBinary),
    _need("approved_at", Moment),
)

# Keyed hashes of contact ids and identifiers; the key lies in the home, not here.
suppressions = Table(
    "suppressions",
    metadata,
    _key("hash", LargeBinary),
    _need("reason"),
    _need("at", Moment),
    _may("agreement"),
)

# ``sealed`` names the own contact, to the accountability key alone; a partner's revocation has none.
revocations = Table(
    "revocations",
    metadata,
    _key("revocation_id"),
    _need("run_id", Text, _run(), index=True),
    _need("partner", Text, _partner()),
    _need("own", Boolean),
    _need("ranks", JsonTuple),
    _may("sealed", LargeBinary),
    _need("at", Moment),
    _may("answered_at", Moment),
    _may("deleted", BigInteger),
)

suspensions = Table(
    "suspensions",
    metadata,
    _key("suspension_id"),
    _need("agreement", Text, _agreement(), index=True),
    _need("side", Choice(Side)),
    _need("reason"),
    _may("breach"),
    _need("at", Moment),
    _may("lifted_at", Moment),
)

# ``partner`` is who told us, or nothing for an own breach.
breaches = Table(
    "breaches",
    metadata,
    _key("breach_id"),
    _may("partner"),
    _need("document", LargeBinary),
    _need("aware_at", Moment),
    _need("opened_at", Moment),
    _need("updated_at", Moment),
    _may("closed_at", Moment),
)

certificates = Table(
    "certificates",
    metadata,
    _key("agreement", Text, _agreement()),
    _key("side", Choice(Side)),
    _need("body", LargeBinary),
    _need("signature", LargeBinary),
    _need("at", Moment),
)

attestations = Table(
    "attestations",
    metadata,
    _counter(),
    _need("agreement", Text, _agreement(), index=True),
    _need("side", Choice(Side)),
    _need("period_from", Moment),
    _need("period_until", Moment),
    _need("body", LargeBinary),
    _need("signature", LargeBinary),
    _need("at", Moment),
)

notifications = Table(
    "notifications",
    metadata,
    _counter(),
    _may("agreement"),
    _need("text"),
    _need("roles", JsonTuple),
    _need("at", Moment),
    _may("author"),
)

notifications_read = Table(
    "notifications_read",
    metadata,
    _key("operator", Text, ForeignKey("operators.name")),
    _need("up_to", Integer),
)

# Tree heads of the log, ours and the partner's; ``agreement`` is empty for the peer's own log.
checkpoints = Table(
    "checkpoints",
    metadata,
    _key("agreement"),
    _key("own", Boolean),
    _key("size", BigInteger),
    _need("root", LargeBinary),
    _need("note", LargeBinary),
    _need("at", Moment),
    _may("cosignature", LargeBinary),
)

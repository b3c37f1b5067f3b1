"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "store_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("erasures", sa.BigInteger(), nullable=False),
        sa.Column("swept", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store_state")),
    )
    op.create_table(
        "partners",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("signed_card", sa.LargeBinary(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("pin", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_partners")),
    )
    op.create_index(op.f("ix_partners_pin"), "partners", ["pin"])
    op.create_table(
        "operators",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("department", sa.Text(), nullable=False),
        sa.Column("signing_public", sa.LargeBinary(), nullable=False),
        sa.Column("wrapping_public", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_private", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_operators")),
    )
    op.create_table(
        "wrapped_keys",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "operator", name=op.f("pk_wrapped_keys")),
        sa.ForeignKeyConstraint(["operator"], ["operators.name"], name=op.f("fk_wrapped_keys_operator")),
    )
    op.create_table(
        "sources",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sources")),
    )
    op.create_table(
        "agreements",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("own_side", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("mapping", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_agreements")),
        sa.ForeignKeyConstraint(["partner"], ["partners.fingerprint"], name=op.f("fk_agreements_partner")),
    )
    op.create_index(op.f("ix_agreements_agreement_id"), "agreements", ["agreement_id"])
    op.create_index(op.f("ix_agreements_partner"), "agreements", ["partner"])
    op.create_table(
        "statements",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "side", name=op.f("pk_statements")),
        sa.ForeignKeyConstraint(["digest"], ["agreements.digest"], name=op.f("fk_statements_digest")),
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("sid", sa.LargeBinary(), nullable=False),
        sa.Column("agreement", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("own_size", sa.BigInteger(), nullable=False),
        sa.Column("partner_size", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("own_receiving_key", sa.LargeBinary(), nullable=False),
        sa.Column("partner_receiving_key", sa.LargeBinary(), nullable=False),
        sa.Column("spool_key", sa.LargeBinary(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=True),
        sa.Column("th", sa.LargeBinary(), nullable=True),
        sa.Column("counted_at", sa.BigInteger(), nullable=True),
        sa.Column("reveal_by", sa.BigInteger(), nullable=True),
        sa.Column("revealed_at", sa.BigInteger(), nullable=True),
        sa.Column("contacts", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_runs")),
        sa.UniqueConstraint("sid", name=op.f("uq_runs_sid")),
        sa.ForeignKeyConstraint(["agreement"], ["agreements.digest"], name=op.f("fk_runs_agreement")),
        sa.ForeignKeyConstraint(["partner"], ["partners.fingerprint"], name=op.f("fk_runs_partner")),
    )
    op.create_index(op.f("ix_runs_agreement"), "runs", ["agreement"])
    op.create_index(op.f("ix_runs_partner"), "runs", ["partner"])
    op.create_table(
        "charges",
        sa.Column("sid", sa.LargeBinary(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("agreement", sa.Text(), nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sid", name=op.f("pk_charges")),
        sa.ForeignKeyConstraint(["partner"], ["partners.fingerprint"], name=op.f("fk_charges_partner")),
        sa.ForeignKeyConstraint(["agreement"], ["agreements.digest"], name=op.f("fk_charges_agreement")),
    )
    op.create_index(op.f("ix_charges_partner"), "charges", ["partner"])
    op.create_table(
        "authorisations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("preview", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("voided_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authorisations")),
        sa.ForeignKeyConstraint(["operator"], ["operators.name"], name=op.f("fk_authorisations_operator")),
    )
    op.create_index(op.f("ix_authorisations_subject"), "authorisations", ["subject"])
    op.create_table(
        "outbox",
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("receipt", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_outbox")),
        sa.UniqueConstraint("document_id", name=op.f("uq_outbox_document_id")),
        sa.ForeignKeyConstraint(["partner"], ["partners.fingerprint"], name=op.f("fk_outbox_partner")),
    )
    op.create_index(op.f("ix_outbox_partner"), "outbox", ["partner"])
    op.create_table(
        "inbox",
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_inbox")),
        sa.ForeignKeyConstraint(["partner"], ["partners.fingerprint"], name=op.f("fk_inbox_partner")),
    )
    op.create_table(
        "outgoing",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("records", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("ack", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_outgoing")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_outgoing_run_id")),
    )
    op.create_table(
        "incoming",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("ack", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_incoming")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_incoming_run_id")),
    )
    op.create_table(
        "received",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("rank", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("retention_days", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("also", sa.Text(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("delete_after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "rank", "retention_days", name=op.f("pk_received")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_received_run_id")),
    )
    op.create_index(op.f("ix_received_delete_after"), "received", ["delete_after"])
    op.create_table(
        "overlaps",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_overlaps")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_overlaps_run_id")),
    )
    op.create_table(
        "sent",
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("agreement", sa.Text(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("contacts", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("delete_after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_sent")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_sent_run_id")),
        sa.ForeignKeyConstraint(["partner"], ["partners.fingerprint"], name=op.f("fk_sent_partner")),
        sa.ForeignKeyConstraint(["agreement"], ["agreements.digest"], name=op.f("fk_sent_agreement")),
    )
    op.create_index(op.f("ix_sent_run_id"), "sent", ["run_id"])
    op.create_table(
        "exports",
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_exports")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_exports_run_id")),
        sa.ForeignKeyConstraint(["operator"], ["operators.name"], name=op.f("fk_exports_operator")),
    )
    op.create_index(op.f("ix_exports_run_id"), "exports", ["run_id"])
    op.create_table(
        "log",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("agreement", sa.Text(), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_log")),
    )
    op.create_index(op.f("ix_log_agreement"), "log", ["agreement"])
    op.execute("INSERT INTO store_state (id, erasures, swept) VALUES (1, 0, 0)")

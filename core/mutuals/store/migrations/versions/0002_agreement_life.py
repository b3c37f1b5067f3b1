"""The agreement's whole life: assessments, policy, suspensions, breaches, certificates, checkpoints and the rest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the tables, and to agreements which version they replace and when they end."""
    op.create_table(
        "breaches",
        sa.Column("breach_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("partner", sa.Text(), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("aware_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("breach_id", name=op.f("pk_breaches")),
    )
    op.create_table(
        "checkpoints",
        sa.Column("agreement", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("own", sa.Boolean(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("cosignature", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("agreement", "own", "size", name=op.f("pk_checkpoints")),
    )
    op.create_table(
        "notifications",
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("agreement", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_notifications")),
    )
    op.create_table(
        "suppressions",
        sa.Column("hash", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("agreement", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_suppressions")),
    )
    op.create_table(
        "approvals",
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("voided_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["operator"], ["operators.name"], name=op.f("fk_approvals_operator")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_subject"), "approvals", ["subject"])
    op.create_table(
        "assessments",
        sa.Column("digest", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["operator"], ["operators.name"], name=op.f("fk_assessments_operator")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_assessments")),
    )
    op.create_index(op.f("ix_assessments_terms"), "assessments", ["terms"])
    op.create_table(
        "notifications_read",
        sa.Column("operator", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("up_to", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator"], ["operators.name"], name=op.f("fk_notifications_read_operator")
        ),
        sa.PrimaryKeyConstraint("operator", name=op.f("pk_notifications_read")),
    )
    op.create_table(
        "policies",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("approved_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["operator"], ["operators.name"], name=op.f("fk_policies_operator")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_policies")),
        sa.UniqueConstraint("digest", name=op.f("uq_policies_digest")),
    )
    op.create_table(
        "attestations",
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("agreement", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("period_from", sa.BigInteger(), nullable=False),
        sa.Column("period_until", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agreement"], ["agreements.digest"], name=op.f("fk_attestations_agreement")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_attestations")),
    )
    op.create_index(op.f("ix_attestations_agreement"), "attestations", ["agreement"])
    op.create_table(
        "certificates",
        sa.Column("agreement", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("side", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agreement"], ["agreements.digest"], name=op.f("fk_certificates_agreement")),
        sa.PrimaryKeyConstraint("agreement", "side", name=op.f("pk_certificates")),
    )
    op.create_table(
        "suspensions",
        sa.Column("suspension_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("agreement", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("breach", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["agreement"], ["agreements.digest"], name=op.f("fk_suspensions_agreement")),
        sa.PrimaryKeyConstraint("suspension_id", name=op.f("pk_suspensions")),
    )
    op.create_index(op.f("ix_suspensions_agreement"), "suspensions", ["agreement"])
    op.create_table(
        "revocations",
        sa.Column("revocation_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.Column("ranks", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("deleted", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["partner"], ["partners.fingerprint"], name=op.f("fk_revocations_partner")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_revocations_run_id")),
        sa.PrimaryKeyConstraint("revocation_id", name=op.f("pk_revocations")),
    )
    op.create_index(op.f("ix_revocations_run_id"), "revocations", ["run_id"])
    op.add_column("agreements", sa.Column("replaces", sa.Text(), nullable=True))
    op.add_column("agreements", sa.Column("ends_at", sa.BigInteger(), nullable=True))
    op.add_column("agreements", sa.Column("ended_at", sa.BigInteger(), nullable=True))
    op.add_column("received", sa.Column("envelope", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("statistics", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("backend", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("executor", sa.Text(), nullable=True))

"""Partners keep the certificate of the card before for a while, so that certificates rotate without an outage."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; no rotation is under way."""
    op.add_column("partners", sa.Column("previous_certificate", sa.Text(), nullable=True))
    op.add_column("partners", sa.Column("previous_pin", sa.LargeBinary(), nullable=True))
    op.add_column("partners", sa.Column("previous_until", sa.BigInteger(), nullable=True))
    op.create_index("ix_partners_previous_pin", "partners", ["previous_pin"])

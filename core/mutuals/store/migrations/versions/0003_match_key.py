"""Runs keep the engine's key while they match, so that an interrupted match can go on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; matches under way fail as they did before."""
    op.add_column("runs", sa.Column("match_key", sa.LargeBinary(), nullable=True))

"""Alembic's entry: runs the migrations on the connection, and in the transaction, that the store hands in."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from mutuals.store.schema import metadata

connection: Connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
context.run_migrations()

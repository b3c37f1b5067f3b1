"""What a store's URL says, for those who may not know the database."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

_AS_PARAMETER = frozenset({"password", "sslpassword"})


def has_password(url: str) -> bool:
    """Whether a database URL carries a password. Raises ValueError where it is no URL."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError("not a database URL") from None
    return parsed.password is not None or not _AS_PARAMETER.isdisjoint(parsed.query)


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite store; nothing for any other. Raises ValueError where it is no URL."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError("not a database URL") from None
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))

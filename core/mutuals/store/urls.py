"""What a store's URL says, for those who may not know the database."""

from __future__ import annotations

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError


def has_password(url: str) -> bool:
    """Whether a database URL carries a password. Raises ValueError where it is no URL."""
    try:
        return make_url(url).password is not None
    except ArgumentError:
        raise ValueError("not a database URL") from None

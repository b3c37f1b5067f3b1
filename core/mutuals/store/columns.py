"""Column types that turn what the models use into what every database has: integers, text, bytes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy import BigInteger, Dialect, Text
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

E = TypeVar("E", bound=StrEnum)
M = TypeVar("M", bound=BaseModel)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept as microseconds since 1970; comes back in UTC. ValueError for a naive one."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored: give it a time zone")
        return (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else EPOCH + value * MICROSECOND


class Choice(TypeDecorator[E], Generic[E]):
    """A member of a ``StrEnum``, kept as its value."""

    impl = Text
    cache_ok = True

    def __init__(self, members: type[E]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None else self.members(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:
        """From the database."""
        return None if value is None else self.members(value)


class JsonTuple(TypeDecorator[tuple[Any, ...]]):
    """A tuple of strings or numbers, kept as a JSON array."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[Any, ...] | None, dialect: Dialect) -> str | None:
        """To the database."""
        if value == ():  # nearly always, in the table with the most rows
            return "[]"
        return None if value is None else json.dumps(list(value), ensure_ascii=False, allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[Any, ...] | None:
        """From the database."""
        if value == "[]":
            return ()
        return None if value is None else tuple(json.loads(value))


class JsonObject(TypeDecorator[dict[str, Any]]):
    """A dictionary, kept as a JSON object."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> str | None:
        """To the database."""
        if value is None:
            return None
        return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:
        """From the database."""
        if value is None:
            return None
        parsed: dict[str, Any] = json.loads(value)
        return parsed


class JsonModel(TypeDecorator[M], Generic[M]):
    """A pydantic model, kept as its JSON. Reading raises pydantic.ValidationError where it is something else."""

    impl = Text
    cache_ok = True

    def __init__(self, model: type[M]) -> None:
        super().__init__()
        self.model = model

    def process_bind_param(self, value: M | None, dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None else value.model_dump_json()

    def process_result_value(self, value: str | None, dialect: Dialect) -> M | None:
        """From the database."""
        return None if value is None else self.model.model_validate_json(value)

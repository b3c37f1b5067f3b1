"""From a cell of the source to the agreed value of a field, and back to what a receiver may see in its place.

    transform(SharedField(name="spend", type="decimal", transform="band:100,500", ...), "249.90")  ->
    "100-499"

A cell that does not fit the field's type is withheld for that field; it is never sent as it is. What a value
may look like after the transformation is checked again by the receiver, so that a field carries no more than
was agreed.
"""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum, unique
from itertools import pairwise

from mutuals.models.agreement import SharedField

Value = str | int | bool

MAX_TEXT_BYTES = 1000
"""A text takes at most this much in a record, as JSON: 100 such fields still fit into one record."""

_MAX_INTEGER = 2**53 - 1  # RFC 8785 numbers are doubles
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})([T ][0-9]{2}:[0-9]{2}.{0,30})?")
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})


@unique
class Unfit(StrEnum):
    """Why a field of a contact is withheld although it has a value."""

    NOT_AN_INTEGER = "not_an_integer"
    NOT_A_DECIMAL = "not_a_decimal"
    NOT_A_DATE = "not_a_date"
    NOT_A_BOOLEAN = "not_a_boolean"
    NOT_A_LETTER = "not_a_letter"
    OUT_OF_RANGE = "out_of_range"
    TOO_LONG = "too_long"


class UnfitValue(ValueError):
    """A cell that cannot become the agreed value. Carries the reason, never the cell."""

    def __init__(self, reason: Unfit) -> None:
        super().__init__(reason.value)
        self.reason = reason


@unique
class Column(StrEnum):
    """What the values of a field are after the transformation."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    BOOLEAN = "boolean"


def column_of(shared: SharedField) -> Column:
    """The kind of value that the field has once transformed."""
    match _name(shared):
        case "year" | "round":
            return Column.INTEGER
        case "month" | "band" | "first_letter" | "lower":
            return Column.TEXT
        case _:
            return Column(shared.type)


def transform(shared: SharedField, cell: str) -> Value:
    """The agreed value of a cell that is not blank. Raises UnfitValue.

    Text, dates (``2026-05-01``), months (``2026-05``), bands and decimals are ``str``; integers, years and
    rounded numbers ``int``; booleans ``bool``.
    """
    text = cell.strip()
    match shared.type:
        case "text":
            return _text(shared, text)
        case "integer":
            return _number(shared, Decimal(_matched(_INTEGER, text, Unfit.NOT_AN_INTEGER)))
        case "decimal":
            return _number(shared, Decimal(_matched(_DECIMAL, text, Unfit.NOT_A_DECIMAL)))
        case "date":
            return _date(shared, text)
        case "boolean":
            return _boolean(text)


def check_value(shared: SharedField, value: object) -> None:
    """Raise ValueError unless ``value`` is one that ``transform`` can give for this field."""
    fits: bool
    match _name(shared):
        case "year":
            fits = _is_integer(value) and 1 <= int(str(value)) <= 9999
        case "month":
            fits = isinstance(value, str) and _MONTH.fullmatch(value) is not None
        case "round":
            fits = _is_integer(value) and int(str(value)) % _step(shared) == 0
        case "band":
            fits = value in bands(shared)
        case "first_letter":
            fits = isinstance(value, str) and len(value) == 1 and value.isalpha()
        case "lower":
            fits = isinstance(value, str) and value == value.lower() and _short(value)
        case _:
            fits = _fits_type(shared, value)
    if not fits:
        raise ValueError("a value is not what was agreed for its field")


def bands(shared: SharedField) -> list[str]:
    """The labels of a banded field, lowest first: ``<100``, ``100-499``, ``>=500``."""
    bounds = _bounds(shared)
    inner = [f"{low}-{high - 1}" if high - 1 > low else str(low) for low, high in pairwise(bounds)]
    return [f"<{bounds[0]}", *inner, f">={bounds[-1]}"]


def _text(shared: SharedField, text: str) -> str:
    if _name(shared) == "first_letter":
        if not text[:1].isalpha():
            raise UnfitValue(Unfit.NOT_A_LETTER)
        letter = text[0].upper()
        return letter if len(letter) == 1 else text[0]  # ß has no capital of one letter
    value = text.lower() if _name(shared) == "lower" else text
    if not _short(value):
        raise UnfitValue(Unfit.TOO_LONG)
    return value


def _number(shared: SharedField, number: Decimal) -> Value:
    match _name(shared):
        case "band":
            # A decimal belongs to the band of its integer part: 499.90 is in 100-499.
            above = sum(number >= bound for bound in _bounds(shared))
            return bands(shared)[above]
        case "round":
            step = _step(shared)
            _in_range(int(number))
            return _in_range(int((number / step).quantize(Decimal(1), ROUND_HALF_UP)) * step)
        case _ if shared.type == "integer":
            return _in_range(int(number))
        case _:
            return _canonical(number)


def _date(shared: SharedField, text: str) -> Value:
    found = _DATE.fullmatch(text)
    if found is None:
        raise UnfitValue(Unfit.NOT_A_DATE)
    try:
        day = date.fromisoformat(found[1])
    except ValueError as error:
        raise UnfitValue(Unfit.NOT_A_DATE) from error
    match _name(shared):
        case "year":
            return day.year
        case "month":
            return day.isoformat()[:7]
        case _:
            return day.isoformat()


def _boolean(text: str) -> bool:
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise UnfitValue(Unfit.NOT_A_BOOLEAN)
    return word in _TRUE


def _fits_type(shared: SharedField, value: object) -> bool:
    match shared.type:
        case "text":
            return isinstance(value, str) and _short(value)
        case "integer":
            return _is_integer(value)
        case "decimal":
            return (
                isinstance(value, str)
                and _DECIMAL.fullmatch(value) is not None
                and _canonical(Decimal(value)) == value
            )
        case "date":
            return isinstance(value, str) and _is_date(value)
        case "boolean":
            return isinstance(value, bool)


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_INTEGER


def _in_range(value: int) -> int:
    if abs(value) > _MAX_INTEGER:
        raise UnfitValue(Unfit.OUT_OF_RANGE)
    return value


def _canonical(number: Decimal) -> str:
    """A decimal in the one way it is written here: no exponent, no plus, no needless zeros."""
    written = f"{number.copy_abs():f}"
    if "." in written:
        written = written.rstrip("0").rstrip(".")
    return f"-{written}" if number.is_signed() and written.strip("0.") else written


def _matched(pattern: re.Pattern[str], text: str, reason: Unfit) -> str:
    if pattern.fullmatch(text) is None:
        raise UnfitValue(reason)
    return text


def _short(text: str) -> bool:
    if 6 * len(text) + 2 <= MAX_TEXT_BYTES:  # no character takes more than an escape
        return True
    return (
        len(text) <= MAX_TEXT_BYTES and len(json.dumps(text, ensure_ascii=False).encode()) <= MAX_TEXT_BYTES
    )


def _name(shared: SharedField) -> str:
    return shared.transform.partition(":")[0]


def _step(shared: SharedField) -> int:
    return int(shared.transform.partition(":")[2])


def _bounds(shared: SharedField) -> list[int]:
    return [int(bound) for bound in shared.transform.partition(":")[2].split(",")]

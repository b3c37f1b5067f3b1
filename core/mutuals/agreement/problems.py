"""What is wrong with a draft, in sentences that name the key and say what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Agreement

MOST_SHOWN = 10
_KEYS = "What each key means: docs/agreement.md"

_TYPES = {
    "missing": "is missing",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large",
    "bool_type": "must be true or false",
    "date_type": "must be a date such as 2026-01-31",
    "date_parsing": "must be a date such as 2026-01-31",
    "date_from_datetime_parsing": "must be a date such as 2026-01-31",
    "date_from_datetime_inexact": "must be a date such as 2026-01-31, without a time",
    "string_too_short": "must not be empty",
    "model_type": "must be a table of keys",
    "model_attributes_type": "must be a table of keys",
    "tuple_type": "must be a list",
    "string_unicode": "must be text",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the key (``proposer_sends[1].name``), what about it, and perhaps what to do."""

    key: str
    sentence: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.key}: {self.sentence}" if self.key else self.sentence


def report(file: str, problems: Iterable[Problem]) -> MutualsError:
    """One INPUT_QUALITY error for all problems: the first of each key, at most ten, one a line."""
    first: dict[str, Problem] = {}
    for problem in problems:
        first.setdefault(problem.key, problem)
    found = list(first.values())
    if len(found) == 1:
        sentence = str(found[0]).removesuffix("?")
        end = "." if sentence == str(found[0]) else "?"
        return MutualsError(ErrorCode.INPUT_QUALITY, f"{file}: {sentence}{end}", hint=found[0].hint or _KEYS)
    lines = [f"{file} has {len(found)} problems:", *(f"  {problem}" for problem in found[:MOST_SHOWN])]
    if len(found) > MOST_SHOWN:
        lines.append(f"  and {len(found) - MOST_SHOWN} more")
    return MutualsError(ErrorCode.INPUT_QUALITY, "\n".join(lines), hint=_KEYS)


def explain(error: ValidationError) -> list[Problem]:
    """Pydantic's errors about an Agreement as problems; never with the value that was given."""
    details = error.errors(include_url=False, include_input=False)
    return [Problem(key_path(item["loc"]), _sentence(item)) for item in details]


def key_path(location: tuple[str | int, ...]) -> str:
    """A place in the file as people write it: ``proposer_sends[1].name``, counting from one."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part + 1}]"
        else:
            path += ("." if path else "") + _printable(part)
    return path


def wants_date(location: tuple[str | int, ...]) -> bool:
    """Whether the key at this place of the file is a date."""
    model = _model_at(location[:-1])
    field = model.model_fields.get(str(location[-1])) if model else None
    return field is not None and date in (field.annotation, *get_args(field.annotation))


def _sentence(item: Any) -> str:
    kind, context = item["type"], item.get("ctx", {})
    match kind:
        case "extra_forbidden":
            return f"unknown key{_suggestion(item['loc'])}"
        case "greater_than_equal":
            return f"must be at least {context['ge']:,}"
        case "less_than_equal":
            return f"must be at most {context['le']:,}"
        case "literal_error":
            return f"must be {str(context['expected']).replace(chr(39), chr(34))}"
        case "string_too_long":
            return f"must be at most {context['max_length']:,} characters"
        case "too_short":
            return f"must have at least {context['min_length']} {_entries(context['min_length'])}"
        case "too_long":
            return f"must have at most {context['max_length']} {_entries(context['max_length'])}"
        case "string_pattern_mismatch":
            return _pattern(str(context["pattern"]))
        case "value_error":
            return str(item["msg"]).removeprefix("Value error, ")
    return _TYPES.get(kind, "has a value that is not allowed")


def _pattern(pattern: str) -> str:
    if pattern.startswith("^(none|"):
        return 'must be "none", "year", "month", "lower", "first_letter", "round:N" or "band:A,B,C" with whole numbers'
    if pattern.startswith("^[a-z]"):
        return "must be lower-case letters, digits, _ and -, starting with a letter"
    return "must be a single line of plain text"


def _entries(count: int) -> str:
    return "entry" if count == 1 else "entries"


def _suggestion(location: tuple[str | int, ...]) -> str:
    """What the writer of an unknown key probably meant."""
    name = str(location[-1])
    model = _model_at(location[:-1])
    close = difflib.get_close_matches(name, list(model.model_fields) if model else [], n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    homes = [section for section, keys in sections() if name in keys]
    return f"; it belongs under {' or '.join(homes)}" if homes else ""


def _model_at(location: tuple[str | int, ...]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = Agreement
    for part in location:
        if isinstance(part, str) and model is not None:
            field = model.model_fields.get(part)
            model = _model_of(field.annotation) if field else None
    return model


def _model_of(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def sections() -> list[tuple[str, set[str]]]:
    """Each part of the file as people name it, and the keys it takes."""
    found = [("the top of the file", set(Agreement.model_fields))]
    for name, field in Agreement.model_fields.items():
        model = _model_of(field.annotation)
        if model is not None:
            brackets = f"[[{name}]]" if name.endswith("_sends") else f"[{name}]"
            found.append((brackets, set(model.model_fields)))
    return found


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:60])

"""What is wrong with a file that a person wrote, in sentences that name the key and say what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from mutuals.errors import ErrorCode, MutualsError
from mutuals.toml_lines import key_lines, line_of

MOST_SHOWN = 10

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


def report(file: str, problems: Iterable[Problem], page: str, text: str | None = None) -> MutualsError:
    """One INPUT_QUALITY error for all problems: the first of each key, at most ten, one a line.

    ``page`` of the documentation says what each key means; with the ``text`` of the file each problem is named by its
    line, too.
    """
    lines_of_keys = {} if text is None else key_lines(text)
    keys = f"What each key means: {page}"
    first: dict[str, Problem] = {}
    for problem in problems:
        first.setdefault(problem.key, problem)
    found = list(first.values())
    if len(found) == 1:
        sentence = str(found[0]).removesuffix("?")
        end = "." if sentence == str(found[0]) else "?"
        place = _line(lines_of_keys, found[0])
        return MutualsError(
            ErrorCode.INPUT_QUALITY, f"{file}: {place}{sentence}{end}", hint=found[0].hint or keys
        )
    shown = (f"  {_line(lines_of_keys, problem)}{problem}" for problem in found[:MOST_SHOWN])
    lines = [f"{file} has {len(found)} problems:", *shown]
    if len(found) > MOST_SHOWN:
        lines.append(f"  and {len(found) - MOST_SHOWN} more")
    return MutualsError(ErrorCode.INPUT_QUALITY, "\n".join(lines), hint=keys)


def _line(lines: dict[str, int], problem: Problem) -> str:
    line = line_of(lines, problem.key)
    return f"line {line}: " if line is not None else ""


def explain(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Pydantic's errors about a ``model`` as problems; never with the value that was given."""
    details = error.errors(include_url=False, include_input=False)
    return [Problem(key_path(item["loc"]), _sentence(item, model)) for item in details]


def key_path(location: tuple[str | int, ...]) -> str:
    """A place in the file as people write it: ``proposer_sends[1].name``, counting from one."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part + 1}]"
        else:
            path += ("." if path else "") + _printable(part)
    return path


def wants_date(model: type[BaseModel], location: tuple[str | int, ...]) -> bool:
    """Whether the key at this place of the file is a date."""
    holder = _model_at(model, location[:-1])
    field = holder.model_fields.get(str(location[-1])) if holder else None
    return field is not None and date in (field.annotation, *get_args(field.annotation))


def _sentence(item: Any, model: type[BaseModel]) -> str:
    kind, context = item["type"], item.get("ctx", {})
    match kind:
        case "extra_forbidden":
            return f"unknown key{_suggestion(item['loc'], model)}"
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


def _suggestion(location: tuple[str | int, ...], model: type[BaseModel]) -> str:
    """What the writer of an unknown key probably meant."""
    name = str(location[-1])
    holder = _model_at(model, location[:-1])
    close = difflib.get_close_matches(name, list(holder.model_fields) if holder else [], n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    homes = [section for section, keys in sections(model) if name in keys]
    return f"; it belongs under {' or '.join(homes)}" if homes else ""


def _model_at(model: type[BaseModel], location: tuple[str | int, ...]) -> type[BaseModel] | None:
    found: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, str) and found is not None:
            field = found.model_fields.get(part)
            found = _model_of(field.annotation) if field else None
    return found


def _model_of(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is tuple


def sections(model: type[BaseModel]) -> list[tuple[str, set[str]]]:
    """Each part of a ``model``'s file as people name it, and the keys it takes."""
    found = [("the top of the file", set(model.model_fields))]
    for name, field in model.model_fields.items():
        part = _model_of(field.annotation)
        if part is not None:
            brackets = f"[[{name}]]" if _is_list(field.annotation) else f"[{name}]"
            found.append((brackets, set(part.model_fields)))
    return found


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:60])

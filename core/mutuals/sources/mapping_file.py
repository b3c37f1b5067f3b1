"""A mapping as a TOML file: to be looked at, corrected, kept, and given to ``source add --mapping`` elsewhere."""

from __future__ import annotations

import json
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mutuals.problems import explain, report
from mutuals.sources.blocks import input_fault, open_file
from mutuals.sources.mapping import ConsentDecision, SourceMapping
from mutuals.toml_faults import toml_fault

PAGE = "docs/sources.md#a-mapping-as-a-file"
_MOST_BYTES = 1 << 20
_Model = TypeVar("_Model", bound=BaseModel)
_HEAD = "# What the columns of an export mean. Every key: docs/sources.md\n"


def mapping_toml(mapping: SourceMapping) -> str:
    """``mapping`` as the text of such a file; ``parse_mapping`` gives it back."""
    return _HEAD + "\n".join(_lines(mapping, "")) + "\n"


def read_mapping(path: Path) -> SourceMapping:
    """The mapping in the file at ``path``. Raises MutualsError (INPUT_QUALITY) naming line and key of what is wrong."""
    return parse_mapping(_text(path), path.name)


def read_decision(path: Path) -> ConsentDecision:
    """A decision on consent in a file of its own: the keys of a mapping's ``[consent]``. Raises as ``read_mapping``."""
    return _parse(_text(path), path.name, ConsentDecision)


def _text(path: Path) -> str:
    with open_file(path) as stream:
        data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise input_fault(
            f"{path.name} is longer than {_MOST_BYTES:,} bytes.", f"What a mapping holds: {PAGE}"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise input_fault(f"{path.name} is not UTF-8.", "Save it as UTF-8.") from None


def parse_mapping(text: str, file: str = "mapping.toml") -> SourceMapping:
    """The mapping that ``text`` describes; ``file`` is how sentences call it. Raises as ``read_mapping``."""
    return _parse(text, file, SourceMapping)


def _parse(text: str, file: str, kind: type[_Model]) -> _Model:
    keys = f"What each key means: {PAGE}"
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise input_fault(f"{file}, {toml_fault(error, text)}.", keys) from None
    except (ValueError, RecursionError):
        raise input_fault(
            f"{file} holds a number that is too long, or a value nested too deep.", keys
        ) from None
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise report(file, explain(error, kind), PAGE, text) from None


def _lines(model: BaseModel, section: str) -> list[str]:
    """The keys of ``model`` that say something, then its sections."""
    plain, parts = list[str](), list[str]()
    for key in type(model).model_fields:
        value = getattr(model, key)
        name = f"{section}.{key}" if section else key
        if isinstance(value, BaseModel):
            parts += ["", f"[{name}]", *_lines(value, name)]
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for entry in value:
                parts += ["", f"[[{name}]]", *_lines(entry, name)]
        elif isinstance(value, bool) or value not in (None, "", (), {}):
            plain.append(f"{key} = {_value(value)}")
    return plain + parts


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_value(key)} = {_value(entry)}" for key, entry in value.items()) + " }"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")

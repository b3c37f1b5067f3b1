"""All that is known of a source as one TOML file: looked at, corrected, kept, and given to ``source add`` elsewhere.

text = mapping_toml(saved_mapping(definition))
saved = read_mapping(Path("crm.toml"))       # saved.mapping goes into a definition; saved.consent waits for a signature
"""

from __future__ import annotations

import json
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError, field_validator

from mutuals.errors import MutualsError
from mutuals.normalisation.phone import checked_country
from mutuals.problems import explain, report
from mutuals.sources.blocks import input_fault, open_file
from mutuals.sources.consent_decision import mapping_of, unsigned
from mutuals.sources.definition import Delimiter, SourceDefinition
from mutuals.sources.layouts import BY_NAME
from mutuals.sources.mapping import ConsentDecision, Heading, SourceMapping
from mutuals.toml_faults import toml_fault, toml_values

PAGE = "docs/sources.md#a-mapping-as-a-file"
_MOST_BYTES = 1 << 20
_Model = TypeVar("_Model", bound=BaseModel)
_HEAD = "# What the columns of an export mean. Every key: docs/sources.md\n"
_CALLED: dict[Delimiter, Literal["comma", "semicolon", "tab"]] = {",": "comma", ";": "semicolon", "\t": "tab"}


class SavedMapping(SourceMapping):
    """A mapping, and what else has to be known to read the next file: as the options of ``source add`` say it.

    ``delimiter`` and ``sheet`` are found out where they are None. ``consent`` is never signed: whoever adds a source by
    this signs it for their own.
    """

    default_country: str | None = None
    delimiter: Literal["comma", "semicolon", "tab"] | None = None
    sheet: Heading | None = None

    @field_validator("layout")
    @classmethod
    def _known(cls, layout: str) -> str:
        if layout not in BY_NAME:
            raise ValueError(f"must be one of {', '.join(BY_NAME)}")
        return layout

    @field_validator("default_country")
    @classmethod
    def _country(cls, given: str | None) -> str | None:
        try:
            return checked_country(given)
        except MutualsError as error:
            raise ValueError(f"{error.message} {error.hint or ''}".strip()) from None

    @property
    def mapping(self) -> SourceMapping:
        """What of it a source keeps as its mapping, without the decision."""
        return SourceMapping.model_validate(
            {name: getattr(self, name) for name in SourceMapping.model_fields if name != "consent"}
        )

    @property
    def separator(self) -> Delimiter | None:
        """The delimiter as it stands in the file."""
        return next((sign for sign, called in _CALLED.items() if called == self.delimiter), None)


def saved_mapping(definition: SourceDefinition) -> SavedMapping:
    """All that is known of ``definition`` but where it is. Raises MutualsError (USAGE) for one in the native format."""
    mapping = mapping_of(definition)
    kept = {name: getattr(mapping, name) for name in SourceMapping.model_fields}
    return SavedMapping(
        **kept | {"consent": None if mapping.consent is None else unsigned(mapping.consent)},
        default_country=definition.default_country,
        delimiter=_CALLED[definition.delimiter] if definition.format == "csv" else None,
        sheet=definition.sheet,
    )


def mapping_toml(mapping: SourceMapping) -> str:
    """``mapping`` as the text of such a file; ``parse_mapping`` gives it back."""
    return _HEAD + "\n".join(_lines(mapping, "")) + "\n"


def read_mapping(path: Path) -> SavedMapping:
    """The mapping in the file at ``path``, by whose folder a register of consent is found.

    Raises MutualsError (INPUT_QUALITY) naming line and key of what is wrong.
    """
    saved = parse_mapping(_text(path), path.name)
    return (
        saved if saved.consent is None else saved.model_copy(update={"consent": _found(saved.consent, path)})
    )


def read_decision(path: Path) -> ConsentDecision:
    """A decision on consent in a file of its own: the keys of a mapping's ``[consent]``. Raises as ``read_mapping``."""
    return _found(_parse(_text(path), path.name, ConsentDecision), path)


def _found(decision: ConsentDecision, beside: Path) -> ConsentDecision:
    """``decision`` unsigned, its register where it is seen from the file it was read from."""
    plain = unsigned(decision)
    if plain.file is None:
        return plain
    place = str((beside.parent / Path(plain.file.path).expanduser()).absolute())
    return plain.model_copy(update={"file": plain.file.model_copy(update={"path": place})})


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


def parse_mapping(text: str, file: str = "mapping.toml") -> SavedMapping:
    """The mapping that ``text`` describes; ``file`` is how sentences call it. Raises as ``read_mapping``."""
    return _parse(text, file, SavedMapping)


def _parse(text: str, file: str, kind: type[_Model]) -> _Model:
    keys = f"What each key means: {PAGE}"
    try:
        values = toml_values(text)
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

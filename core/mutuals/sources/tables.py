"""Reads a table of any format: by its mapping or, where it has none, as one with the native headings."""

from __future__ import annotations

from collections.abc import Collection

from mutuals.sources.definition import SourceDefinition
from mutuals.sources.duplicates import MergedBatches
from mutuals.sources.formats import open_table
from mutuals.sources.layouts import BY_NAME
from mutuals.sources.mapped import MappedFile
from mutuals.sources.native import ContactBatches
from mutuals.sources.notes import WithoutNotes
from mutuals.sources.sheet import SheetFile


def open_rows(definition: SourceDefinition) -> SheetFile:
    """The table of ``definition`` under its own headings, without notes below it. Raises as ``open_table`` does."""
    notes = may_end_in_notes(definition)
    table = open_table(definition, may_end_in_notes=notes)
    return WithoutNotes(table) if notes else table


def may_end_in_notes(definition: SourceDefinition) -> bool:
    """Whether the layout of its mapping writes notes below the contacts."""
    layout = None if definition.mapping is None else BY_NAME.get(definition.mapping.layout)
    return layout is not None and layout.may_end_in_notes


def contacts_in(
    file: SheetFile, definition: SourceDefinition, fields: Collection[str] | None = None
) -> ContactBatches | MergedBatches:
    """The contacts of ``file``, which is that of ``definition`` under its own headings, without notes below it.

    Raises MutualsError (INPUT_QUALITY) where its columns cannot be told.
    """
    mapping = definition.mapping
    if mapping is None:
        return ContactBatches(file, definition, fields)
    mapped = MappedFile(file, mapping)
    native = definition.model_copy(update={"columns": {}})
    if mapping.duplicates == "refuse":
        return ContactBatches(mapped, native, fields)
    return MergedBatches(mapped, native, fields, merge=mapping.duplicates == "merge")


class TableReader:
    """See ``mutuals.sources.readers.Reader``."""

    def open(
        self, definition: SourceDefinition, fields: Collection[str] | None = None
    ) -> ContactBatches | MergedBatches:
        """See ``Reader.open``."""
        return contacts_in(open_rows(definition), definition, fields)

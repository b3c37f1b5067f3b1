"""Reads a table of any format: by its mapping or, where it has none, as one with the native headings."""

from __future__ import annotations

from collections.abc import Collection

from mutuals.sources.definition import SourceDefinition
from mutuals.sources.formats import open_table
from mutuals.sources.layouts import BY_NAME
from mutuals.sources.mapped import MappedFile
from mutuals.sources.native import ContactBatches


class TableReader:
    """See ``mutuals.sources.readers.Reader``."""

    def open(self, definition: SourceDefinition, fields: Collection[str] | None = None) -> ContactBatches:
        """See ``Reader.open``."""
        mapping = definition.mapping
        if mapping is None:
            return ContactBatches(open_table(definition), definition, fields)
        layout = BY_NAME.get(mapping.layout)
        notes = layout is not None and layout.may_end_in_notes
        file = MappedFile(open_table(definition, may_end_in_notes=notes), mapping)
        native = definition.model_copy(update={"columns": {}})
        return ContactBatches(file, native, fields)

"""The seam for file formats: a reader turns a source definition into contacts.

A reader for a CRM's export is a class with ``read`` and a line in READERS. What it shares with the native
format it takes from ``sheet`` and ``native``; what the CRM's own columns mean is its own business.
"""

from __future__ import annotations

from typing import Protocol

from mutuals.errors import ErrorCode, MutualsError
from mutuals.sources.contacts import ContactTable
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.native import NativeReader


class Reader(Protocol):
    """Reads one format."""

    def read(self, definition: SourceDefinition) -> ContactTable:
        """The contacts of the source. Raises MutualsError (INPUT_QUALITY) where it is unusable as a whole."""
        ...


READERS: dict[str, Reader] = {"native": NativeReader()}


def read_source(definition: SourceDefinition) -> ContactTable:
    """The contacts of ``definition``, read now.

    Raises MutualsError: USAGE for an unknown format, INPUT_QUALITY where the source as a whole cannot be
    used.
    """
    reader = READERS.get(definition.format)
    if reader is None:
        raise MutualsError(
            ErrorCode.USAGE,
            f"There is no reader for the format “{definition.format}”.",
            hint=f"This release reads {', '.join(READERS)}.",
        )
    return reader.read(definition)

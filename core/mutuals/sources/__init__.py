"""Where contacts come from, and which of them take part under an agreement (docs/sources.md).

    definition = SourceDefinition(name="crm", path="/data/contacts.csv", default_country="DE")
    table = read_source(definition)
    participants = select_participants(table, agreement, profile, today, definition.default_country)

Contacts are read when needed and never copied into the store.
"""

from mutuals.sources.contacts import ContactTable, Rejected, RowFault
from mutuals.sources.definition import SourceDefinition, define_source
from mutuals.sources.eligibility import Exclusion, field_cells, still_eligible
from mutuals.sources.participants import Participants, Withheld, select_participants
from mutuals.sources.readers import READERS, Reader, open_source, read_source

__all__ = [
    "READERS",
    "ContactTable",
    "Exclusion",
    "Participants",
    "Reader",
    "Rejected",
    "RowFault",
    "SourceDefinition",
    "Withheld",
    "define_source",
    "field_cells",
    "open_source",
    "read_source",
    "select_participants",
    "still_eligible",
]

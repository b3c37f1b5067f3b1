"""What a file looks like that a CRM is to import: its own ids and headings, and the partner's fields under others.

    shape = shape_campaign(peer, received, keys, own=["Email"], headings={"loyalty_tier": "Partner segment"})
    write_export(peer, received, Path("campaign.csv"), keys, shape=shape)

The ids stand under the heading they were read from, verbatim. A field's heading begins with the partner's name unless a
person says otherwise, because most CRMs assign columns to properties by their headings: a partner's “Email” would
otherwise overwrite the own one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import OperatorKeys
from mutuals.identity.text import deceptive_character
from mutuals.peer import Peer
from mutuals.policy.current import current_policy
from mutuals.runs.export import ReceivedRecords
from mutuals.runs.opened import OpenedRows
from mutuals.runs.own_contacts import OwnTable, require_own_exportable
from mutuals.runs.tables import disarm
from mutuals.runs.transforms import Value
from mutuals.sources.layout import Layout
from mutuals.sources.layouts import (
    DYNAMICS,
    GENERIC,
    HUBSPOT,
    PIPEDRIVE,
    SALESFORCE_API,
    SALESFORCE_REPORT,
    ZOHO,
)

_MOST = 200
_PERSON = re.compile(r"(?i)person - ")


@dataclass(frozen=True)
class ImportRules:
    """What a CRM's import wants of a CSV file; docs/export.md says where that is from.

    ``beside`` are own columns without which it takes no file back. ``mark``: it begins with a byte order mark.
    ``delimiter``: nothing is the one of the file that was read.
    """

    beside: tuple[str, ...] = ()
    mark: bool = False
    delimiter: str | None = ","


_RULES: dict[str, ImportRules] = {
    HUBSPOT.name: ImportRules(),
    SALESFORCE_API.name: ImportRules(),
    SALESFORCE_REPORT.name: ImportRules(),
    DYNAMICS.name: ImportRules(
        beside=("(Do Not Modify) Row Checksum", "(Do Not Modify) Modified On"), mark=True
    ),
    ZOHO.name: ImportRules(mark=True),
    PIPEDRIVE.name: ImportRules(mark=True, delimiter=None),
    GENERIC.name: ImportRules(delimiter=None),
}


@dataclass(frozen=True)
class CampaignShape:
    """Headings of a file and the own cells in it.

    ``fields`` is field → heading. ``own`` are the own columns a person asked for, ``beside`` those the CRM's import
    wants next to the id; ``cells`` has a row for each row of the export with a column for each of both.
    """

    layout: Layout
    contact: str
    fields: Mapping[str, str]
    own: tuple[str, ...]
    beside: tuple[str, ...]
    cells: pl.DataFrame = field(repr=False)
    delimiter: str = ","
    mark: bool = False

    @property
    def own_columns(self) -> tuple[str, ...]:
        """All own columns after the id, in their order."""
        return (*self.beside, *self.own)

    @staticmethod
    def own_key(heading: str) -> str:
        """What tells an own column from a field of the same name; no field's name has a space."""
        return f"own {heading}"

    def rows(
        self, received: Iterable[tuple[str, dict[str, Value]]]
    ) -> Iterator[tuple[str, dict[str, Value]]]:
        """The rows of the export with their own cells, each under ``own_key`` of its heading."""
        keys = [self.own_key(heading) for heading in self.own_columns]
        if not keys:
            yield from received
            return
        for (contact, values), cells in zip(received, self.cells.iter_rows(), strict=True):
            yield contact, {**dict(zip(keys, cells, strict=True)), **values}


def shape_campaign(
    peer: Peer,
    received: ReceivedRecords,
    keys: OperatorKeys,
    *,
    own: Sequence[str] = (),
    headings: Mapping[str, str] | None = None,
    onto_own: bool = False,
) -> CampaignShape:
    """How ``received`` is written for the CRM that the bound source comes from.

    ``headings`` is field → heading where it is not to be the default; one that the CRM has for itself is refused unless
    ``onto_own``. Raises MutualsError: USAGE for headings that cannot be, NOT_ENTITLED for own columns that the policy
    does not let this operator export, INPUT_QUALITY where the source cannot be used.
    """
    table = OwnTable.open(peer, received.active)
    wanted = table.resolve(own)
    with peer.store.transaction() as tx:
        require_own_exportable(current_policy(tx), wanted, keys)
    rules = _RULES.get(table.layout.name, ImportRules(delimiter=None))
    beside = tuple(heading for heading in rules.beside if heading in table.headings and heading not in wanted)
    names = [item.name for item in received.fields]
    chosen = _chosen(headings or {}, names, table, onto_own=onto_own)
    partner = received.active.agreement.party(received.active.own_side.other).organisation
    fields = {name: chosen.get(name) or default_heading(partner, name) for name in names}
    _refuse_twice((table.contact_heading, *beside, *wanted), fields)
    rows = received.rows
    ids = (
        rows.contacts
        if isinstance(rows, OpenedRows)
        else pl.Series([own for own, _ in rows], dtype=pl.String)
    )
    return CampaignShape(
        layout=table.layout,
        contact=table.contact_heading,
        fields=fields,
        own=wanted,
        beside=beside,
        cells=table.cells(ids, (*beside, *wanted)),
        delimiter=rules.delimiter or table.definition.delimiter,
        mark=rules.mark,
    )


def default_heading(partner: str, name: str) -> str:
    """“Vélo Verde: loyalty_tier”; the partner chose its name, so it is made harmless to a spreadsheet."""
    return disarm(f"{partner.strip()}: {name}")


def _chosen(
    headings: Mapping[str, str], names: Collection[str], table: OwnTable, *, onto_own: bool
) -> dict[str, str]:
    taken = {
        form
        for heading in (*table.headings, *table.layout.always, *table.layout.marks, *table.layout.known)
        for form in _forms(heading)
    }
    chosen: dict[str, str] = {}
    for name, heading in headings.items():
        text = heading.strip()
        if name not in names:
            raise MutualsError(
                ErrorCode.USAGE,
                f"There is no field {name} in this export.",
                hint=f'Its fields are {", ".join(names)}: --heading {next(iter(names))}="{text or "Heading"}"',
            )
        if not text or len(text) > _MOST or deceptive_character(text) or disarm(text) != text:
            raise MutualsError(
                ErrorCode.USAGE,
                f"The heading for {name} cannot be used.",
                hint=f"One line of at most {_MOST} characters that no spreadsheet takes for a formula.",
            )
        if not onto_own and _forms(text) & taken:
            raise MutualsError(
                ErrorCode.USAGE,
                f"“{text}” is a column of your own ({table.layout.title}): an import would overwrite it with what the "
                f"partner sent as {name}.",
                hint="Choose another heading, or leave --heading out. Where that column is meant for this, say so with "
                "--onto-own.",
            )
        chosen[name] = text
    return chosen


def _forms(heading: str) -> set[str]:
    """How a CRM that assigns columns by their headings may see one: without case, spaces and punctuation."""
    bare = _PERSON.sub("", heading.strip(), count=1) if _PERSON.match(heading.strip()) else heading
    return {
        "".join(filter(str.isalnum, text.casefold())) or text.strip().casefold() for text in (heading, bare)
    }


def _refuse_twice(own: Sequence[str], fields: Mapping[str, str]) -> None:
    seen = {heading.strip().casefold() for heading in own}
    for name, heading in fields.items():
        if heading.casefold() in seen:
            raise MutualsError(
                ErrorCode.USAGE,
                f"The file would have two columns “{heading}”.",
                hint=f'Give the field another heading: --heading {name}="..."',
            )
        seen.add(heading.casefold())

"""``mutuals source add``: recognise a file, read it, remember where it is and what its columns mean."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import open_peer, result, say
from mutuals_client.stored_sources import definition_facts, definition_of, refuse_existing

if TYPE_CHECKING:
    from mutuals.sources.contacts import ContactTable
    from mutuals.sources.definition import SourceDefinition


def add(
    name: Annotated[str, typer.Argument(help="A name for it: lower-case letters, digits, - and _.")],
    *,
    path: Annotated[
        Path | None, typer.Option("--path", metavar="FILE", help="The file; read when needed, never copied.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Instead of a file, a database: postgresql://user@host/crm."),
    ] = None,
    db_table: Annotated[
        str | None,
        typer.Option("--table", metavar="NAME", help="The table or view to read from that database."),
    ] = None,
    query: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Or a file with the SELECT to read.")
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(metavar="NAME", help="The sheet of a workbook.", show_default="the first")
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(help="Whose export it is, where that is not told from the headings (docs/sources.md)."),
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar='COLUMN="HEADING"', help='A heading of your own, as in email="E-Mail Address".'
        ),
    ] = None,
    mapping_file: Annotated[
        Path | None,
        typer.Option(
            "--mapping", metavar="FILE", help="All of that in one file, as source map --save writes it."
        ),
    ] = None,
    no_objections: Annotated[
        str | None,
        typer.Option(
            metavar="REASON", help="Why a file without any opt-out column holds nobody who objected."
        ),
    ] = None,
    dates: Annotated[
        str | None,
        typer.Option(metavar="ORDER", help="How days are written: year-first, day-first or month-first."),
    ] = None,
    duplicates: Annotated[
        str | None,
        typer.Option(
            metavar="HOW", help="Rows with the same id: refuse, merge or leave-out.", show_default="refuse"
        ),
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="comma, semicolon or tab, where it is not told from the file.")
    ] = None,
    default_country: Annotated[
        str | None, typer.Option(metavar="CC", help="For phone numbers without a country code, as in DE.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the source of that name.")] = False,
) -> None:
    """Add a source: its export is recognised and read first; one that cannot be used is refused, and nothing is stored.

    Example: mutuals source add crm --path hubspot.csv
    """
    from rich.markup import escape

    from mutuals.consent.decision import standing_of
    from mutuals.sources import define_source, open_source, read_source
    from mutuals.sources.check import row_refusals, source_hints
    from mutuals.sources.consent_decision import keep_decision
    from mutuals.sources.detect import understand
    from mutuals.store.rows import SourceRow
    from mutuals_client.consent_words import standing_facts
    from mutuals_client.source_report import count_of, tell_refusals
    from mutuals_client.source_understood import tell_understood, understood_facts, wishes_of

    headings = _parse_mapping(mapping or [])
    wishes = wishes_of(headings, layout, no_objections, dates, duplicates, delimiter, mapping_file)
    wanted = define_source(
        name, _location(path, url), headings, default_country, "csv" if url is None else "sql"
    )
    wanted = _with_place(wanted, db_table, query, sheet)
    with open_peer() as peer:
        with peer.store.transaction() as tx:
            before = tx.sources.get(name)
            refuse_existing(before, name, replace)
        understood = understand(wanted, wishes)
        if before is not None:
            kept = keep_decision(definition_of(before), understood.definition)
            understood = dataclasses.replace(understood, definition=kept)
        definition = understood.definition
        fields = open_source(definition, fields=()).headings
        contacts = read_source(definition, fields=())
        refusals, hints = row_refusals(contacts), (*understood.hints, *source_hints(contacts))
        _refuse_useless(contacts, definition.path if path is None else path.name)
        with peer.store.transaction() as tx:
            refuse_existing(tx.sources.get(name), name, replace)
            tx.sources.put(SourceRow(name, definition.model_dump_json(), peer.clock()))
            standing = standing_of(tx, definition)
    if definition.mapping is not None and definition.mapping.consent is not None and not standing.holds:
        hints += (f"{standing.sentence} {standing.hint}",)
    usable, rejected = len(contacts.frame), len({fault.row for fault in contacts.rejected})
    tell_understood(understood)
    say(f"Added source [bold]{name}[/] with {count_of(usable, 'contact')}.")
    if contacts.merged:
        say(_merged(contacts))
    if rejected:
        say(f"{count_of(rejected, 'row')} cannot be used and will take no part.")
        tell_refusals(refusals)
        say("")
    say(*(f"[yellow]{escape(hint)}[/]" for hint in hints), f"See what is in it: mutuals source check {name}")
    result(
        source=definition_facts(definition),
        contacts=usable,
        rejected_rows=rejected,
        merged=[list(rows) for rows in contacts.merged[:_MERGED_SHOWN]],
        fields=list(fields),
        understood=understood_facts(understood),
        decision=standing_facts(standing),
        hints=hints,
    )


_MERGED_SHOWN = 1000


def _merged(contacts: ContactTable) -> str:
    shown = "; ".join(", ".join(map(str, rows)) for rows in contacts.merged[:10])
    more = "; …" if len(contacts.merged) > 10 else ""
    return f"Merged into one contact each: rows {shown}{more}."


def _location(path: Path | None, url: str | None) -> str:
    from mutuals.sources.formats.sql import database_url

    if (path is None) == (url is None):
        raise MutualsError(
            ErrorCode.USAGE,
            "A source is either a file or a database.",
            hint="Name it with --path FILE, or with --url URL and --table NAME.",
        )
    return database_url(url) if url is not None else str((path or Path()).expanduser().absolute())


def _with_place(
    definition: SourceDefinition, table: str | None, query: Path | None, sheet: str | None
) -> SourceDefinition:
    """``definition`` with what of a database or workbook is to be read."""
    of_database = table is not None or query is not None
    if of_database and definition.format != "sql":
        raise MutualsError(ErrorCode.USAGE, "--table and --query are of a database, named with --url.")
    if (table is None) == (query is None) and definition.format == "sql":
        raise MutualsError(ErrorCode.USAGE, "Of a database, either --table or --query says what to read.")
    text = None
    if query is not None:
        try:
            text = query.read_text(encoding="utf-8-sig")
        except (OSError, ValueError):
            raise MutualsError(ErrorCode.INPUT_QUALITY, f"{query.name} cannot be read as text.") from None
    return definition.model_copy(update={"table": table, "query": text, "sheet": sheet})


def _parse_mapping(pairs: list[str]) -> dict[str, str]:
    mapping: dict[str, str] = {}
    for pair in pairs:
        column, separator, heading = (part.strip() for part in pair.partition("="))
        if not separator or not column or not heading:
            raise MutualsError(
                ErrorCode.USAGE,
                f"“{pair}” does not map a column to a heading.",
                hint='Write it as --map email="E-Mail Address".',
            )
        if column in mapping:
            raise MutualsError(ErrorCode.USAGE, f"--map names {column} twice.")
        mapping[column] = heading
    return mapping


def _refuse_useless(contacts: ContactTable, file: str) -> None:
    """Refuse a file that has rows, none of which can be used; headings alone are a source to be filled."""
    from mutuals.sources.check import row_refusals
    from mutuals_client.source_report import count_of, refusal_clauses

    if contacts.rejected and contacts.frame.is_empty():
        rows = count_of(len({fault.row for fault in contacts.rejected}), "row")
        raise MutualsError(
            ErrorCode.INPUT_QUALITY,
            f"{file}: none of its {rows} can be used: {refusal_clauses(row_refusals(contacts))}.",
            hint="Correct the file, or map the column under another heading (docs/sources.md).",
        )

"""``mutuals source add``: recognise a file, read it, remember where it is and what its columns mean."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import open_peer, result, say
from mutuals_client.next_steps import say_setup
from mutuals_client.stored_sources import definition_facts, definition_of, lost_fields, refuse_existing

if TYPE_CHECKING:
    from mutuals.consent.decision import Standing
    from mutuals.peer import Peer
    from mutuals.sources.contacts import ContactTable
    from mutuals.sources.definition import SourceDefinition
    from mutuals.sources.mapping import ConsentDecision
    from mutuals.sources.mapping_file import SavedMapping
    from mutuals.sources.readers import OpenSource


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
            "--mapping",
            metavar="FILE",
            help="All of it in one file, as source map --save writes it, with the decision on consent.",
        ),
    ] = None,
    without_decision: Annotated[
        bool,
        typer.Option(
            "--without-decision", help="Leave out what that file says of consent; nobody consents by it."
        ),
    ] = False,
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
    from mutuals.consent.decision import decide, standing_of
    from mutuals.sources import define_source, open_source
    from mutuals.sources.check import source_hints
    from mutuals.sources.detect import understand
    from mutuals.store.rows import SourceRow
    from mutuals_client.consent_words import foreseen_facts, standing_facts
    from mutuals_client.source_decision import foresee_decision, require_signer, signing_keys
    from mutuals_client.source_understood import tell_understood, understood_facts, wishes_of

    headings = _parse_mapping(mapping or [])
    wishes = wishes_of(
        headings, layout, no_objections, dates, duplicates, delimiter, by_file=mapping_file is not None
    )
    saved = _saved(mapping_file, without_decision=without_decision)
    if saved is not None:
        separator = wishes.delimiter or saved.separator
        wishes = dataclasses.replace(wishes, mapping=saved.mapping, delimiter=separator)
        default_country, sheet = default_country or saved.default_country, sheet or saved.sheet
    wanted = define_source(
        name, _location(path, url), headings, default_country, "csv" if url is None else "sql"
    )
    wanted = _with_place(wanted, db_table, query, sheet)
    with open_peer() as peer:
        with peer.store.transaction() as tx:
            row = tx.sources.get(name)
            refuse_existing(row, name, replace)
        before = None if row is None else definition_of(row)
        if before is not None and saved is None and default_country is None:
            # Without it the numbers of the next export would be refused, and nobody told.
            wanted = wanted.model_copy(update={"default_country": before.default_country})
        decided = None if saved is None else saved.consent
        to_sign = decided is not None and not _stands(peer, before, wanted, saved)
        if to_sign and mapping_file is not None:
            require_signer(peer, mapping_file.name)
        understood = understand(wanted, wishes)
        definition = _decided(understood.definition, before, decided, to_sign=to_sign)
        source = open_source(definition, fields=())
        contacts = _rows(source)
        hints = (*understood.hints, *source_hints(contacts))
        hints += () if before is None else lost_fields(peer, definition)
        _refuse_useless(contacts, definition.path if path is None else path.name)
        understood = dataclasses.replace(understood, definition=definition)
        tell_understood(understood, mapping=not to_sign)
        foreseen = foresee_decision(peer, definition) if to_sign else None
        keys = signing_keys(peer) if to_sign else None
        with peer.store.transaction() as tx:
            refuse_existing(tx.sources.get(name), name, replace)
            tx.sources.put(SourceRow(name, definition.model_dump_json(), peer.clock()))
            if keys is not None:
                definition = decide(tx, definition, keys, peer.clock())
            standing = standing_of(tx, definition)
    if definition.mapping is not None and definition.mapping.consent is not None and not standing.holds:
        hints += (f"{standing.sentence} {standing.hint}",)
    _tell_added(name, contacts, standing, hints)
    result(
        source=definition_facts(definition),
        contacts=len(contacts.frame),
        rejected_rows=len({fault.row for fault in contacts.rejected}),
        merged=[list(rows) for rows in contacts.merged[:_MERGED_SHOWN]],
        fields=list(source.headings),
        understood=understood_facts(understood),
        decision=standing_facts(standing),
        foreseen=None if foreseen is None else foreseen_facts(foreseen),
        hints=hints,
    )


_MERGED_SHOWN = 1000


def _rows(source: OpenSource) -> ContactTable:
    """All of ``source`` read, its contacts kept as their row numbers only: millions cost 4 bytes each."""
    import polars as pl

    read = [dataclasses.replace(batch, frame=batch.frame.select("row")) for batch in source]
    return dataclasses.replace(
        read[0],
        frame=pl.concat([batch.frame for batch in read]),
        rejected=tuple(fault for batch in read for fault in batch.rejected),
        merged=tuple(rows for batch in read for rows in batch.merged),
    )


def _saved(file: Path | None, *, without_decision: bool) -> SavedMapping | None:
    """What that file says; nothing of consent if that is left out. Raises MutualsError (INPUT_QUALITY, USAGE)."""
    from mutuals.sources.mapping_file import read_mapping

    if file is not None:
        saved = read_mapping(file.expanduser())
        return saved.model_copy(update={"consent": None}) if without_decision else saved
    if without_decision:
        raise MutualsError(ErrorCode.USAGE, "--without-decision goes with --mapping FILE.")
    return None


def _tell_added(name: str, contacts: ContactTable, standing: Standing, hints: tuple[str, ...]) -> None:
    from rich.markup import escape

    from mutuals.sources.check import row_refusals
    from mutuals_client.source_report import count_of, tell_refusals

    say(f"Added source [bold]{name}[/] with {count_of(len(contacts.frame), 'contact')}.")
    if standing.by is not None:
        say(escape(standing.sentence))
    if contacts.merged:
        say(_merged(contacts))
    rejected = len({fault.row for fault in contacts.rejected})
    if rejected:
        say(f"{count_of(rejected, 'row')} cannot be used and will take no part.")
        tell_refusals(row_refusals(contacts))
        say("")
    say(*(f"[yellow]{escape(hint)}[/]" for hint in hints))
    say_setup((f"mutuals source check {name}", "see what is in it: what can be used, and what cannot"))


def _stands(
    peer: Peer, before: SourceDefinition | None, wanted: SourceDefinition, saved: SavedMapping | None
) -> bool:
    """Whether the source has that very mapping already, with the decision signed: then nobody need sign it again."""
    from mutuals_client.source_decision import stands_already

    if saved is None:
        return False
    mapping = saved.mapping.model_copy(update={"consent": saved.consent})
    with peer.store.transaction() as tx:
        return stands_already(tx, before, wanted.model_copy(update={"mapping": mapping}))


def _decided(
    definition: SourceDefinition,
    before: SourceDefinition | None,
    decided: ConsentDecision | None,
    *,
    to_sign: bool,
) -> SourceDefinition:
    """``definition`` with the decision that is ``to_sign``, or with the one taken ``before`` where it is on the same.

    Raises MutualsError (INPUT_QUALITY) where the file lacks a column of a decision that need not be signed again.
    """
    from mutuals.sources.consent_decision import keep_decision, mapping_of, with_decision
    from mutuals.sources.mapped import require_headings
    from mutuals.sources.tables import open_rows

    if to_sign:
        return with_decision(definition, decided)
    kept = definition if before is None else keep_decision(before, definition)
    if decided is not None and mapping_of(kept).consent is None:
        require_headings(open_rows(definition), mapping_of(with_decision(definition, decided)))
    return kept


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

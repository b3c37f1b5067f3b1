"""``mutuals source map``: what the columns of a source mean, and the decision which of them grant consent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import SETTINGS, confirm, interactive, open_peer, result, say
from mutuals_client.stored_sources import definition_facts, definition_of, find_source

if TYPE_CHECKING:
    from mutuals.sources.definition import SourceDefinition
    from mutuals.sources.mapping import ConsentDecision, DateOrder


def map_source(
    name: Annotated[str, typer.Argument(help="The source's name.")],
    *,
    show: Annotated[bool, typer.Option("--show", help="Only show what each column is taken for.")] = False,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it to a file, to correct it or to use it elsewhere."),
    ] = None,
    mapping_file: Annotated[
        Path | None,
        typer.Option("--mapping", metavar="FILE", help="Take all of it from such a file, corrected."),
    ] = None,
    without_decision: Annotated[
        bool,
        typer.Option(
            "--without-decision", help="Leave out what that file says of consent; nobody consents by it."
        ),
    ] = False,
    grant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PURPOSE:HEADING=VALUE,…", help="Which values of which column grant which purpose."
        ),
    ] = None,
    given_at: Annotated[
        str | None, typer.Option(metavar="HEADING", help="The column with the day it was granted.")
    ] = None,
    given_on: Annotated[
        str | None, typer.Option(metavar="DAY", help="Or one day for all: 2026-01-31.")
    ] = None,
    notified_at: Annotated[
        str | None, typer.Option(metavar="HEADING", help="The column with the day of the notice.")
    ] = None,
    notified_on: Annotated[
        str | None, typer.Option(metavar="DAY", help="Or one day for all: 2026-01-31.")
    ] = None,
    consent_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A register of consent: contact id, purpose, status, date."),
    ] = None,
    consent_column: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=HEADING", help="Its own heading for contact_id, purpose, status, date."),
    ] = None,
    granted: Annotated[
        str | None, typer.Option(metavar="VALUE,…", help="Which status in it means yes; any other is a no.")
    ] = None,
    decision: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The whole decision in one TOML file.")
    ] = None,
    nobody: Annotated[
        bool, typer.Option("--nobody", help="Decide that nothing in it grants consent.")
    ] = False,
    dates: Annotated[
        str | None,
        typer.Option(metavar="ORDER", help="How days are written: year-first, day-first or month-first."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why this counts as consent; kept with the decision.")] = "",
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Count whom it makes consenting; sign nothing.")
    ] = False,
) -> None:
    """Decide once which columns of a source grant consent to what; until then nobody has consented.

    Shows the columns that are not used yet, asks, counts whom that makes consenting, and has a steward or privacy
    officer sign it. A new decision replaces the one before.
    Example: mutuals source map crm --grant joint-marketing:"Sharing consent"=Yes --given-at "Consent date"
    """
    from mutuals.consent.decision import standing_of
    from mutuals.sources.consent_columns import candidate_columns
    from mutuals.sources.consent_decision import mapping_of
    from mutuals_client.consent_questions import ask_decision
    from mutuals_client.consent_words import (
        DecisionWords,
        candidate_facts,
        decision_from,
        standing_facts,
        tell_candidates,
        tell_standing,
    )
    from mutuals_client.source_decision import correct, settle
    from mutuals_client.source_understood import tell_mapping

    words = DecisionWords(
        grants=tuple(grant or ()),
        given_at=given_at,
        given_on=given_on,
        notified_at=notified_at,
        notified_on=notified_on,
        register=consent_file,
        register_columns=tuple(consent_column or ()),
        granted=granted,
        file=decision,
        nobody=nobody,
        reason=reason.strip(),
    )
    _refuse_mixed(words.said, mapping_file, dates, looking=show or save is not None, without=without_decision)
    with open_peer() as peer:
        definition = definition_of(find_source(peer, name))
        if mapping_file is not None:
            correct(peer, definition, mapping_file, without_decision=without_decision, dry_run=dry_run)
            return
        mapping = mapping_of(definition)
        if words.said:
            changed = _dated(definition, dates)
            decided = decision_from(words, _headings(changed), mapping_of(changed).dates)
            settle(peer, definition, _proposed(changed, decided), dry_run=dry_run)
            return
        with peer.store.transaction() as tx:
            standing = standing_of(tx, definition)
        if show or save is not None:
            _show_or_save(definition, save, show=show)
            result(
                source=definition_facts(definition),
                file=None if save is None else str(save),
                decision=standing_facts(standing),
            )
            return
        changed = _dated(definition, dates)
        candidates = candidate_columns(changed, mapping_of(changed))
        tell_mapping(mapping)
        tell_standing(standing)
        tell_candidates(candidates)
        if interactive() and not SETTINGS.yes and confirm("Decide now what grants consent?"):
            decided = ask_decision(candidates, _headings(changed), mapping_of(changed).dates)
            settle(peer, definition, _proposed(changed, decided), dry_run=dry_run)
            return
        result(
            source=definition_facts(definition),
            file=None,
            decision=standing_facts(standing),
            candidates=[candidate_facts(candidate) for candidate in candidates],
        )


def _refuse_mixed(
    said: bool, mapping_file: Path | None, dates: str | None, *, looking: bool, without: bool
) -> None:
    """Refuse options that say different things to do. Raises MutualsError (USAGE)."""
    if looking and (said or mapping_file is not None):
        raise MutualsError(ErrorCode.USAGE, "--show and --save go without a decision.")
    if mapping_file is not None and (said or dates is not None):
        raise MutualsError(
            ErrorCode.USAGE, "--mapping says all of it, the decision too.", hint="Write it into that file."
        )
    if without and mapping_file is None:
        raise MutualsError(ErrorCode.USAGE, "--without-decision goes with --mapping FILE.")


def _proposed(definition: SourceDefinition, decided: ConsentDecision) -> SourceDefinition:
    from mutuals.sources.consent_decision import unsigned, with_decision

    return with_decision(definition, unsigned(decided))


def _headings(definition: SourceDefinition) -> tuple[str, ...]:
    from mutuals.sources.tables import open_rows

    return open_rows(definition).headings


def _dated(definition: SourceDefinition, dates: str | None) -> SourceDefinition:
    """``definition`` with that order of days."""
    from mutuals.sources.consent_decision import mapping_of
    from mutuals.sources.mapping import DateOrder

    if dates is None:
        return definition
    orders: tuple[DateOrder, ...] = get_args(DateOrder)
    if dates not in orders:
        raise MutualsError(
            ErrorCode.USAGE, f"“{dates}” is no order of dates.", hint=f"It is one of {', '.join(orders)}."
        )
    mapping = mapping_of(definition).model_copy(update={"dates": dates})
    return definition.model_copy(update={"mapping": mapping})


def _show_or_save(definition: SourceDefinition, save: Path | None, *, show: bool) -> None:
    from mutuals.sources.consent_decision import mapping_of
    from mutuals.sources.mapping_file import mapping_toml, saved_mapping
    from mutuals_client.source_understood import tell_mapping

    if show:
        tell_mapping(mapping_of(definition))
    if save is None:
        return
    try:
        with save.open("x", encoding="utf-8") as file:
            file.write(mapping_toml(saved_mapping(definition)))
    except OSError as error:
        why = "is there already" if isinstance(error, FileExistsError) else "cannot be written"
        raise MutualsError(ErrorCode.USAGE, f"{save} {why}.", hint="Choose another file.") from None
    say(f"Saved to {save.name}. Use it: mutuals source add NAME --path FILE --mapping {save.name}")

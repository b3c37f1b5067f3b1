"""``mutuals source map``: what the columns of a source mean, and the decision which of them grant consent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import SETTINGS, confirm, interactive, open_peer, result, say
from mutuals_client.stored_sources import definition_facts, definition_of, find_source

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.sources.definition import SourceDefinition
    from mutuals.sources.mapping import ConsentDecision, DateOrder, SourceMapping
    from mutuals_client.consent_words import DecisionWords

_ACT = "decide what grants consent"


def map_source(
    name: Annotated[str, typer.Argument(help="The source's name.")],
    *,
    show: Annotated[bool, typer.Option("--show", help="Only show what each column is taken for.")] = False,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it to a file, to correct it or to use it elsewhere."),
    ] = None,
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
    from mutuals_client.consent_words import (
        DecisionWords,
        ask_decision,
        candidate_facts,
        decision_from,
        standing_facts,
        tell_candidates,
        tell_standing,
    )
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
    with open_peer() as peer:
        definition = definition_of(find_source(peer, name))
        mapping = mapping_of(definition)
        if words.said:
            if show or save is not None:
                raise MutualsError(ErrorCode.USAGE, "--show and --save go without a decision.")
            changed = _dated(definition, dates)
            decided = decision_from(words, _headings(changed), mapping_of(changed).dates)
            _settle(peer, definition, changed, decided, words, dry_run=dry_run)
            return
        with peer.store.transaction() as tx:
            standing = standing_of(tx, definition)
        if show or save is not None:
            _show_or_save(mapping, save, show=show)
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
            decided = ask_decision(candidates, _headings(changed))
            _settle(peer, definition, changed, decided, words, dry_run=dry_run)
            return
        result(
            source=definition_facts(definition),
            file=None,
            decision=standing_facts(standing),
            candidates=[candidate_facts(candidate) for candidate in candidates],
        )


def _settle(
    peer: Peer,
    stored: SourceDefinition,
    changed: SourceDefinition,
    decided: ConsentDecision,
    words: DecisionWords,
    *,
    dry_run: bool,
) -> None:
    """Check the decision, count what it does and, unless it is a dry run, have it signed."""
    from mutuals.consent.decision import DECIDE_ROLES, decide, standing_of
    from mutuals.sources.consent_decision import check_decision, foresee, mapping_of, unsigned, with_decision
    from mutuals_client.consent_words import foreseen_facts, standing_facts, tell_foreseen, tell_standing
    from mutuals_client.session import require_acting, unlock_operator
    from mutuals_client.source_understood import tell_mapping

    if not dry_run:
        require_acting(peer, DECIDE_ROLES, _ACT)
    today = peer.clock().date()
    proposed = with_decision(changed, unsigned(decided))
    if not words.nobody:
        check_decision(proposed, today)
    foreseen = foresee(proposed, today)
    tell_mapping(mapping_of(proposed))
    say("")
    tell_foreseen(foreseen)
    if dry_run:
        say("Nothing was signed.")
        result(source=definition_facts(proposed), foreseen=foreseen_facts(foreseen), dry_run=True)
        return
    if not confirm("Sign this as your decision?"):
        raise MutualsError(ErrorCode.USAGE, "Nothing was signed.")
    keys = unlock_operator(peer, roles=DECIDE_ROLES, act=_ACT)
    with peer.store.transaction() as tx:
        row = tx.sources.get(stored.name)
        if row is None or definition_of(row) != stored:
            raise MutualsError(
                ErrorCode.USAGE,
                f"Source {stored.name} was changed meanwhile; nothing was signed.",
                hint=f"Look again: mutuals source map {stored.name}",
            )
        signed = decide(tx, proposed, keys, peer.clock())
        standing = standing_of(tx, signed)
    tell_standing(standing)
    result(
        source=definition_facts(signed),
        decision=standing_facts(standing),
        foreseen=foreseen_facts(foreseen),
        dry_run=False,
    )


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


def _show_or_save(mapping: SourceMapping, save: Path | None, *, show: bool) -> None:
    from mutuals.sources.mapping_file import mapping_toml
    from mutuals_client.source_understood import tell_mapping

    if show:
        tell_mapping(mapping)
    if save is None:
        return
    try:
        with save.open("x", encoding="utf-8") as file:
            file.write(mapping_toml(mapping))
    except OSError as error:
        why = "is there already" if isinstance(error, FileExistsError) else "cannot be written"
        raise MutualsError(ErrorCode.USAGE, f"{save} {why}.", hint="Choose another file.") from None
    say(f"Saved to {save.name}. Use it: mutuals source add NAME --path FILE --mapping {save.name}")

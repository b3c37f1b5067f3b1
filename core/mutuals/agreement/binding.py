"""Binding an agreement to what this side has: a source whose columns hold the fields it sends, engine and profile."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Agreement, Side

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.sources import SourceDefinition


def bind_source(
    peer: Peer, agreement: Agreement, side: Side, source: str, mapping: dict[str, str]
) -> dict[str, str]:
    """The full mapping field → heading under which ``side`` (this one) sends from the source of that name.

    ``mapping`` may leave out fields that have a column of their own name. Reads the source, so that a bad one is
    found now and not at the first match. Raises MutualsError: USAGE for an unknown source or a mapped field that is
    not sent, INPUT_QUALITY for an unusable source or a field it does not have.
    """
    from mutuals.sources.readers import read_through

    fields = read_through(source_definition(peer, source)).headings
    return map_fields(agreement, side, source, fields, mapping)


def source_definition(peer: Peer, source: str) -> SourceDefinition:
    """The own source of that name, without a decision on consent that does not stand. Raises MutualsError (USAGE)."""
    from mutuals.consent.decision import decided_definition

    definition = None
    with peer.store.transaction() as tx:
        row = tx.sources.get(source)
        known = [other.name for other in tx.sources.list()]
        if row is not None:
            definition = decided_definition(tx, row)
    if definition is None:
        raise MutualsError(
            ErrorCode.USAGE,
            f"There is no source named {source!r}.",
            hint=f"Yours: {', '.join(known)}." if known else "Add one: mutuals source add NAME --path FILE",
        )
    return definition


def map_fields(
    agreement: Agreement, side: Side, source: str, headings: tuple[str, ...], mapping: dict[str, str]
) -> dict[str, str]:
    """The full mapping of every field ``side`` sends onto ``headings``; raises as ``bind_source`` does."""
    sent = [field.name for field in agreement.sends(side)]
    stray = sorted(set(mapping) - set(sent))
    if stray:
        raise MutualsError(
            ErrorCode.USAGE,
            f"--map names {stray[0]!r}, which is not a field you send under this agreement.",
            hint=f"You send: {', '.join(sent)}." if sent else "You send no fields.",
        )
    full = {name: mapping.get(name, name) for name in sent}
    missing = [name for name, heading in full.items() if heading not in headings]
    if missing:
        raise MutualsError(
            ErrorCode.INPUT_QUALITY,
            _missing_sentence(agreement, side, source, full, missing),
            hint=_missing_hint(source, {name: full[name] for name in missing}, headings),
        )
    return full


def _missing_sentence(
    agreement: Agreement, side: Side, source: str, full: dict[str, str], missing: list[str]
) -> str:
    sent = [field.name for field in agreement.sends(side)]
    key = f"{side.value}_sends[{sent.index(missing[0]) + 1}].name"
    column = full[missing[0]]
    rest = f" Also missing: {', '.join(repr(full[name]) for name in missing[1:10])}." if missing[1:] else ""
    return (
        f"{key}: field {missing[0]!r} needs a column {column!r}, which source {source!r} does not have.{rest}"
    )


def _missing_hint(source: str, missing: dict[str, str], headings: tuple[str, ...]) -> str:
    """What to type for the fields in ``missing``, each with the heading that it lacks."""
    close = {field: _closest(heading, headings) for field, heading in missing.items()}
    meant = [f"--map {field}={heading!r}" for field, heading in close.items() if heading is not None]
    unknown = next((field for field, heading in close.items() if heading is None), None)
    if unknown is None:
        return f"Did you mean {' '.join(meant)}?"
    if headings:
        also = f" And perhaps {' '.join(meant)}?" if meant else ""
        return (
            f"Columns of {source!r}: {', '.join(headings[:20])}. Name one with --map {unknown}=HEADING.{also}"
        )
    return f"Source {source!r} has no columns besides those for matching."


def _closest(heading: str, headings: tuple[str, ...]) -> str | None:
    """The one of ``headings`` that holds all words of ``heading``, or else is spelt most like it."""
    words = _words(heading)
    whole = [one for one in headings if words and words <= _words(one)]
    if len(whole) == 1:
        return whole[0]
    close = difflib.get_close_matches(heading, whole or headings, n=1, cutoff=0.5)
    return close[0] if close else None


def _words(heading: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", heading.casefold()))


def check_available(agreement: Agreement) -> None:
    """Refuse an agreement that this installation could not carry out, or would carry out differently.

    Raises MutualsError: ENGINE_MISMATCH or USAGE for an engine or profile it lacks, PROFILE_MISMATCH where the
    profile of that name has other rules than the agreement names.
    """
    from mutuals.agreement.template import DEFAULT_ENGINE
    from mutuals.engines import engine_names, get_engine
    from mutuals.normalisation import get_profile

    matching = agreement.matching
    try:
        get_engine(matching.engine)
    except MutualsError as error:
        # Known, but not on this machine: found out now, and not when both have signed and the first match fails.
        instead = f'Agree on engine = "{DEFAULT_ENGINE}", which runs everywhere.'
        known = matching.engine in engine_names() and matching.engine != DEFAULT_ENGINE
        raise MutualsError(
            error.code, error.message, hint=f"{error.hint} {instead}" if known else error.hint
        ) from error
    if get_profile(matching.profile).rules_digest().hex() != matching.profile_digest:
        raise MutualsError(
            ErrorCode.PROFILE_MISMATCH,
            f"matching.profile_digest: profile {matching.profile!r} has other rules here than the agreement names.",
            hint="Both sides need the same release of mutuals.",
        )

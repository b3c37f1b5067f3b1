"""A decision on what grants consent, as the commands take it: shown, counted, signed, and stored with its mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import confirm, result, say
from mutuals_client.next_steps import Step, say_next, setup_steps
from mutuals_client.stored_sources import definition_facts, definition_of, lost_fields

if TYPE_CHECKING:
    from pathlib import Path

    from mutuals.identity.operators import OperatorKeys
    from mutuals.peer import Peer
    from mutuals.sources.consent_decision import Foreseen
    from mutuals.sources.definition import SourceDefinition
    from mutuals.store.database import Transaction

ACT = "decide what grants consent"
_LEFT_OUT = "add --without-decision: nobody consents until somebody decides with mutuals source map"


def require_signer(peer: Peer, file: str | None = None) -> None:
    """Refuse who may not decide, before anything is read or asked; ``file`` is the mapping that holds the decision.

    Raises MutualsError: USAGE where it is not clear who acts, NOT_ENTITLED.
    """
    from mutuals.consent.decision import DECIDE_ROLES
    from mutuals_client.session import require_acting

    try:
        require_acting(peer, DECIDE_ROLES, ACT)
    except MutualsError as error:
        if file is None:
            raise
        why = f"{file} holds a decision on consent, which somebody has to sign. {error.message}"
        raise MutualsError(
            error.code, why, hint=f"{error.hint or 'Name who signs.'} Or {_LEFT_OUT}"
        ) from None


def foresee_decision(peer: Peer, proposed: SourceDefinition) -> Foreseen:
    """What the decision in ``proposed`` does, said too. Raises MutualsError where it could not be meant."""
    from mutuals.sources.consent_decision import check_decision, foresee, mapping_of
    from mutuals_client.consent_words import tell_foreseen
    from mutuals_client.source_understood import tell_mapping

    today = peer.clock().date()
    check_decision(proposed, today)
    foreseen = foresee(proposed, today)
    tell_mapping(mapping_of(proposed))
    say("")
    tell_foreseen(foreseen)
    return foreseen


def signing_keys(peer: Peer) -> OperatorKeys:
    """The keys of whoever confirms. Raises MutualsError: USAGE without a yes, NOT_ENTITLED."""
    from mutuals.consent.decision import DECIDE_ROLES
    from mutuals_client.session import unlock_operator

    if not confirm("Sign this as your decision?"):
        raise MutualsError(ErrorCode.USAGE, "Nothing was signed.")
    return unlock_operator(peer, roles=DECIDE_ROLES, act=ACT)


def stands_already(tx: Transaction, before: SourceDefinition | None, proposed: SourceDefinition) -> bool:
    """Whether what ``proposed`` says, decision and all, is what somebody signed on the source as it is."""
    from mutuals.consent.decision import DecisionState, standing_of
    from mutuals.sources.consent_decision import decision_digest

    if before is None or before.mapping is None:
        return False
    same = decision_digest(before) == decision_digest(proposed)
    return same and standing_of(tx, before).state is DecisionState.STANDS


def settle(
    peer: Peer,
    stored: SourceDefinition,
    proposed: SourceDefinition,
    *,
    dry_run: bool,
    file: str | None = None,
) -> None:
    """Check the decision in ``proposed``, count what it does and, unless it is a dry run, have it signed and stored."""
    from mutuals.consent.decision import decide, standing_of
    from mutuals_client.consent_words import foreseen_facts, standing_facts, tell_standing

    if not dry_run:
        require_signer(peer, file)
    foreseen = foresee_decision(peer, proposed)
    hints = lost_fields(peer, proposed)
    _tell_hints(hints)
    if dry_run:
        say("Nothing was signed.")
        facts = foreseen_facts(foreseen)
        result(source=definition_facts(proposed), foreseen=facts, hints=hints, dry_run=True)
        return
    keys = signing_keys(peer)
    with peer.store.transaction() as tx:
        _refuse_changed(tx, stored)
        signed = decide(tx, proposed, keys, peer.clock())
        standing = standing_of(tx, signed)
    tell_standing(standing)
    say_next(*_check_it(signed), *setup_steps(peer))
    result(
        source=definition_facts(signed),
        decision=standing_facts(standing),
        foreseen=foreseen_facts(foreseen),
        hints=hints,
        dry_run=False,
    )


def _check_it(signed: SourceDefinition) -> list[Step]:
    """To see whom the decision lets take part."""
    consent = signed.mapping.consent if signed.mapping is not None else None
    purpose = f" --purpose {consent.grants[0].purpose}" if consent is not None and consent.grants else ""
    return [
        (f"mutuals source check {signed.name}{purpose}", "see who could take part, and why the others cannot")
    ]


def correct(
    peer: Peer, stored: SourceDefinition, file: Path, *, without_decision: bool, dry_run: bool
) -> None:
    """Put the mapping in ``file`` in place of the one of ``stored``, with its decision on consent, which is signed.

    Raises MutualsError: INPUT_QUALITY for the file, USAGE where it would end a decision without saying so.
    """
    from mutuals.consent.decision import standing_of
    from mutuals.sources.consent_decision import with_decision
    from mutuals.sources.detect import Wishes, understand
    from mutuals.sources.mapping_file import read_mapping
    from mutuals_client.consent_words import standing_facts, tell_standing
    from mutuals_client.source_understood import tell_mapping

    saved = read_mapping(file.expanduser())
    wanted = stored.model_copy(
        update={
            "mapping": None,
            "columns": {},
            "default_country": saved.default_country,
            "sheet": saved.sheet,
        }
    )
    changed = understand(wanted, Wishes(mapping=saved.mapping, delimiter=saved.separator)).definition
    decided = None if without_decision else saved.consent
    if decided is None:
        changed = _kept(stored, changed, file.name, without_decision=without_decision)
    elif not _stands(peer, stored, with_decision(changed, decided)):
        settle(peer, stored, with_decision(changed, decided), dry_run=dry_run, file=file.name)
        return
    else:
        changed = with_decision(changed, None if stored.mapping is None else stored.mapping.consent)
    hints = lost_fields(peer, changed)
    with peer.store.transaction() as tx:
        _refuse_changed(tx, stored)
        row = tx.sources.get(stored.name)
        if row is not None and not dry_run:
            tx.sources.put(type(row)(row.name, changed.model_dump_json(), row.added_at))
        standing = standing_of(tx, changed)
    if changed.mapping is not None:
        tell_mapping(changed.mapping)
    _tell_hints(hints)
    tell_standing(standing)
    if dry_run:
        say("Nothing was changed.")
    facts: dict[str, Any] = {"source": definition_facts(changed), "decision": standing_facts(standing)}
    result(**facts, hints=hints, dry_run=dry_run)


def _kept(
    stored: SourceDefinition, changed: SourceDefinition, file: str, *, without_decision: bool
) -> SourceDefinition:
    """``changed`` with the decision on ``stored`` where it is on the same mapping."""
    from mutuals.sources.consent_decision import keep_decision

    if without_decision or stored.mapping is None or stored.mapping.consent is None:
        return changed
    kept = keep_decision(stored, changed)
    if kept is changed:
        raise MutualsError(
            ErrorCode.USAGE,
            f"{file} says nothing of consent, and the decision on source {stored.name} is on another mapping.",
            hint=f"Write [consent] into it, as source map {stored.name} --save does, or {_LEFT_OUT}",
        )
    return kept


def _stands(peer: Peer, stored: SourceDefinition, proposed: SourceDefinition) -> bool:
    with peer.store.transaction() as tx:
        return stands_already(tx, stored, proposed)


def _refuse_changed(tx: Transaction, stored: SourceDefinition) -> None:
    row = tx.sources.get(stored.name)
    if row is None or definition_of(row) != stored:
        raise MutualsError(
            ErrorCode.USAGE,
            f"Source {stored.name} was changed meanwhile; nothing was signed.",
            hint=f"Look again: mutuals source map {stored.name}",
        )


def _tell_hints(hints: tuple[str, ...]) -> None:
    from rich.markup import escape

    say(*(f"[yellow]{escape(hint)}[/]" for hint in hints))

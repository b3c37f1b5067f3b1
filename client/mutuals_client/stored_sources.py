"""The sources of a peer as the commands look them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.sources.definition import SourceDefinition
    from mutuals.store.rows import SourceRow


def find_source(peer: Peer, name: str) -> SourceRow:
    """The source of this name. Raises MutualsError (USAGE) where there is none."""
    with peer.store.transaction() as tx:
        row = tx.sources.get(name)
        known = [other.name for other in tx.sources.list()]
    if row is None:
        raise MutualsError(
            ErrorCode.USAGE,
            f"There is no source named “{name}”.",
            hint=f"Yours: {', '.join(known)}." if known else "Add one: mutuals source add NAME --path FILE",
        )
    return row


def refuse_existing(row: SourceRow | None, name: str, replace: bool) -> None:
    """Raise MutualsError (USAGE) where there is a source of that name which is not to be replaced."""
    if row is not None and not replace:
        raise MutualsError(
            ErrorCode.USAGE,
            f"There is a source {name} already.",
            hint="Choose another name, or add --replace.",
        )


def definition_of(row: SourceRow) -> SourceDefinition:
    """What a row of the store says of a source."""
    from mutuals.sources.definition import SourceDefinition

    return SourceDefinition.model_validate_json(row.definition)


def definition_facts(definition: SourceDefinition) -> dict[str, object]:
    """The same as JSON values."""
    return definition.model_dump(mode="json")


def lost_fields(peer: Peer, definition: SourceDefinition) -> tuple[str, ...]:
    """A sentence for each agreement, not yet over, that sends a field which ``definition`` does not have (any more).

    Raises MutualsError (INPUT_QUALITY) where the source cannot be read.
    """
    from mutuals.models.agreement import AgreementState
    from mutuals.sources import open_source

    using = (AgreementState.DRAFT, AgreementState.PROPOSED, AgreementState.ACTIVE, AgreementState.SUSPENDED)
    with peer.store.transaction() as tx:
        bound = [r for r in tx.agreements.list() if r.source == definition.name and r.state in using]
    if not bound:
        return ()
    there = set(open_source(definition, fields=()).headings)
    lost = {row.agreement_id: sorted(set(row.mapping.values()) - there) for row in bound}
    return tuple(
        f"Agreement {agreement} sends {', '.join(f'“{name}”' for name in names)}, which is no field of source "
        f"{definition.name} now: its exchange is refused until the mapping or the agreement is changed."
        for agreement, names in lost.items()
        if names
    )

"""``mutuals source``: name the files contacts are read from, and see what is in them before anything is
shared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.commands import source_add, source_map
from mutuals_client.console import (
    Command,
    ListingGroup,
    OperatorCommand,
    confirm,
    open_peer,
    result,
    say,
    stderr,
    table,
)
from mutuals_client.next_steps import say_setup
from mutuals_client.stored_sources import definition_facts, definition_of, find_source

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.sources.check import ParticipationRule

DEFAULT_PROFILE = "uid2-v1"
Name = Annotated[str, typer.Argument(help="The source's name.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(cls=ListingGroup, help="Name the files your contacts are read from, and check them.")
    group.command("add", cls=OperatorCommand)(source_add.add)
    group.command("map", cls=OperatorCommand)(source_map.map_source)
    group.command("list", cls=Command)(list_sources)
    group.command("show", cls=Command)(show)
    group.command("check", cls=Command)(check)
    group.command("remove", cls=Command)(remove)
    app.add_typer(group, name="source")


def list_sources() -> None:
    """List the sources.

    Example: mutuals source list
    """
    with open_peer() as peer, peer.store.transaction() as tx:
        definitions = [definition_of(row) for row in tx.sources.list()]
    if definitions:
        rows = [(d.name, d.format, d.default_country or "", d.path) for d in definitions]
        table(None, ("Source", "Format", "Country", "File"), rows)
    else:
        say("No sources yet. Add one: mutuals source add NAME --path FILE")
    result(sources=[definition_facts(definition) for definition in definitions])


def show(name: Name) -> None:
    """Show where a source is, how its columns are mapped, and which agreements use it.

    Example: mutuals source show crm
    """
    from rich.markup import escape

    from mutuals.consent.decision import standing_of
    from mutuals_client.consent_words import standing_facts, tell_standing
    from mutuals_client.source_understood import tell_mapping

    with open_peer() as peer:
        definition = definition_of(find_source(peer, name))
        agreements = _bound_agreements(peer, name)
        with peer.store.transaction() as tx:
            standing = standing_of(tx, definition)
    say(f"{'source':>16}  {definition.name}", f"{'file':>16}  {escape(definition.path)}")
    say(
        f"{'format':>16}  {definition.format}",
        f"{'default country':>16}  {definition.default_country or 'none'}",
    )
    for column, heading in definition.columns.items():
        say(f"{column:>16}  is the column “{escape(heading)}”")
    if definition.mapping is not None:
        tell_mapping(definition.mapping)
        tell_standing(standing)
    say(f"{'used by':>16}  {', '.join(agreements) or 'no agreement'}")
    result(source=definition_facts(definition), agreements=agreements, decision=standing_facts(standing))


def remove(name: Name) -> None:
    """Forget a source. The file stays as it is.

    Example: mutuals source remove crm
    """
    with open_peer() as peer:
        find_source(peer, name)
        agreements = _bound_agreements(peer, name)
        if agreements and not confirm(
            f"{', '.join(agreements)} cannot be matched or exchanged without {name}. Remove it?"
        ):
            raise MutualsError(ErrorCode.USAGE, f"Source {name} was kept.")
        with peer.store.transaction() as tx:
            tx.sources.remove(name)
    say(f"Removed source {name}. Its file is untouched.")
    result(removed=name, agreements=agreements)


def check(
    name: Name,
    *,
    agreement: Annotated[
        str | None, typer.Option(metavar="ID", help="Count who takes part under this agreement.")
    ] = None,
    purpose: Annotated[str | None, typer.Option(help="Count who granted this purpose.")] = None,
    max_age_days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="How old that consent may be.", show_default="730")
    ] = None,
    notice: Annotated[
        bool | None,
        typer.Option(
            "--notice/--no-notice", help="Whether notice must have been given.", show_default="notice"
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="Normalisation profile: uid2-v1, strict-v1, google-v1 or meta-v1.",
            show_default=f"the agreement's, or {DEFAULT_PROFILE}",
        ),
    ] = None,
) -> None:
    """Read a source and tell what is usable, what is not and why, and who could take part. Nothing leaves the
    house.

    Example: mutuals source check crm --agreement A-7Q3K2M9X
    """
    from mutuals.consent import mark_withdrawn
    from mutuals.consent.decision import decided_definition, standing_of
    from mutuals.normalisation import get_profile
    from mutuals.sources import read_source
    from mutuals.sources.check import check_source
    from mutuals_client.consent_words import standing_facts, tell_standing
    from mutuals_client.source_report import check_facts, tell_check

    rule, agreed_profile, agreement_id, digest, agreed_days = None, None, None, None, None
    with open_peer() as peer:
        row = find_source(peer, name)
        with peer.store.transaction() as tx:
            definition, standing = decided_definition(tx, row), standing_of(tx, definition_of(row))
        today = peer.clock().date()
        if agreement is not None:
            if (purpose, max_age_days, notice) != (None, None, None):
                raise MutualsError(
                    ErrorCode.USAGE,
                    "--agreement brings its own consent rule.",
                    hint="Leave out --purpose, --max-age-days and --notice, or leave out --agreement.",
                )
            rule, agreed_profile, agreement_id, digest, agreed_days = _agreed_rule(peer, agreement)
        else:
            rule = _supposed_rule(purpose, max_age_days, notice)
        chosen = get_profile(profile or agreed_profile or DEFAULT_PROFILE)
        with stderr().status(f"Reading source {name}"):
            contacts = mark_withdrawn(peer, read_source(definition), definition.default_country, digest)
            found = check_source(definition, contacts, chosen, today, rule)
    tell_check(definition, chosen.name, found, rule, agreement_id, agreed_days)
    say("")
    tell_standing(standing)
    say_setup()
    facts = check_facts(definition, chosen.name, found, rule, agreement_id, agreed_days)
    result(**facts, decision=standing_facts(standing))


def _bound_agreements(peer: Peer, name: str) -> list[str]:
    """The ids of the agreements, not yet over, that read from this source."""
    from mutuals.models.agreement import AgreementState

    using = (AgreementState.DRAFT, AgreementState.PROPOSED, AgreementState.ACTIVE, AgreementState.SUSPENDED)
    with peer.store.transaction() as tx:
        return [row.agreement_id for row in tx.agreements.list() if row.source == name and row.state in using]


def _agreed_rule(peer: Peer, reference: str) -> tuple[ParticipationRule, str, str, str, int]:
    """The rule as this side applies it, profile, id and digest of an agreement in whatever state; and how old a consent
    may be by the agreement alone, in days.
    """
    from mutuals.agreement.active import find_agreement
    from mutuals.agreement.document import parse_agreement
    from mutuals.policy.consent_age import own_rule
    from mutuals.policy.current import current_policy
    from mutuals.sources.check import ParticipationRule

    with peer.store.transaction() as tx:
        row = find_agreement(tx, reference)
        policy = current_policy(tx)
    document = parse_agreement(row.document)
    rule = ParticipationRule(
        consent=own_rule(policy, document.consent),
        identifiers=document.matching.identifiers,
        include_shared=document.matching.shared_identifiers == "include",
    )
    return rule, document.matching.profile, row.agreement_id, row.digest, document.consent.max_age_days


def _supposed_rule(
    purpose: str | None, max_age_days: int | None, notice: bool | None
) -> ParticipationRule | None:
    from pydantic import ValidationError

    from mutuals.models.agreement import ConsentRule
    from mutuals.sources.check import ParticipationRule

    if purpose is None:
        if (max_age_days, notice) != (None, None):
            raise MutualsError(ErrorCode.USAGE, "--max-age-days and --notice need a --purpose.")
        return None
    given = {"max_age_days": max_age_days, "notice_required": notice}
    try:
        consent = ConsentRule.model_validate(
            {"purpose": purpose, **{key: value for key, value in given.items() if value is not None}}
        )
    except ValidationError:
        raise MutualsError(
            ErrorCode.USAGE,
            f"“{purpose}” cannot be a purpose in an agreement.",
            hint="Purposes are lower-case letters, digits, - and _, beginning with a letter.",
        ) from None
    return ParticipationRule(consent)

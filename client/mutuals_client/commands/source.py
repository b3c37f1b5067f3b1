"""``mutuals source``: name the files contacts are read from, and see what is in them before anything is
shared.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import Command, ListingGroup, confirm, open_peer, result, say, stderr, table

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.sources.check import ParticipationRule
    from mutuals.sources.contacts import ContactTable
    from mutuals.sources.definition import SourceDefinition
    from mutuals.store.rows import SourceRow

DEFAULT_PROFILE = "uid2-v1"
Name = Annotated[str, typer.Argument(help="The source's name.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(cls=ListingGroup, help="Name the files your contacts are read from, and check them.")
    group.command("add", cls=Command)(add)
    group.command("list", cls=Command)(list_sources)
    group.command("show", cls=Command)(show)
    group.command("check", cls=Command)(check)
    group.command("remove", cls=Command)(remove)
    app.add_typer(group, name="source")


def add(
    name: Annotated[str, typer.Argument(help="A name for it: lower-case letters, digits, - and _.")],
    *,
    path: Annotated[
        Path, typer.Option("--path", metavar="FILE", help="The file; read when needed, never copied.")
    ],
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar='COLUMN="HEADING"', help='A heading of your own, as in email="E-Mail Address".'
        ),
    ] = None,
    default_country: Annotated[
        str | None, typer.Option(metavar="CC", help="For phone numbers without a country code, as in DE.")
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(help="Whose export it is, where that is not told from the headings (docs/sources.md)."),
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
    replace: Annotated[bool, typer.Option("--replace", help="Replace the source of that name.")] = False,
) -> None:
    """Add a source: its export is recognised and read first; one that cannot be used is refused, and nothing is stored.

    Example: mutuals source add crm --path hubspot.csv
    """
    from rich.markup import escape

    from mutuals.sources import define_source, read_source
    from mutuals.sources.check import row_refusals, source_hints
    from mutuals.sources.detect import understand
    from mutuals.store.rows import SourceRow
    from mutuals_client.source_report import count_of, tell_refusals
    from mutuals_client.source_understood import tell_understood, understood_facts, wishes_of

    location = str(path.expanduser().absolute())
    headings = _parse_mapping(mapping or [])
    wanted = define_source(name, location, headings, default_country, "csv")
    wishes = wishes_of(headings, layout, no_objections, dates)
    with open_peer() as peer:
        with peer.store.transaction() as tx:
            _refuse_existing(tx.sources.get(name), name, replace)
        understood = understand(wanted, wishes)
        definition = understood.definition
        contacts = read_source(definition)
        refusals, hints = row_refusals(contacts), (*understood.hints, *source_hints(contacts))
        _refuse_useless(contacts, path.name)
        with peer.store.transaction() as tx:
            _refuse_existing(tx.sources.get(name), name, replace)
            tx.sources.put(SourceRow(name, definition.model_dump_json(), peer.clock()))
    usable, rejected = len(contacts.frame), len({fault.row for fault in contacts.rejected})
    tell_understood(understood)
    say(f"Added source [bold]{name}[/] with {count_of(usable, 'contact')}.")
    if rejected:
        say(f"{count_of(rejected, 'row')} cannot be used and will take no part.")
        tell_refusals(refusals)
        say("")
    say(*(f"[yellow]{escape(hint)}[/]" for hint in hints), f"See what is in it: mutuals source check {name}")
    result(
        source=_definition_facts(definition),
        contacts=usable,
        rejected_rows=rejected,
        fields=list(contacts.field_names),
        understood=understood_facts(understood),
        hints=hints,
    )


def list_sources() -> None:
    """List the sources.

    Example: mutuals source list
    """
    with open_peer() as peer, peer.store.transaction() as tx:
        definitions = [_definition(row) for row in tx.sources.list()]
    if definitions:
        rows = [(d.name, d.format, d.default_country or "", d.path) for d in definitions]
        table(None, ("Source", "Format", "Country", "File"), rows)
    else:
        say("No sources yet. Add one: mutuals source add NAME --path FILE")
    result(sources=[_definition_facts(definition) for definition in definitions])


def show(name: Name) -> None:
    """Show where a source is, how its columns are mapped, and which agreements use it.

    Example: mutuals source show crm
    """
    from rich.markup import escape

    from mutuals_client.source_understood import tell_mapping

    with open_peer() as peer:
        definition = _definition(_find(peer, name))
        agreements = _bound_agreements(peer, name)
    say(f"{'source':>16}  {definition.name}", f"{'file':>16}  {escape(definition.path)}")
    say(
        f"{'format':>16}  {definition.format}",
        f"{'default country':>16}  {definition.default_country or 'none'}",
    )
    for column, heading in definition.columns.items():
        say(f"{column:>16}  is the column “{escape(heading)}”")
    if definition.mapping is not None:
        tell_mapping(definition.mapping)
    say(f"{'used by':>16}  {', '.join(agreements) or 'no agreement'}")
    result(source=_definition_facts(definition), agreements=agreements)


def remove(name: Name) -> None:
    """Forget a source. The file stays as it is.

    Example: mutuals source remove crm
    """
    with open_peer() as peer:
        _find(peer, name)
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
        typer.Option(help="Normalisation profile.", show_default=f"the agreement's, or {DEFAULT_PROFILE}"),
    ] = None,
) -> None:
    """Read a source and tell what is usable, what is not and why, and who could take part. Nothing leaves the
    house.

    Example: mutuals source check crm --agreement A-7Q3K2M9X
    """
    from mutuals.consent import mark_withdrawn
    from mutuals.normalisation import get_profile
    from mutuals.sources import read_source
    from mutuals.sources.check import check_source
    from mutuals_client.source_report import check_facts, tell_check

    rule, agreed_profile, agreement_id, digest, agreed_days = None, None, None, None, None
    with open_peer() as peer:
        definition = _definition(_find(peer, name))
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
    result(**check_facts(definition, chosen.name, found, rule, agreement_id, agreed_days))


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


def _refuse_existing(row: SourceRow | None, name: str, replace: bool) -> None:
    if row is not None and not replace:
        raise MutualsError(
            ErrorCode.USAGE,
            f"There is a source {name} already.",
            hint="Choose another name, or add --replace.",
        )


def _find(peer: Peer, name: str) -> SourceRow:
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


def _definition(row: SourceRow) -> SourceDefinition:
    from mutuals.sources.definition import SourceDefinition

    return SourceDefinition.model_validate_json(row.definition)


def _definition_facts(definition: SourceDefinition) -> dict[str, object]:
    return definition.model_dump(mode="json")

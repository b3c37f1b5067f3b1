"""``mutuals source``: name the files contacts are read from, and see what is in them before anything is
shared.
"""

from __future__ import annotations

from pathlib import Path
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
from mutuals_client.source_sections import DEFAULT_PROFILE
from mutuals_client.stored_sources import definition_facts, definition_of, find_source

if TYPE_CHECKING:
    from mutuals.peer import Peer

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
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help="Also write it as a page, to forward and to file.", dir_okay=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite that file if it exists.")] = False,
) -> None:
    """Report on a source: how it was understood, what is usable, what is not and why, who could take part, what to do.
    Nothing leaves the house, and no contact's data is shown.

    Example: mutuals source check crm --html crm-quality.html
    """
    from rich.markup import escape

    from mutuals_client.consent_words import tell_standing
    from mutuals_client.report_file import check_target, write_page
    from mutuals_client.source_checking import check as carry_out
    from mutuals_client.source_report import tell_check
    from mutuals_client.source_report_page import source_page

    if html is not None:
        check_target(html, force=force)
    elif force:
        raise MutualsError(ErrorCode.USAGE, "--force is about the file of --html.")
    with open_peer() as peer, stderr().status(f"Reading source {name}"):
        done = carry_out(
            peer,
            name,
            agreement=agreement,
            purpose=purpose,
            max_age_days=max_age_days,
            notice=notice,
            profile=profile,
        )
        organisation = peer.config.organisation
    if html is not None:
        write_page(html, source_page(done, organisation))
    tell_check(done.asked, done.found)
    say("")
    tell_standing(done.standing)
    if html is not None:
        say(f"Wrote {escape(str(html))}. It holds no contact's data; open it in any browser.")
    result(**done.facts(), **({} if html is None else {"file": str(html.absolute())}))


def _bound_agreements(peer: Peer, name: str) -> list[str]:
    """The ids of the agreements, not yet over, that read from this source."""
    from mutuals.models.agreement import AgreementState

    using = (AgreementState.DRAFT, AgreementState.PROPOSED, AgreementState.ACTIVE, AgreementState.SUSPENDED)
    with peer.store.transaction() as tx:
        return [row.agreement_id for row in tx.agreements.list() if row.source == name and row.state in using]

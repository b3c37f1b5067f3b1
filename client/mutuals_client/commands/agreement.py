"""``mutuals agreement``: draft, propose, list, show, accept and reject agreements."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.commands import agreement_assess, agreement_show
from mutuals_client.commands.agreement_show import agreement_facts, partner_name, read_draft, say_about_card
from mutuals_client.console import (
    Command,
    ListingGroup,
    OperatorCommand,
    confirm,
    open_peer,
    result,
    say,
    say_commands,
    table,
)

if TYPE_CHECKING:
    from mutuals.models.agreement import Agreement
    from mutuals.peer import Peer
    from mutuals.store.rows import AgreementRow, PartnerRow

ID = typer.Argument(..., metavar="ID", help="The agreement's id or digest, or its beginning.")
SOURCE = typer.Option(..., metavar="NAME", help="Your source that takes part.")
MAP = typer.Option(
    [],
    "--map",
    metavar="FIELD=HEADING",
    help="A field you send, and its column where the name differs; repeatable.",
)


class OneWay(StrEnum):
    """Sharing in one direction, as seen by the one who drafts."""

    SEND = "send"
    RECEIVE = "receive"


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(cls=ListingGroup, help="Draft, propose, show, accept and reject agreements.")
    group.command("draft", cls=Command)(draft)
    group.command("propose", cls=OperatorCommand)(propose)
    group.command("list", cls=Command)(list_agreements)
    agreement_show.register(group)
    agreement_assess.register(group)
    group.command("accept", cls=OperatorCommand)(accept)
    group.command("reject", cls=OperatorCommand)(reject)
    app.add_typer(group, name="agreement")


def draft(
    partner: str = typer.Option(..., "--with", metavar="PARTNER", help="The partner to propose it to."),
    one_way: OneWay | None = typer.Option(
        None, help="Only you send, or only you receive. [default: both ways]"
    ),
    out: Path | None = typer.Option(None, metavar="FILE", help="Write it there. [default: standard output]"),
    purpose: str | None = typer.Option(None, metavar="TEXT", help="Why you match."),
    title: str | None = typer.Option(None, metavar="TEXT", help="What the agreement is called."),
) -> None:
    """Write a commented draft, the parties filled in from both cards; edit it, then propose it.

    Example: mutuals agreement draft --with globex --out globex.toml
    """
    from rich.text import Text

    from mutuals.agreement.active import utc_date
    from mutuals.agreement.template import DraftOptions, draft_toml
    from mutuals.identity.partners import find_partner, partner_card

    with open_peer() as peer:
        with peer.store.transaction() as tx:
            card = partner_card(find_partner(tx, partner))
        options = DraftOptions(
            today=utc_date(peer.clock()),
            one_way=one_way.value if one_way else None,
            purpose=purpose,
            title=title,
        )
        text = draft_toml(peer.card.card, card, options)
    if out is None:
        say(Text(text, end=""))
    else:
        _write_new(out, text)
        say(Text(f"Wrote {out}. Fill in every <blank>, then:"))
        say_commands(
            f"mutuals agreement propose {quote(str(out))} --with {quote(card.organisation)} --source NAME"
        )
    result(file=str(out) if out else None, draft=text)


def propose(
    file: Path = typer.Argument(..., metavar="FILE", help="The filled-in draft."),
    partner: str = typer.Option(..., "--with", metavar="PARTNER", help="The partner to propose it to."),
    source: str = SOURCE,
    mapping: list[str] = MAP,
) -> None:
    """Sign an agreement and send it to the partner, at once or when it next connects.

    Example: mutuals agreement propose globex.toml --with globex --source crm
    """
    from mutuals.agreement.draft import parse_draft
    from mutuals.agreement.lifecycle import propose as sign_and_propose
    from mutuals.agreement.render import render_terminal
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals.identity.partners import find_partner, partner_card
    from mutuals.runs.mandates import grant_standing_mandate
    from mutuals_client.session import unlock_operator

    columns = _mapping(mapping)
    with open_peer() as peer:
        with peer.store.transaction() as tx:
            row = find_partner(tx, partner)
        agreement = parse_draft(read_draft(file), peer.card.card, partner_card(row), file=str(file))
        _check_proposable(peer, agreement, source, columns)
        say(render_terminal(agreement), "")
        if not confirm(_question("Sign this and propose it to", row.name, agreement)):
            raise MutualsError(ErrorCode.USAGE, "Nothing was signed or sent.")
        keys = unlock_operator(peer, roles=SIGN_ROLES, act="sign agreements")
        digest = sign_and_propose(peer, agreement, source, columns, keys)
        grant_standing_mandate(peer, digest, keys)
        _finish(
            peer, digest, row, "proposed to", "They answer with: mutuals agreement accept {id} --source NAME"
        )


def list_agreements() -> None:
    """List the agreements.

    Example: mutuals agreement list
    """
    with open_peer() as peer, peer.store.transaction() as tx:
        rows = tx.agreements.list()
        names = {row.partner: partner_name(tx.partners.get(row.partner)) for row in rows}
    facts = [agreement_facts(row, names[row.partner]) for row in rows]
    if facts:
        table(
            None,
            ("Agreement", "Title", "Partner", "State", "In force until", "Source"),
            [
                (
                    item["id"],
                    item["title"],
                    item["partner"],
                    item["state"],
                    item["valid_until"] or "?",
                    item["source"] or "–",
                )
                for item in facts
            ],
        )
    else:
        say("No agreements yet. Draft one: mutuals agreement draft --with PARTNER")
    result(agreements=facts)


def accept(reference: str = ID, source: str = SOURCE, mapping: list[str] = MAP) -> None:
    """Accept a partner's proposal: read it again, bind your source, sign.

    Example: mutuals agreement accept A-7Q3K2M9X --source crm --map city=Town
    """
    from mutuals.agreement.active import check_not_over
    from mutuals.agreement.binding import check_available
    from mutuals.agreement.lifecycle import accept as sign_and_accept
    from mutuals.agreement.proposal_checks import refuse_misnamed
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals.runs.mandates import grant_standing_mandate
    from mutuals_client.session import unlock_operator

    columns = _mapping(mapping)
    with open_peer() as peer:
        row, agreement, partner = _proposal(peer, reference)
        check_not_over(row.agreement_id, agreement, peer.clock())
        check_available(agreement)
        refuse_misnamed(row.agreement_id, agreement, peer.card.card, partner)
        _show_for_decision(peer, row, agreement, partner)
        _check_acceptable(peer, agreement, source, columns)
        if not confirm(_question("Sign this agreement with", partner.name, agreement)):
            raise MutualsError(ErrorCode.USAGE, "Nothing was signed.")
        keys = unlock_operator(peer, roles=SIGN_ROLES, act="sign agreements")
        sign_and_accept(peer, row.digest, source, columns, keys)
        grant_standing_mandate(peer, row.digest, keys)
        _finish(peer, row.digest, partner, "is active with", "Next: mutuals match {id}")


def reject(
    reference: str = ID,
    reason: str = typer.Option(..., metavar="TEXT", help="Why; your partner will read it."),
) -> None:
    """Turn a partner's proposal down.

    Example: mutuals agreement reject A-7Q3K2M9X --reason "Retention is too long for us."
    """
    from mutuals.agreement.lifecycle import reject as sign_and_reject
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        row, _, partner = _proposal(peer, reference)
        if not confirm(f"Reject {row.agreement_id}, “{row.title}”, of {partner.name}?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was rejected.")
        keys = unlock_operator(peer, roles=SIGN_ROLES, act="sign agreements")
        sign_and_reject(peer, row.digest, reason, keys)
        _finish(peer, row.digest, partner, "is rejected; it came from", "")


def _proposal(peer: Peer, reference: str) -> tuple[AgreementRow, Agreement, PartnerRow]:
    """A proposal to this peer that can still be decided on, verified, with who made it."""
    from mutuals.agreement.lifecycle import open_proposal

    with peer.store.transaction() as tx:
        row, agreement = open_proposal(tx, reference)
        partner = tx.partners.get(row.partner)
    if partner is None or partner.removed_at is not None:
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            f"The partner that proposed {row.agreement_id} was removed.",
            hint="Add its card again: mutuals partner add FILE",
        )
    return row, agreement, partner


def _check_proposable(peer: Peer, agreement: Agreement, source: str, columns: dict[str, str]) -> None:
    """Say what is wrong before a person reads and signs."""
    from mutuals.agreement.active import check_not_over
    from mutuals.agreement.assessed import require_assessment
    from mutuals.agreement.binding import bind_source, check_available
    from mutuals.agreement.proposal_checks import refuse_repeated
    from mutuals.models.agreement import Side

    with peer.store.transaction() as tx:
        refuse_repeated(tx, agreement)
    check_not_over(f"“{agreement.title}”", agreement, peer.clock())
    check_available(agreement)
    mapping = bind_source(peer, agreement, Side.PROPOSER, source, columns)
    with peer.store.transaction() as tx:
        require_assessment(tx, agreement, peer.clock(), source=source, mapping=mapping)


def _check_acceptable(peer: Peer, agreement: Agreement, source: str, columns: dict[str, str]) -> None:
    """Say what is wrong before a person is asked for a passphrase."""
    from mutuals.agreement.assessed import require_assessment
    from mutuals.agreement.binding import bind_source
    from mutuals.models.agreement import Side

    mapping = bind_source(peer, agreement, Side.PARTNER, source, columns)
    with peer.store.transaction() as tx:
        require_assessment(tx, agreement, peer.clock(), source=source, mapping=mapping)


def _show_for_decision(peer: Peer, row: AgreementRow, agreement: Agreement, partner: PartnerRow) -> None:
    from mutuals.agreement.render import local_view, render_terminal
    from mutuals.identity.partners import partner_card

    with peer.store.transaction() as tx:
        view = local_view(tx, row, agreement, peer.clock())
    say(render_terminal(agreement, view))
    say_about_card(partner_card(partner), partner.fingerprint)


def _question(start: str, partner: str, agreement: Agreement) -> str:
    from mutuals.agreement.lifecycle import mandated_acts

    acts = mandated_acts(agreement)
    mandate = f", and permit every {' and '.join(acts)} under it in advance" if acts else ""
    return f"{start} {partner}{mandate}?"


def _finish(peer: Peer, digest: str, partner: PartnerRow, what: str, following: str) -> None:
    """Try to deliver, and tell how it stands."""
    from rich.text import Text

    from mutuals_client.delivery import try_sync

    delivery = try_sync(peer, partner)
    with peer.store.transaction() as tx:
        row = tx.agreements.get(digest)
    if row is None:
        raise MutualsError(ErrorCode.INTERNAL, "The agreement is gone from the store.")
    say(Text(f"Agreement {row.agreement_id} {what} {partner.name}."), Text(delivery))
    if following:
        say(Text(following.format(id=row.agreement_id)))
    result(**agreement_facts(row, partner.name), delivery=delivery)


def _mapping(pairs: list[str]) -> dict[str, str]:
    """``--map city=Town`` as a dictionary. Raises MutualsError (USAGE)."""
    columns: dict[str, str] = {}
    for pair in pairs:
        name, equals, heading = pair.partition("=")
        if not equals or not name.strip() or not heading.strip() or name.strip() in columns:
            raise MutualsError(
                ErrorCode.USAGE,
                "--map takes FIELD=HEADING, each field once.",
                hint='For example: --map city="Town or city"',
            )
        columns[name.strip()] = heading.strip()
    return columns


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise MutualsError(
            ErrorCode.USAGE, f"{path} exists already.", hint="Name another file, or remove it first."
        ) from error
    except OSError as error:
        raise MutualsError(ErrorCode.USAGE, f"{path} cannot be written: {error.strerror}.") from error

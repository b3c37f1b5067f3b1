"""``mutuals agreement``: the group, drafting, and the list; what signs, ends, shows and assesses is beside it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted
from mutuals_client.commands import (
    agreement_assess,
    agreement_certificate,
    agreement_diff,
    agreement_end,
    agreement_refuse,
    agreement_show,
    agreement_sign,
)
from mutuals_client.commands.agreement_show import agreement_facts, partner_name
from mutuals_client.console import Command, ListingGroup, open_peer, result, say, table
from mutuals_client.next_steps import only_purpose, only_source, say_next

if TYPE_CHECKING:
    from mutuals.peer import Peer


class OneWay(StrEnum):
    """Sharing in one direction, as seen by the one who drafts."""

    SEND = "send"
    RECEIVE = "receive"


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(cls=ListingGroup, help="Draft, assess, sign, show, amend and end agreements.")
    group.command("draft", cls=Command)(draft)
    group.command("list", cls=Command)(list_agreements)
    for module in (
        agreement_show,
        agreement_diff,
        agreement_assess,
        agreement_sign,
        agreement_refuse,
        agreement_end,
        agreement_certificate,
    ):
        module.register(group)
    app.add_typer(group, name="agreement")


def draft(
    partner: str | None = typer.Option(
        None, "--with", metavar="PARTNER", help="The partner to propose it to."
    ),
    source: str | None = typer.Option(
        None, "--from", metavar="ID", help="Start from this agreement: to amend, counter or renew it."
    ),
    one_way: OneWay | None = typer.Option(
        None, help="Only you send, or only you receive. [default: both ways]"
    ),
    out: Path | None = typer.Option(None, metavar="FILE", help="Write it there. [default: standard output]"),
    purpose: str | None = typer.Option(None, metavar="TEXT", help="Why you match."),
    title: str | None = typer.Option(None, metavar="TEXT", help="What the agreement is called."),
    engine: str | None = typer.Option(
        None, metavar="NAME", help="The cipher: x25519 or openmined. [default: x25519]"
    ),
) -> None:
    """Write a commented draft, the parties filled in from both cards; edit it, then propose it.

    Example: mutuals agreement draft --with globex --out globex.toml
    """
    from rich.text import Text

    given = (one_way, purpose, title, engine)
    if (partner is None) == (source is None) or (source is not None and any(given)):
        raise MutualsError(
            ErrorCode.USAGE,
            "A draft starts either --with a partner or --from an agreement, which then says the rest.",
            hint="For example: mutuals agreement draft --from A-7Q3K2M9X --out next.toml",
        )
    file = quote(str(out)) if out else "FILE"
    with open_peer() as peer:
        if source is not None:
            text, following = _redraft(peer, source, file)
        else:
            text, following = _first_draft(peer, str(partner), one_way, purpose, title, engine)
            following = f"propose {file} --with {following} --source {only_source(peer)}"
        named = only_source(peer)
    if out is None:
        say(Text(text, end=""))
    else:
        _write_new(out, text)
        say(Text(f"Wrote {out}. {_to_fill_in(text, again=source is not None)}"))
        say_next(
            (
                f"mutuals agreement assess {file} --source {named}",
                "see what it risks for people, and sign that",
            ),
            (f"mutuals agreement {following}", "then sign the agreement and send it"),
        )
    result(file=str(out) if out else None, draft=text)


def _to_fill_in(text: str, *, again: bool) -> str:
    """What is to be done with the draft in an editor."""
    if again:
        return "Change in it what shall change, in an editor."
    blanks = counted(text.count('= "<'), "<blank>")
    return (
        f"Open it in an editor, fill in its {blanks}, and replace the fields at its end by those you want to send and "
        "receive: they are examples. Comments in it explain each line."
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
            ("Agreement", "Version", "Title", "Partner", "State", "In force until", "Source"),
            [
                (
                    item["id"],
                    str(item["version"] or "?"),
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


def _first_draft(
    peer: Peer,
    partner: str,
    one_way: OneWay | None,
    purpose: str | None,
    title: str | None,
    engine: str | None,
) -> tuple[str, str]:
    """The template for this partner, and the partner's name as a shell takes it."""
    from mutuals.agreement.active import utc_date
    from mutuals.agreement.template import DEFAULT_ENGINE, DraftOptions, draft_toml
    from mutuals.engines import get_engine
    from mutuals.identity.partners import find_partner, partner_card

    if engine is not None:
        get_engine(engine)  # refused now rather than at the first match, where this machine cannot run it
    with peer.store.transaction() as tx:
        card = partner_card(find_partner(tx, partner))
    options = DraftOptions(
        today=utc_date(peer.clock()),
        one_way=one_way.value if one_way else None,
        purpose=purpose,
        title=title,
        engine=engine or DEFAULT_ENGINE,
        consent_purpose=only_purpose(peer),
    )
    return draft_toml(peer.card.card, card, options), quote(card.organisation)


def _redraft(peer: Peer, reference: str, file: str) -> tuple[str, str]:
    """An agreement as a draft again, and what signs it: an amendment of what binds, a counter-proposal to what the
    partner proposed, a new proposal otherwise.
    """
    from mutuals.agreement.active import find_agreement, verify_stored
    from mutuals.agreement.chain import LIVING
    from mutuals.agreement.redraft import redraft_toml
    from mutuals.models.agreement import AgreementState, Side

    with peer.store.transaction() as tx:
        row = find_agreement(tx, reference)
        agreement = verify_stored(row)
        name = partner_name(tx.partners.get(row.partner))
    replaces, version = None, 1
    named = only_source(peer)
    command = f"propose {file} --with {quote(name)} --source {named}"
    if row.state in LIVING:
        replaces, version = row.digest, agreement.version + 1
        command = f"amend {row.agreement_id} {file}"
    elif row.state is AgreementState.PROPOSED and row.own_side is Side.PARTNER:
        replaces, version = row.replaces, agreement.version
        command = f"counter {row.agreement_id} {file} --source {named}"
    own = peer.fingerprint.hex()
    text = redraft_toml(
        agreement, own, row.agreement_id, file=file, command=command, replaces=replaces, version=version
    )
    return text, command


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

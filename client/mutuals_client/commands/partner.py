"""``mutuals partner``: import a partner's card, list, show and remove partners."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import Command, ListingGroup, confirm, interactive, open_peer, result, say, table
from mutuals_client.next_steps import say_next, setup_steps

if TYPE_CHECKING:
    from datetime import datetime

    from mutuals.identity.partners import PartnerReview
    from mutuals.peer import Peer


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(cls=ListingGroup, help="Import partners' cards; list, show and remove partners.")
    group.command("add", cls=Command)(add)
    group.command("list", cls=Command)(list_partners)
    group.command("show", cls=Command)(show)
    group.command("remove", cls=Command)(remove)
    app.add_typer(group, name="partner")


def add(
    file: Path = typer.Argument(..., metavar="FILE", help="The card they gave you; - for standard input."),
    fingerprint: str | None = typer.Option(
        None,
        metavar='"WORDS"',
        help="The twelve words (or hex digits) they gave you by another way; stands in for the question.",
    ),
) -> None:
    """Import a partner's card, after you compared its fingerprint with them by voice.

    A renewed card of a partner you have needs no comparison: the same key signed it.
    Example: mutuals partner add globex.card.json
    """
    from mutuals.identity.partners import CardChange, add_partner, review_card
    from mutuals_client.identity_views import partner_facts

    data = _read(file)
    with open_peer() as peer:
        _check_card(file, data, peer.clock())
        with peer.store.transaction() as tx:
            review = review_card(tx, data, own=peer.card.card, now=peer.clock())
        _show(review)
        if fingerprint is not None:
            _check_fingerprint(review, fingerprint)
        if review.needs_confirmation and fingerprint is None:
            _compare_by_voice()
        elif review.change is CardChange.RENEWAL and not confirm("Take the renewed card?"):
            raise MutualsError(ErrorCode.PEER_IDENTITY, "The renewed card was not taken.")
        with peer.store.transaction() as tx:
            # Reviewed again: another command may have changed the partners while a person was reading.
            if review_card(tx, data, own=peer.card.card, now=peer.clock()) != review:
                raise MutualsError(
                    ErrorCode.PEER_IDENTITY, "The partners changed meanwhile.", hint="Try again."
                )
            row = add_partner(tx, review, peer.clock())
        following = setup_steps(peer)
    say(_outcome(review))
    say_next(*following)
    result(change=review.change.value, returning=review.returning, partner=partner_facts(row))


def list_partners() -> None:
    """List the partners.

    Example: mutuals partner list
    """
    from mutuals.identity.partners import partner_card
    from mutuals_client.identity_views import partner_facts

    with open_peer() as peer, peer.store.transaction() as tx:
        rows = tx.partners.list()
    if rows:
        cards = [partner_card(row) for row in rows]
        table(
            None,
            ("Partner", "Fingerprint", "Endpoint", "Card", "Since"),
            [
                (
                    row.name,
                    row.fingerprint[:12],
                    card.endpoint or "–",
                    str(row.serial),
                    f"{row.added_at:%Y-%m-%d}",
                )
                for row, card in zip(rows, cards, strict=True)
            ],
        )
    else:
        say("No partners yet. Import a card: mutuals partner add FILE")
    result(partners=[partner_facts(row) for row in rows])


def show(
    name: str = typer.Argument(..., metavar="NAME", help="Organisation or fingerprint, or its beginning."),
) -> None:
    """Show a partner's card and fingerprint.

    Example: mutuals partner show globex
    """
    from mutuals.identity.partners import find_partner, partner_card
    from mutuals_client.identity_views import card_block, partner_facts, words_block

    with open_peer() as peer, peer.store.transaction() as tx:
        row = find_partner(tx, name)
    facts = partner_facts(row)
    say(card_block(partner_card(row)), "", f"Fingerprint {row.fingerprint}", "", words_block(facts["words"]))
    result(partner=facts)


def remove(
    name: str = typer.Argument(..., metavar="NAME", help="Organisation or fingerprint, or its beginning."),
) -> None:
    """Remove a partner: it can no longer connect, and nothing is sent to it.

    Agreements, the log and what was received stay. Example: mutuals partner remove globex
    """
    from rich.text import Text

    from mutuals.identity.partners import find_partner, remove_partner
    from mutuals_client.identity_views import partner_facts

    with open_peer() as peer:
        with peer.store.transaction() as tx:
            row = find_partner(tx, name)
        active = _active_agreements(peer, row.fingerprint)
        if active:
            say(f"{active} active agreement{'s' if active > 1 else ''} with it can then no longer be used.")
        if not confirm(f"Remove {row.name} ({row.fingerprint[:12]})?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was removed.")
        with peer.store.transaction() as tx:
            row = remove_partner(tx, row, peer.clock())
    say(Text(f"{row.name} is no longer a partner."))
    result(partner=partner_facts(row), active_agreements=active)


def _read(file: Path) -> bytes:
    from mutuals.identity.cards import MAX_CARD_BYTES

    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(MAX_CARD_BYTES + 1)
        with file.open("rb") as stream:
            return stream.read(MAX_CARD_BYTES + 1)
    except OSError as error:
        raise MutualsError(
            ErrorCode.USAGE,
            f"{file} cannot be read: {error.strerror}.",
            hint="Give the path of the card file your partner sent you.",
        ) from error


def _check_card(file: Path, data: bytes, now: datetime) -> None:
    """Refuse what is no sound card, in a sentence that names the file."""
    from mutuals.identity.cards import parse_card

    try:
        parse_card(data, now=now)
    except MutualsError as error:
        name = "standard input" if str(file) == "-" else str(file)
        raise MutualsError(error.code, f"{name}: {error.message}", hint=error.hint) from error


def _show(review: PartnerReview) -> None:
    from rich.text import Text

    from mutuals.identity.partners import CardChange
    from mutuals_client.identity_views import card_block, facts_block, words_block

    card = review.card.card
    if review.change is CardChange.UNCHANGED:
        return
    if review.change is CardChange.RENEWAL:
        say(
            Text.assemble((card.organisation, "bold"), f" renewed its card: number {card.serial}, same key."),
            "",
        )
        say(facts_block([(name, f"{old}  →  {new}") for name, old, new in review.differences()]), "")
        return
    if review.returning:
        say("You removed this partner earlier. To trust it again, compare the words anew.", "")
    say(card_block(card), "", "Fingerprint", "", words_block(review.words), "")


def _compare_by_voice() -> None:
    if not interactive():
        raise MutualsError(
            ErrorCode.USAGE,
            "A new partner's fingerprint must be confirmed, and there is no terminal to ask on.",
            hint='Give the words they told you: --fingerprint "word word …" (--yes does not replace this).',
        )
    say("Call them on a number you know, not one from this card, and read the words to each other.")
    if not confirm("Did you compare these words with them by voice?", honour_yes=False):
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            "The fingerprint was not confirmed, so nothing was added.",
            hint="Run the same command once you have compared the words.",
        )


def _check_fingerprint(review: PartnerReview, text: str) -> None:
    from mutuals.identity.words import fingerprint_matches

    if not fingerprint_matches(text, bytes.fromhex(review.fingerprint)):
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            "The fingerprint you gave is not this card's, so nothing was added.",
            hint="Someone may have replaced the card on its way; ask your partner for it by another way.",
        )


def _outcome(review: PartnerReview) -> object:
    from rich.text import Text

    from mutuals.identity.partners import CardChange

    sentences = {
        CardChange.NEW: "is now a partner.",
        CardChange.RENEWAL: "has a renewed card.",
        CardChange.UNCHANGED: "is a partner already, with this very card.",
    }
    return Text.assemble((review.card.card.organisation, "bold"), f" {sentences[review.change]}")


def _active_agreements(peer: Peer, fingerprint: str) -> int:
    from mutuals.models.agreement import AgreementState

    with peer.store.transaction() as tx:
        rows = tx.agreements.list()
    return sum(
        row.partner == fingerprint and row.state in {AgreementState.ACTIVE, AgreementState.SUSPENDED}
        for row in rows
    )

"""``mutuals card``: show or renew the own card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import SETTINGS, Command, open_peer, result, stderr

if TYPE_CHECKING:
    from mutuals.models.card import SignedCard


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("card", cls=Command)(card)


def card(
    renew: bool = typer.Option(
        False, "--renew", help="Make a new TLS key and certificate, and take over what config.toml says."
    ),
    out: Path | None = typer.Option(
        None, metavar="FILE", dir_okay=False, help="Write the card to this file."
    ),
) -> None:
    """Print your card, to give to a partner as a file.

    Example: mutuals card > acme.card.json
    """
    from mutuals.identity.cards import card_bytes
    from mutuals.identity.initialise import card_is_outdated, renew_card
    from mutuals_client.identity_views import card_facts

    with open_peer() as peer:
        signed, config, home = peer.card, peer.config, peer.home
        with peer.store.transaction() as tx:
            first = not tx.partners.list()
        if renew:
            signed = renew_card(home, config, signing_key=peer.signing_key, previous=signed, now=peer.clock())
    data = card_bytes(signed)
    if out is not None:
        _write(out, data)
    elif not SETTINGS.json:
        sys.stdout.write(data.decode())
        sys.stdout.flush()
    outdated = card_is_outdated(config, signed)
    if not SETTINGS.json:
        _tell(signed, out, renewed=renew, outdated=outdated, first=first)
    facts = card_facts(signed)
    result(
        file=str(out or home.card),
        renewed=renew,
        outdated=outdated,
        card=signed.model_dump(mode="json"),
        **facts,
    )


def _tell(signed: SignedCard, out: Path | None, *, renewed: bool, outdated: bool, first: bool) -> None:
    """What a person should know, on standard error: standard output carries the card."""
    from rich.text import Text

    from mutuals.identity.cards import fingerprint_of
    from mutuals.identity.words import fingerprint_words
    from mutuals_client.identity_views import words_block

    console = stderr()
    if out is not None:
        console.print(Text(f"Your card is in {out}."))
    console.print("Your fingerprint, for your partner to compare with you by voice:")
    console.print(words_block(fingerprint_words(fingerprint_of(signed.card))))
    if renewed:
        console.print(f"This is card number {signed.card.serial}, with a new TLS key.")
        console.print("Restart mutuals serve, and send the card to your partners: until they import it they")
        console.print("cannot connect to you, nor you to them. The fingerprint stays the same.")
    if outdated:
        console.print(
            "config.toml says something else than this card; take it over with: mutuals card --renew"
        )
    if first:
        console.print(
            "Send the card to your partner by any way, and call them: each reads these words to the other."
        )
        console.print("When you have theirs: mutuals partner add FILE")


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise MutualsError(ErrorCode.LOCAL, f"{path} cannot be written: {error.strerror}.") from error

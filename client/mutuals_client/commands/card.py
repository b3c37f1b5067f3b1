"""``mutuals card``: show or renew the own card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import SETTINGS, Command, open_peer, result, stderr
from mutuals_client.rotation_words import rotation_facts, rotation_sentences

if TYPE_CHECKING:
    from mutuals.models.card import SignedCard
    from mutuals.rotation import Rotation


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("card", cls=Command)(card)


def card(
    renew: bool = typer.Option(
        False, "--renew", help="Make a new TLS key and certificate, and take over what config.toml says."
    ),
    overlap: str | None = typer.Option(
        None,
        metavar="TIME",
        help="With --renew: how long the certificate of before stays good, such as 12h or 7d. [default: overlap_days "
        "of config.toml]",
    ),
    now: bool = typer.Option(
        False,
        "--now",
        help="With --renew: the TLS key was stolen; partners refuse it once they have the card.",
    ),
    out: Path | None = typer.Option(
        None, metavar="FILE", dir_okay=False, help="Write the card to this file."
    ),
) -> None:
    """Print your card, to give to a partner as a file; a renewed one also goes to your partners by itself.

    Example: mutuals card > acme.card.json
    """
    from mutuals.identity.cards import card_bytes
    from mutuals.identity.initialise import card_is_outdated
    from mutuals.rotation import rotation
    from mutuals_client.identity_views import card_facts

    if not renew and (now or overlap is not None):
        raise MutualsError(ErrorCode.USAGE, "--overlap and --now are about a renewal.", hint="Add --renew.")
    delivered = _renewed(overlap, stolen=now) if renew else []
    with open_peer() as peer, peer.store.transaction() as tx:
        signed, config, home = peer.card, peer.config, peer.home
        first = not tx.partners.list()
        standing = rotation(tx, peer)
    data = card_bytes(signed)
    if out is not None:
        _write(out, data)
    elif not SETTINGS.json:
        sys.stdout.write(data.decode())
        sys.stdout.flush()
    outdated = card_is_outdated(config, signed)
    if not SETTINGS.json:
        _tell(signed, out, renewed=renew, outdated=outdated, first=first)
        _tell_rotation(standing, delivered)
    facts = card_facts(signed)
    result(
        file=str(out or home.card),
        renewed=renew,
        outdated=outdated,
        rotation=rotation_facts(standing),
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
        console.print(f"This is card number {signed.card.serial}; the fingerprint stays the same.")
    if outdated:
        console.print(
            "config.toml says something else than this card; take it over with: mutuals card --renew"
        )
    if first:
        console.print(
            "Send the card to your partner by any way, and call them: each reads these words to the other."
        )
        console.print("When you have theirs: mutuals partner add FILE")


def _renewed(overlap: str | None, *, stolen: bool) -> list[str]:
    """Renew, and try to give the card to every partner that can be called; a sentence on each."""
    from datetime import timedelta

    from mutuals.rotation import keep_rotation, renew
    from mutuals_client.delivery import can_be_called, try_sync
    from mutuals_client.patience import duration

    with open_peer() as peer:
        days = timedelta(days=peer.config.overlap_days)
        renew(peer, overlap=days if overlap is None else duration(overlap, "--overlap"), stolen=stolen)
    with open_peer() as peer:
        with peer.store.transaction() as tx:
            rows = tx.partners.list()
        told = [try_sync(peer, row) for row in rows if can_be_called(row)]
        keep_rotation(peer)
    return told


def _tell_rotation(standing: Rotation | None, delivered: list[str]) -> None:
    """How the rotation stands, on standard error."""
    from rich.text import Text

    console = stderr()
    for sentence in delivered:
        console.print(Text(sentence))
    if standing is not None:
        for sentence in rotation_sentences(standing):
            console.print(Text(sentence))


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise MutualsError(ErrorCode.LOCAL, f"{path} cannot be written: {error.strerror}.") from error

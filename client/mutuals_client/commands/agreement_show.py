"""``mutuals agreement show``: an agreement or a draft in plain language, on the terminal, as Markdown or as a page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import Command, open_peer, result, say
from mutuals_client.next_steps import Step, only_source, say_next

if TYPE_CHECKING:
    from mutuals.models.agreement import Agreement, Side
    from mutuals.models.card import Card
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction
    from mutuals.store.rows import AgreementRow, PartnerRow

REFERENCE = typer.Argument(
    ..., metavar="ID|FILE", help="The agreement's id or digest, or its beginning; or a draft."
)
PARTNER = typer.Option(
    None, "--with", metavar="PARTNER", help="For a draft: the partner, where you have several."
)
MARKDOWN = typer.Option(None, metavar="FILE", help="Write it as Markdown; - prints it.")
HTML = typer.Option(
    None, metavar="FILE", help="Write it as one page that needs no network; for printing, too."
)


def register(group: typer.Typer) -> None:
    """Add the command to the group ``agreement``."""
    group.command("show", cls=Command)(show)


@dataclass(frozen=True)
class Named:
    """What a person named: a stored agreement (``row``), or a draft in a file, and the own side in it."""

    agreement: Agreement
    side: Side
    row: AgreementRow | None


def show(
    reference: str = REFERENCE,
    partner: str | None = PARTNER,
    markdown: str | None = MARKDOWN,
    html: Path | None = HTML,
) -> None:
    """Show an agreement in plain language, each clause marked as enforced by the software or promised only.

    Example: mutuals agreement show A-7Q3K2M9X --html agreement.html
    """
    from rich.text import Text

    from mutuals.agreement.render import local_view, render_html, render_markdown, render_terminal

    with open_peer() as peer:
        named = name_agreement(peer, reference, partner)
        view, name = None, ""
        if named.row is not None:
            with peer.store.transaction() as tx:
                view = local_view(tx, named.row, named.agreement, peer.clock())
                name = partner_name(tx.partners.get(named.row.partner))
        written = write_documents(
            markdown,
            html,
            lambda: render_markdown(named.agreement, view),
            lambda: render_html(named.agreement, view),
        )
        if markdown == "-":
            say(Text(render_markdown(named.agreement, view), end=""))
        elif written:
            say(*(Text(f"Wrote {path}.") for path in written))
        else:
            say(render_terminal(named.agreement, view))
            if named.row is not None:
                _say_about_partner(peer, named.row)
                say_next(*_answer(peer, named.row))
    signatures = [
        {
            "side": signature.side.value,
            "verified": signature.verified,
            "operators": list(signature.operators),
            "signed_at": signature.signed_at,
            "assessment": signature.assessment,
        }
        for signature in (view.signatures if view else ())
    ]
    facts = agreement_facts(named.row, name) if named.row is not None else {"id": None, "state": "draft"}
    document = named.agreement.model_dump(mode="json")
    terminated = view.termination if view else None
    result(**facts, terminated=terminated, signatures=signatures, document=document, written=written)


def _answer(peer: Peer, row: AgreementRow) -> list[Step]:
    """How a partner's proposal is answered."""
    from mutuals.models.agreement import AgreementState, Side

    if row.state is not AgreementState.PROPOSED or row.own_side is not Side.PARTNER:
        return []
    assess = f"mutuals agreement assess {row.agreement_id} --source {only_source(peer)}"
    return [(assess, "see what it risks for people, before you sign or refuse it")]


def name_agreement(peer: Peer, reference: str, partner: str | None) -> Named:
    """The stored agreement or the draft that a person named; a file where there is one of that name.

    Raises MutualsError: AGREEMENT_UNKNOWN, AGREEMENT_NOT_ACTIVE (the stored copy is damaged), USAGE, INPUT_QUALITY.
    """
    from mutuals.agreement.active import find_agreement, verify_stored
    from mutuals.agreement.draft import parse_draft
    from mutuals.models.agreement import Side

    if is_file(reference):
        text = read_draft(Path(reference))
        with peer.store.transaction() as tx:
            card = _drafted_with(tx, partner, text)
        return Named(parse_draft(text, peer.card.card, card, file=reference), Side.PROPOSER, None)
    with peer.store.transaction() as tx:
        row = find_agreement(tx, reference)
        return Named(verify_stored(row), row.own_side, row)


def is_file(reference: str) -> bool:
    """Whether a person named a file and not an agreement."""
    return reference.endswith(".toml") or os.sep in reference or os.path.isfile(reference)


def read_draft(file: Path) -> str:
    """The text of a draft. Raises MutualsError: USAGE where it cannot be read, INPUT_QUALITY where it is not UTF-8."""
    from mutuals.agreement.draft import MAX_DRAFT_CHARACTERS

    try:
        with file.open(encoding="utf-8-sig") as stream:
            return stream.read(MAX_DRAFT_CHARACTERS + 1)
    except OSError as error:
        raise MutualsError(ErrorCode.USAGE, f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise MutualsError(
            ErrorCode.INPUT_QUALITY, f"{file} is not UTF-8 text.", hint="Save it as UTF-8."
        ) from error


def write_documents(markdown: str | None, html: Path | None, to_markdown: Any, to_html: Any) -> list[str]:
    """Write what was asked for, taking the place of a file of that name; the paths. Raises MutualsError (USAGE)."""
    written = []
    for path, render in (
        (None if markdown in {None, "-"} else Path(str(markdown)), to_markdown),
        (html, to_html),
    ):
        if path is None:
            continue
        try:
            path.write_text(render(), encoding="utf-8")
        except OSError as error:
            raise MutualsError(ErrorCode.USAGE, f"{path} cannot be written: {error.strerror}.") from error
        written.append(str(path))
    return written


def say_about_card(card: Card, fingerprint: str) -> None:
    """What the partner says about itself, and its fingerprint's words, to be compared once more before signing."""
    from mutuals.identity.words import fingerprint_words
    from mutuals_client.identity_views import card_block, words_block

    words = fingerprint_words(bytes.fromhex(fingerprint))
    say("", "[bold]Your partner says about itself[/bold]", "", card_block(card), "", "Fingerprint", "")
    say(words_block(words), "")


def _say_about_partner(peer: Peer, row: AgreementRow) -> None:
    from mutuals.identity.partners import partner_card

    with peer.store.transaction() as tx:
        partner = tx.partners.get(row.partner)
    if partner is not None:
        say_about_card(partner_card(partner), row.partner)


def _drafted_with(tx: Transaction, partner: str | None, text: str) -> Card:
    """The card of the draft's partner: as given, or the only one there is, or the one of the name in the draft."""
    from mutuals.identity.partners import find_partner, partner_card
    from mutuals.toml_faults import toml_values

    if partner is not None:
        return partner_card(find_partner(tx, partner))
    cards = [partner_card(row) for row in tx.partners.list() if row.removed_at is None]
    if len(cards) == 1:
        return cards[0]
    try:
        named: Any = toml_values(text)["parties"]["partner"]["organisation"]
    except (ValueError, KeyError, TypeError, RecursionError):
        named = None
    found = [card for card in cards if card.organisation == named]
    if len(found) != 1:
        raise MutualsError(
            ErrorCode.USAGE,
            f"You have {len(cards)} partners; say with which of them the draft is.",
            hint="Add --with PARTNER." if cards else "Add one: mutuals partner add FILE",
        )
    return found[0]


def partner_name(partner: PartnerRow | None) -> str:
    """What the partner is called here."""
    return partner.name if partner is not None else "unknown"


def agreement_facts(row: AgreementRow, partner: str) -> dict[str, Any]:
    """An agreement as JSON; the dates are missing where the stored document is damaged."""
    from mutuals.agreement.document import parse_agreement

    try:
        agreement = parse_agreement(row.document)
    except ValueError:
        agreement = None
    return {
        "id": row.agreement_id,
        "digest": row.digest,
        "title": row.title,
        "partner": partner,
        "partner_fingerprint": row.partner,
        "own_side": row.own_side.value,
        "state": row.state.value,
        "reason": row.reason,
        "version": agreement.version if agreement else None,
        "replaces": row.replaces,
        "ends_at": row.ends_at.isoformat() if row.ends_at else None,
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
        "valid_from": agreement.valid_from.isoformat() if agreement else None,
        "valid_until": agreement.valid_until.isoformat() if agreement else None,
        "source": row.source,
        "mapping": row.mapping,
    }

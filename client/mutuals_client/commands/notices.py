"""``mutuals notices``: whom to notify before sharing, and a draft of the notice."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import Command, open_peer, result, say

if TYPE_CHECKING:
    from mutuals.obligations.notices import ToNotify


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("notices", cls=Command)(notices)


def notices(
    agreement: str = typer.Option(..., "--agreement", metavar="ID", help="The agreement to share under."),
    source: str | None = typer.Option(
        None, metavar="NAME", help="Your source. [default: the one bound to it]"
    ),
    out: Path | None = typer.Option(None, metavar="FILE.csv", help="Write the contacts' ids there."),
    draft: Path | None = typer.Option(
        None, metavar="FILE.md", help="Write the draft there. [default: shown here]"
    ),
) -> None:
    """Say whom to notify before anything is shared, and draft the notice.

    These are the contacts that may take part but for a notice, which is missing or older than the agreement allows.
    Once notified, note the day in the source's column notified_at.
    Example: mutuals notices --agreement A-7Q3K2M9X --out notify.csv --draft notice.md
    """
    from rich.text import Text

    from mutuals.agreement.active import find_agreement, verify_stored
    from mutuals.identity.partners import partner_card
    from mutuals.obligations.notices import contacts_to_notify, draft_notice
    from mutuals.policy.current import current_policy
    from mutuals_client.source_report import REASONS

    for path in (out, draft):
        _refuse_existing(path)
    with open_peer() as peer:
        with peer.store.transaction() as tx:
            row = find_agreement(tx, agreement)
            document = verify_stored(row)
            partner = tx.partners.get(row.partner)
            policy = current_policy(tx)
        name = source or row.source
        if name is None:
            raise MutualsError(
                ErrorCode.USAGE,
                f"No source is bound to agreement {row.agreement_id} yet.",
                hint="Say which you would bind: --source NAME",
            )
        due = contacts_to_notify(peer, document, row.digest, name)
        card = partner_card(partner) if partner else None
        text = draft_notice(peer.card.card, card, document, row.own_side, policy)
    _write(out, _ids(due))
    _write(draft, text)
    say(
        f"To notify before sharing under agreement {row.agreement_id}: [bold]{len(due.contacts):,}[/] contacts."
    )
    say(*(f"  {count:,} {REASONS[reason]}" for reason, count in due.by_reason().items()))
    if out is not None:
        say(Text(f"Wrote their ids to {out}."))
    elif due.contacts:
        say("Write their ids to a file: --out notify.csv")
    say(Text(f"Wrote the draft to {draft}.") if draft is not None else Text(f"\n{text}", end=""))
    result(
        agreement=row.agreement_id,
        source=name,
        contacts=len(due.contacts),
        reasons=due.by_reason(),
        file=str(out) if out else None,
        draft_file=str(draft) if draft else None,
        draft=text,
    )


def _refuse_existing(path: Path | None) -> None:
    from mutuals.identity.files import is_there

    if path is None:
        return
    if not os.path.isdir(path.absolute().parent):
        raise MutualsError(ErrorCode.USAGE, f"There is no folder {path.absolute().parent}.")
    if is_there(path):
        raise MutualsError(ErrorCode.USAGE, f"{path} exists.", hint="Name another file, or remove that one.")


def _ids(due: ToNotify) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("contact_id", "reason"))
    writer.writerows(due.contacts)
    return text.getvalue()


def _write(path: Path | None, text: str) -> None:
    from mutuals.identity.files import write_private

    if path is None:
        return
    try:
        write_private(path, text.encode())
    except OSError as error:
        raise MutualsError(ErrorCode.LOCAL, f"{path} cannot be written ({error.strerror}).") from error

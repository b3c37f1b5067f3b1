"""``mutuals agreement certificate``: the deletion certificates of an agreement that ended, to read and to hand on."""

from __future__ import annotations

from pathlib import Path

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.commands.agreement_show import HTML, MARKDOWN, write_documents
from mutuals_client.console import Command, open_peer, result, say


def register(group: typer.Typer) -> None:
    """Add the command to the group ``agreement``."""
    group.command("certificate", cls=Command)(certificate)


def certificate(
    reference: str = typer.Argument(..., metavar="ID"),
    markdown: str | None = MARKDOWN,
    html: Path | None = HTML,
) -> None:
    """Show both sides' deletion certificates of an agreement that ended; their signatures are verified again.

    Example: mutuals agreement certificate A-7Q3K2M9X --html certificate.html
    """
    from rich.text import Text

    from mutuals.agreement.active import find_agreement
    from mutuals.agreement.blocks import Block, to_markdown, to_terminal
    from mutuals.agreement.html import to_html
    from mutuals.obligations.certificate_text import describe_certificate, held_certificates

    with open_peer() as peer, peer.store.transaction() as tx:
        row = find_agreement(tx, reference)
        held = held_certificates(tx, peer, row.digest)
    if not held:
        raise MutualsError(
            ErrorCode.USAGE,
            f"There is no deletion certificate for agreement {row.agreement_id} yet; its state is {row.state.value}.",
            hint="When it has ended, what was received is destroyed and certified by: mutuals retention",
        )
    title = f"Deletion certificates: {row.title}"
    blocks: list[Block] = [
        block for one in held for block in describe_certificate(one, row.title, row.agreement_id)
    ]
    written = write_documents(
        markdown, html, lambda: to_markdown(title, blocks), lambda: to_html(title, blocks)
    )
    if markdown == "-":
        say(Text(to_markdown(title, blocks), end=""))
    elif not written:
        say(to_terminal(title, blocks))
    if not all(any(one.own is own for one in held) for own in (True, False)):
        whose = "The partner's" if held[0].own else "Your own"
        say("", f"{whose} is still missing: mutuals status {row.agreement_id}")
    say(*(Text(f"Wrote {path}.") for path in written))
    result(
        id=row.agreement_id,
        written=written,
        certificates=[
            {"own": one.own, "digest": one.digest, **one.certificate.model_dump(mode="json")} for one in held
        ],
    )

"""``mutuals breach list | show | affected | notices``: what is known of a breach, and the papers drawn from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted
from mutuals_client.console import open_peer, result, say, table

if TYPE_CHECKING:
    from mutuals.models.breach import Breach

ID = typer.Argument(..., metavar="ID", help="The breach's id, or its beginning.")
FORCE = typer.Option(False, "--force", help="Overwrite what exists.")


def list_breaches() -> None:
    """List breaches, own ones and those that partners told of, with the hours left.

    Example: mutuals breach list
    """
    from mutuals.obligations.breach_standing import standing
    from mutuals_client.breach_view import standing_facts

    with open_peer() as peer, peer.store.transaction() as tx:
        found = [standing(tx, row, peer.clock()) for row in tx.breaches.list()]
    if found:
        table(
            None,
            ("Breach", "Whose", "State", "Aware since", "Authority by", "Overdue"),
            [
                (
                    item.breach.breach_id,
                    item.partner_name or "own",
                    item.breach.state.value,
                    f"{item.row.aware_at:%Y-%m-%d %H:%M}",
                    f"{item.authority.deadline:%Y-%m-%d %H:%M}" if item.authority else "–",
                    "yes" if item.overdue else "",
                )
                for item in found
            ],
        )
    else:
        say("No breach is recorded. Record one: mutuals breach open --help")
    result(breaches=[standing_facts(item) for item in found])


def show(
    reference: str | None = typer.Argument(None, metavar="[ID]", help="[default: the only open breach]"),
) -> None:
    """Show a breach: the hours left, who was told and has acknowledged it, the numbers, and what to do next.

    Example: mutuals breach show B-7Q3K2M9X
    """
    from mutuals.obligations.breach_affected import touched_runs
    from mutuals.obligations.breach_record import find_breach
    from mutuals.obligations.breach_standing import open_breaches, standing
    from mutuals_client.breach_view import run_facts, say_standing, standing_facts

    with open_peer() as peer, peer.store.transaction() as tx:
        now = peer.clock()
        if reference is None:
            found = open_breaches(tx, now)
            if len(found) != 1:
                raise MutualsError(
                    ErrorCode.USAGE,
                    f"{len(found) or 'No'} breaches are open; say which one to show.",
                    hint="See them with: mutuals breach list",
                )
            stands = found[0]
        else:
            row, _ = find_breach(tx, reference)
            stands = standing(tx, row, now)
        runs = touched_runs(tx, stands.breach)
        names = {row.digest: row.agreement_id for row in tx.agreements.list()}
    say_standing(stands, runs, names)
    result(
        **standing_facts(stands),
        runs=[run_facts(item) for item in runs],
        agreements=agreement_ids(stands.breach, names),
    )


def affected(
    reference: str = ID,
    out: Path = typer.Option(..., "--out", "-o", metavar="FILE", help="The file to write: .csv or .parquet."),
    force: bool = FORCE,
) -> None:
    """Write which own contacts were sent under the breach's agreements, with the fields; from the sent-ledger.

    Needs an operator with the accountability key. Example: mutuals breach affected B-7Q3K2M9X --out affected.csv
    """
    from rich.markup import escape

    from mutuals.identity.operators import ACCOUNTABILITY_ROLES
    from mutuals.obligations.breach_affected import write_affected
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        keys = unlock_operator(peer, roles=ACCOUNTABILITY_ROLES, act="list the contacts that were sent")
        found = write_affected(peer, reference, out, keys, force=force)
    say(
        f"Wrote [bold]{counted(found.contacts, 'contact')}[/] to {escape(str(out))}, "
        f"{counted(found.rows, 'row')}. Keep it safe."
    )
    result(file=str(out.absolute()), contacts=found.contacts, rows=found.rows)


def notices(
    reference: str = ID,
    out: Path = typer.Option(..., "--out", "-o", metavar="DIR", help="The folder to write into."),
    force: bool = FORCE,
) -> None:
    """Write drafts of the notices to the authority, the persons and the partners, and what each still lacks.

    Example: mutuals breach notices B-7Q3K2M9X --out notices
    """
    from rich.text import Text

    from mutuals.obligations.breach_files import write_notices

    with open_peer() as peer:
        files = write_notices(peer, reference, out, force=force)
    say("Drafts, to be completed and sent by people; not legal advice:")
    say(*(Text(f"  {path}") for path in files))
    result(files=[str(path.absolute()) for path in files])


def agreement_ids(breach: Breach, names: Mapping[str, str]) -> list[str]:
    """The agreements of a breach as people know them; ``names`` are ids by digest."""
    return [names.get(digest, digest) for digest in breach.agreements]

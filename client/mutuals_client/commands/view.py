"""``mutuals view RUN``: some of what the partner sent, on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from mutuals_client.console import OperatorCommand, open_peer, result, say
from mutuals_client.run_facts import find_run

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from mutuals.runs.transforms import Value


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("view", cls=OperatorCommand)(view)


def view(
    run_id: str = typer.Argument(..., metavar="RUN"),
    rows: int = typer.Option(10, "--rows", min=1, max=1000, help="How many contacts to show."),
) -> None:
    """Look at some of what a finished exchange received, without writing a file.

    Shows contacts' data on the screen to an operator who may view it; fields that the agreement or the policy keeps
    from them are left out and named. The look is signed and logged.
    Example: mutuals view R-7Q3K2M9X --rows 5
    """
    from rich.markup import escape

    from mutuals.identity.operators import READ_ROLES
    from mutuals.runs.view import view_records
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        run = find_run(peer, run_id)
        keys = unlock_operator(peer, roles=READ_ROLES, act="read received records")
        received = view_records(peer, run.run_id, keys, most=rows)
    shown = received.rows[:rows]
    say(_table([item.name for item in received.fields], shown) if shown else "No record is left to look at.")
    if len(received.rows) > len(shown):
        say(f"{len(received.rows) - len(shown):,} more are not shown.")
    for item in received.refused:
        say(f"Left out: {escape(str(item))} {escape(item.changes)}")
    if received.withheld:
        say(
            f"Left out, since your source no longer lets them take part: {sum(received.withheld.values()):,}."
        )
    if received.expired:
        say(f"Left out, past their retention: {received.expired:,} records.")
    result(
        run=run.run_id,
        contacts=len(received.rows),
        fields=[item.name for item in received.fields],
        rows=[{"contact_id": contact, **values} for contact, values in shown],
        refused=[
            {"field": item.field, "rule": item.rule, "changes": item.changes} for item in received.refused
        ],
        expired=received.expired,
        withheld=dict(received.withheld),
    )


def _table(names: list[str], rows: Sequence[tuple[str, dict[str, Value]]]) -> Table:
    from rich.table import Table

    table = Table("contact_id", *names, box=None, header_style="bold", padding=(0, 2, 0, 0))
    for contact, values in rows:
        cells = (values.get(name) for name in names)
        table.add_row(_plain(contact), *(_plain("" if cell is None else str(cell)) for cell in cells))
    return table


def _plain(text: str) -> Text:
    """A partner's text as a terminal may show it: no control characters, no markup."""
    from rich.text import Text

    return Text("".join(character if character.isprintable() else "?" for character in text[:200]))

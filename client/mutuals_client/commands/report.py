"""``mutuals report RUN``: what came out of a run, as a page to forward and to file."""

from __future__ import annotations

from pathlib import Path

import typer

from mutuals_client.console import Command, open_peer, result, say
from mutuals_client.run_facts import find_run


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", cls=Command)(report)


def report(
    run_id: str = typer.Argument(..., metavar="RUN"),
    out: Path | None = typer.Option(
        None, "--out", "-o", metavar="FILE", help="The page to write. [default: RUN.html]", dir_okay=False
    ),
    force: bool = typer.Option(False, "--force", help="Overwrite the file if it exists."),
) -> None:
    """Write what came out of a run as one page: overlap, who took part, what moved, what each side learned.

    It works for a run in any state, needs no passphrase and holds no contact's data.
    Example: mutuals report R-7Q3K2M9X --out spring-campaign.html
    """
    from rich.markup import escape

    from mutuals.runs.report import gather_report
    from mutuals_client.report_file import check_target, write_page
    from mutuals_client.report_page import report_page
    from mutuals_client.report_words import what_each_learned

    with open_peer() as peer:
        run = find_run(peer, run_id)
        path = out or Path(f"{run.run_id}.html")
        check_target(path, force=force)
        found = gather_report(peer, run.run_id)
    write_page(path, report_page(found))
    say(f"Wrote {escape(str(path))}. It holds no contact's data; open it in any browser.")
    learned = {part.heading: list(part.sentences) for part in what_each_learned(found)}
    result(file=str(path.absolute()), **found.facts(), learned=learned)

"""``mutuals doctor``: whether this machine and this peer are fit to run, and what to do where they are not."""

from __future__ import annotations

import typer

from mutuals_client.commands.status import OVERDUE
from mutuals_client.console import Command, beside, home_path, result, say
from mutuals_client.next_steps import say_setup, to_paste


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", cls=Command)(doctor)


def doctor(
    partner: str | None = typer.Argument(
        None, metavar="[PARTNER]", help="Name or fingerprint. [default: all that can be called]"
    ),
    offline: bool = typer.Option(False, "--offline", help="Call no partner."),
) -> None:
    """Check this machine, this peer and the way to its partners, and say what to do.

    Versions, engines, cores, keys, store, certificate, port and clock; of each partner whether it answers, and whether
    clock, cards, protocol and profiles fit yours. Needs no passphrase, changes nothing. Ends with 10 where something
    must be put right; a partner that is down counts only if you name it. Example: mutuals doctor "Beta SA"
    """
    from rich.text import Text

    from mutuals.identity.home import Home
    from mutuals_client.doctor import Verdict, examine

    marks = {
        Verdict.OK: ("ok  ", "green"),
        Verdict.WARN: ("warn", "yellow"),
        Verdict.FAIL: ("FAIL", "bold red"),
    }
    found = []
    home = Home(home_path().expanduser().absolute())
    for name, finding in examine(home, partner=partner, offline=offline):
        say(beside(Text(*marks[finding.verdict]), Text(finding.sentence)))
        if finding.advice:
            say(Text(f"      {to_paste(finding.advice)}", "dim" if finding.verdict is Verdict.OK else ""))
        found.append((name, finding))
    failed = sum(finding.verdict is Verdict.FAIL for _, finding in found)
    say("Fit." if not failed else "[bold]Put right what failed, then run this again.[/bold]")
    if not failed:
        say_setup()
    result(
        fit=not failed,
        checks=[
            {
                "check": name,
                "verdict": finding.verdict.value,
                "sentence": finding.sentence,
                "advice": finding.advice,
                "facts": finding.facts,
            }
            for name, finding in found
        ],
    )
    if failed:
        raise typer.Exit(OVERDUE)

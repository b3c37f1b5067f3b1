"""``mutuals demo``: two companies on this machine, from the first handshake to both deletion certificates."""

from __future__ import annotations

from pathlib import Path

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import Command, result, say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", cls=Command)(demo)


def demo(
    contacts: int = typer.Option(3000, "--contacts", min=50, help="Customers of each company."),
    seed: int = typer.Option(7, "--seed", help="Another seed makes other lists."),
    folder: Path | None = typer.Option(
        None,
        "--dir",
        file_okay=False,
        help="Where the two homes go. [default: a new folder mutuals-demo here]",
    ),
) -> None:
    """Let two invented companies share and part for real, and tell the story.

    Two homes, a server, loopback TLS; every result is checked against the truth. Example: mutuals demo
    """
    from mutuals_client.demo.story import Story

    place = (folder or _free_folder()).absolute()
    if place.exists() and any(place.iterdir()):
        raise MutualsError(
            ErrorCode.USAGE,
            f"The folder {place} is not empty.",
            hint="Name another: mutuals demo --dir FOLDER",
        )
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    result(**Story(place, contacts, seed, say).tell())


def _free_folder() -> Path:
    number = 1
    while (place := Path("mutuals-demo" if number == 1 else f"mutuals-demo-{number}")).exists():
        number += 1
    return place

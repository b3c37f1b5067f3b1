"""``mutuals completion SHELL``: the script by which a shell completes commands and options."""

from __future__ import annotations

import sys

import click
import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import SETTINGS, Command, result


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("completion", cls=Command)(completion)


def completion(shell: str = typer.Argument(..., metavar="SHELL", help="bash, zsh or fish.")) -> None:
    """Print a script by which your shell completes commands and options.

    Everything is in the script, so TAB answers at once; print it anew after an upgrade. For bash and zsh source it in
    ~/.bashrc or ~/.zshrc; for fish write it to ~/.config/fish/completions/mutuals.fish.
    Example: mutuals completion bash > ~/.mutuals-completion
    """
    from mutuals_client.completion import SHELLS, script

    if shell not in SHELLS:
        raise MutualsError(
            ErrorCode.USAGE,
            "There is no completion for that shell.",
            hint=f"There is for {', '.join(SHELLS)}.",
        )
    text = script(shell, click.get_current_context().find_root().command)
    if not SETTINGS.json:
        sys.stdout.write(text)
    result(shell=shell, script=text)

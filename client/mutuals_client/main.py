"""The ``mutuals`` command: commands by group, and how an error reaches a person.

mutuals init --org "Acme Ltd"
mutuals match A-7Q3K2M9X
"""

from __future__ import annotations

import sys
from importlib import import_module

import click
import typer

from mutuals import __version__
from mutuals.errors import ErrorCode, MutualsError, place_of
from mutuals.unhandled import keep_texts_quiet
from mutuals_client.console import SETTINGS, reset_settings, result, stderr

COMMAND_MODULES = (
    "initialise",
    "card",
    "partner",
    "operator",
    "source",
    "agreement",
    "serve",
    "sync",
    "match",
    "runs",
    "reveal",
    "exchange",
    "export",
    "demo",
)


def build_app() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="mutuals",
        help="Find the contacts you share with a partner. Reveal nothing else.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def _root(
        version: bool = typer.Option(
            False, "--version", help="Show the version.", is_eager=True, callback=_version
        ),
    ) -> None:
        pass

    for name in COMMAND_MODULES:
        import_module(f"mutuals_client.commands.{name}").register(app)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mutuals {__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Run one command line and exit with its code (docs/cli.md)."""
    keep_texts_quiet("mutuals")
    reset_settings()
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run one command line; the exit code. Errors are printed, never raised."""
    try:
        code = build_app()(arguments, standalone_mode=False)
    except MutualsError as error:
        _report(error.code, error.message, error.hint)
        return error.exit_code
    except click.ClickException as error:
        if SETTINGS.json:
            _report(ErrorCode.USAGE, error.format_message(), None)
        else:
            error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        stderr().print("Stopped.")
        return 1
    except BrokenPipeError:
        return 1
    except Exception as error:  # the last line of defence: no traceback, no data, to a person
        what = f"{type(error).__name__} at {place_of(error)}"
        _report(ErrorCode.INTERNAL, f"mutuals failed unexpectedly ({what}).", "Please report this.")
        return 1
    return code if isinstance(code, int) else 0


def _report(code: ErrorCode, message: str, hint: str | None) -> None:
    result(error={"code": code.value, "message": message, "hint": hint})
    if not SETTINGS.json:
        from rich.text import Text

        console = stderr()
        console.print(Text.assemble(("mutuals: ", "bold red"), message))
        if hint:
            console.print(Text(f"  {hint}"))


if __name__ == "__main__":
    main()

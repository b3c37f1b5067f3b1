"""The ``mutuals`` command: commands by group, and how an error reaches a person.

mutuals init --org "Acme Ltd"
mutuals match A-7Q3K2M9X
"""

from __future__ import annotations

import io
import os
import re
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module

import click
import typer

from mutuals import __version__
from mutuals.errors import ErrorCode, MutualsError, place_of
from mutuals.hardening import protect_process
from mutuals.unhandled import keep_texts_quiet
from mutuals_client.console import SETTINGS, reset_settings, result, stderr
from mutuals_client.next_steps import with_home

COMMANDS = (
    "init",
    "card",
    "partner",
    "operator",
    "policy",
    "source",
    "agreement",
    "serve",
    "sync",
    "retention",
    "status",
    "doctor",
    "match",
    "runs",
    "reveal",
    "exchange",
    "view",
    "export",
    "report",
    "revoke",
    "notices",
    "breach",
    "attest",
    "audit",
    "demo",
    "completion",
)
"""In the order of the help; each is made by the module of its name in ``commands``."""

STOPPED = 130
"""The exit code after Ctrl-C, as of any program that a shell sees stopped; it is Typer's as well."""

_SPEAKERS = frozenset(
    {"click.utils", "json", "mutuals_client.commands.completion", "mutuals_client.console", "rich.console"}
)
"""The modules that write to standard output."""


def build_app(names: tuple[str, ...] = COMMANDS) -> typer.Typer:
    """The command line, with the commands of these names."""
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

    for name in names:
        import_module(f"mutuals_client.commands.{name}").register(app)
    return app


@cache
def _command(names: tuple[str, ...]) -> click.Command:
    """What runs a command line; for programs that run several, made once for these names.

    Not by calling the app: Typer would take over sys.excepthook, and print tracebacks again.
    """
    return typer.main.get_command(build_app(names))


def _needed(arguments: list[str]) -> tuple[str, ...]:
    """Which commands these arguments need: all where none is named, or a wrong one. All take a tenth of a second."""
    return (arguments[0],) if arguments and arguments[0] in COMMANDS else COMMANDS


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mutuals {__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Run one command line and exit with its code (docs/cli.md)."""
    keep_texts_quiet("mutuals")
    protect_process()
    reset_settings()
    _print_anywhere()
    sys.exit(run(arguments))


def _print_anywhere() -> None:
    """Print a question mark for what the terminal's encoding lacks, such as “ in Latin-1, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() not in {"utf-8", "utf8"}:
            stream.reconfigure(errors="replace")


def run(arguments: list[str] | None = None) -> int:
    """Run one command line; the exit code. Errors are printed, never raised."""
    try:
        try:
            code = _run(sys.argv[1:] if arguments is None else arguments)
        except KeyboardInterrupt:  # while an error was being told
            code = STOPPED
        if code == STOPPED:
            result(error={"code": ErrorCode.CANCELLED.value, "message": "Stopped.", "hint": None})
            print("Stopped.", file=sys.stderr)
        sys.stdout.flush()
    except OSError as error:  # of standard output: every other one has been reported
        return _cannot_speak(error)
    return code


def _run(arguments: list[str]) -> int:
    try:
        code = _command(_needed(arguments)).main(arguments, prog_name="mutuals", standalone_mode=False)
    except MutualsError as error:
        _report(error.code, error.message, error.hint, own=True)
        return error.exit_code
    except click.ClickException as error:
        SETTINGS.json |= _asks_for_json(arguments)  # it may stand behind the argument that is wrong
        if not SETTINGS.json and isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
            error.show()
        else:
            _report(ErrorCode.USAGE, _sentence(error), _usage(error))
        return 2
    except (click.Abort, KeyboardInterrupt):
        return STOPPED
    except Exception as error:  # the last line of defence: no traceback, no data, to a person
        if isinstance(error, OSError) and _of_output(error):
            raise
        what = f"{type(error).__name__} at {place_of(error)}"
        _report(ErrorCode.INTERNAL, f"mutuals failed unexpectedly ({what}).", "Please report this.")
        return 1
    return code if isinstance(code, int) else 0


def _asks_for_json(arguments: list[str]) -> bool:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return "--json" in arguments[:end]


def _sentence(error: click.ClickException) -> str:
    """What Click has to say, punctuated as everything else here."""
    if misplaced := _misplaced(error):
        return f"“{misplaced}” stands behind the command."
    # Typer and Click may both propose what was meant.
    text = error.message if "Did you mean" in error.message else error.format_message()
    text = re.sub(r"'([^']*)'", r"“\1”", " ".join(text.split()))
    return text if text.endswith((".", "?")) else f"{text}."


def _misplaced(error: click.ClickException) -> str | None:
    """The option that every command takes and that was given before the command, if that is the error."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None or error.ctx.parent is not None:
        return None
    everywhere = {"--home", "--json", "--yes", "-y", "--operator", "--passphrase-fd"}
    return error.option_name if error.option_name in everywhere else None


def _usage(error: click.ClickException) -> str | None:
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return None
    if _misplaced(error):
        return "Usage: mutuals COMMAND [OPTIONS] [ARGS]..., as in: mutuals status --home FOLDER --json"
    return f"{' '.join(context.get_usage().split())}  (more: {context.command_path} --help)"


def _of_output(error: OSError) -> bool:
    """Whether ``error`` came of writing to standard output: Python forgets what it could not write."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") in _SPEAKERS


def _cannot_speak(error: OSError) -> int:
    """The exit code where nobody can be told, or nobody listens, as in ``mutuals runs | head -1``."""
    with suppress(OSError, ValueError):  # or Python would try once more at the end, and complain
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    if not isinstance(error, BrokenPipeError):
        SETTINGS.json = False  # there is only standard error left
        with suppress(OSError):
            _report(ErrorCode.LOCAL, f"Standard output cannot be written: {error.strerror}.", None)
    return 1


def _report(code: ErrorCode, message: str, hint: str | None, *, own: bool = False) -> None:
    """Tell a person or a program; ``own``: the sentences are ours, and may propose commands."""
    result(error={"code": code.value, "message": message, "hint": hint})
    if not SETTINGS.json:
        from rich.text import Text

        if own and SETTINGS.home_named:  # people paste them
            commands = _command(COMMANDS)
            message, hint = with_home(message, commands), hint and with_home(hint, commands)
        console = stderr()
        console.print(Text.assemble(("mutuals: ", "bold red"), message))
        if hint:
            console.print(Text(f"  {hint}"))


if __name__ == "__main__":
    main()

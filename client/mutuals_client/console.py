"""What every command shares: its options, how it speaks to a person or a program, how it asks.

People are told on standard output; progress goes to standard error; with ``--json`` standard output carries exactly
one object. Prompts appear only on a terminal.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from typer.core import TyperArgument, TyperCommand, TyperGroup

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.keyrings import passphrase_from_keyring

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from mutuals.peer import Peer


@dataclass
class Settings:
    """The options every command takes, as given on this command line."""

    home: Path | None = None
    home_named: bool = False  # with --home, not by the environment
    json: bool = False
    yes: bool = False
    passphrase_fd: int | None = None
    operator: str | None = None


SETTINGS = Settings()
_NOTIFICATIONS: list[dict[str, Any]] = []


def reset_settings() -> None:
    """Forget the last command line; ``main`` calls this first, so that tests may call it many times."""
    _NOTIFICATIONS.clear()
    for name, value in vars(Settings()).items():  # others hold the one object, so it is refilled
        setattr(SETTINGS, name, value)


def _store(name: str) -> Any:
    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if value is not None and value is not False:
            setattr(SETTINGS, name, value)
            if name == "home" and parameter.name is not None:
                source = context.get_parameter_source(parameter.name)
                SETTINGS.home_named = source is ParameterSource.COMMANDLINE
        return value

    return callback


def _shared_options() -> list[click.Option]:
    return [
        click.Option(
            ["--home"],
            type=click.Path(path_type=Path, file_okay=False),
            envvar="MUTUALS_HOME",
            expose_value=False,
            callback=_store("home"),
            help="The peer's home folder. [default: the platform's user data folder]",
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            expose_value=False,
            callback=_store("json"),
            help="Print one JSON object.",
        ),
        click.Option(
            ["-y", "--yes"],
            is_flag=True,
            expose_value=False,
            callback=_store("yes"),
            help="Answer yes to questions.",
        ),
    ]


def _operator_options() -> list[click.Option]:
    return [
        click.Option(
            ["--operator"],
            envvar="MUTUALS_OPERATOR",
            expose_value=False,
            callback=_store("operator"),
            help="Who you are, where the peer has several operators.",
        ),
        click.Option(
            ["--passphrase-fd"],
            type=int,
            expose_value=False,
            callback=_store("passphrase_fd"),
            help="Read the operator's passphrase from this file descriptor.",
        ),
    ]


def _restore_argument_help(command: TyperCommand) -> None:
    """Give arguments the help that their functions state.

    Since Click 8.4 an argument has a help of its own, by which it forgets the one that Typer before 0.26 gave it.
    """
    if command.callback is None:
        return
    stated = inspect.signature(command.callback).parameters
    for parameter in command.params:
        if isinstance(parameter, TyperArgument) and parameter.help is None and parameter.name in stated:
            parameter.help = getattr(stated[parameter.name].default, "help", None)


class Command(TyperCommand):
    """A command with ``--home``, ``--json`` and ``--yes``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _restore_argument_help(self)
        self.params.extend(_shared_options())


class NamedCommand(Command):
    """A command that some operators may run and none signs for: also ``--operator``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_operator_options()[0])


class OperatorCommand(Command):
    """A command that an operator signs or decrypts for: also ``--operator`` and ``--passphrase-fd``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_operator_options())


class ListingGroup(TyperGroup):
    """A command group that lists when no command is named: ``mutuals runs`` is ``mutuals runs list``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``list`` in front where the first word is no command and no request for help."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def stdout() -> Console:
    """The console for people."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def stderr() -> Console:
    """The console for progress and errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def say(*lines: Any) -> None:
    """Print lines (rich markup) or rich renderables for a person; nothing with ``--json``.

    Escape text that came from files or partners with ``rich.markup.escape``.
    """
    if not SETTINGS.json:
        console = stdout()
        for line in lines:
            console.print(line)


def say_commands(*lines: str) -> None:
    """Print command lines to copy, each on one line however narrow the terminal; nothing with ``--json``."""
    from rich.text import Text

    if not SETTINGS.json:
        for line in lines:
            stdout().print(Text(f"  {line}", "dim" if line.startswith("#") else ""), soft_wrap=True)


def result(**values: Any) -> None:
    """Print the command's one JSON object, with what ``notify`` was given; nothing without ``--json``."""
    if SETTINGS.json:
        if _NOTIFICATIONS:
            values["notifications"] = list(_NOTIFICATIONS)
            _NOTIFICATIONS.clear()
        json.dump(values, sys.stdout, indent=2, default=_as_json, ensure_ascii=False)
        sys.stdout.write("\n")
        sys.stdout.flush()


def _as_json(value: object) -> str:
    """What JSON has no type for: days and moments by RFC 3339, which every language reads; the rest as its text."""
    return value.isoformat() if isinstance(value, date) else str(value)


def notify(text: str, **facts: Any) -> None:
    """Tell the operator something that happened since their last command: on standard error, or in the JSON object."""
    if SETTINGS.json:
        _NOTIFICATIONS.append({"text": text, **facts})
        return
    from rich.text import Text

    stderr().print(Text.assemble(("note: ", "bold yellow"), text))


def interactive() -> bool:
    """True where a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not SETTINGS.json


def confirm(question: str, *, honour_yes: bool = True, default: bool = False) -> bool:
    """Ask yes or no; Enter is ``default``. ``--yes`` answers yes unless ``honour_yes`` is False.

    Raises MutualsError (USAGE) where nobody can be asked.
    """
    if honour_yes and SETTINGS.yes:
        return True
    if not interactive():
        hint = "Add --yes." if honour_yes else None
        raise MutualsError(
            ErrorCode.USAGE, "This needs an answer, and there is no terminal to ask on.", hint=hint
        )
    return click.confirm(question, default=default, err=True)


def ask(question: str, default: str | None = None) -> str:
    """Ask for a line of text. Raises MutualsError (USAGE) where nobody can be asked and there is no default."""
    if not interactive():
        if default is not None:
            return default
        raise MutualsError(
            ErrorCode.USAGE, f"“{question}” needs an answer, and there is no terminal to ask on."
        )
    answer: str = click.prompt(
        question,
        default=default,
        show_default=default != "",
        prompt_suffix=" " if question.endswith(("?", ")")) and not default else ": ",
        err=True,
    )
    return answer


def passphrase(operator: str, *, new: bool = False) -> bytes:
    """The operator's passphrase: from ``--passphrase-fd``, the OS keyring, or a prompt (twice where ``new``).

    Raises MutualsError (USAGE) where none of them can give it. Never from arguments or the environment.
    """
    return _passphrase(operator, SETTINGS.passphrase_fd, "--passphrase-fd", new=new)


def new_passphrase(operator: str, descriptor: int | None) -> bytes:
    """A passphrase for an operator whom another one adds: from ``--new-passphrase-fd`` or a prompt, asked twice."""
    return _passphrase(operator, descriptor, "--new-passphrase-fd", new=True)


def asks_for_passphrase(operator: str, *, new: bool = False) -> bool:
    """Whether ``passphrase`` would ask a person, who may mistype it."""
    if SETTINGS.passphrase_fd is not None or not interactive():
        return False
    return new or passphrase_from_keyring(operator) is None


def _passphrase(operator: str, descriptor: int | None, option: str, *, new: bool) -> bytes:
    if descriptor is not None:
        return _passphrase_from_descriptor(descriptor, option)
    stored = None if new else passphrase_from_keyring(operator)
    if stored is not None:
        return stored
    if not interactive():
        raise MutualsError(
            ErrorCode.USAGE,
            f"The passphrase of operator {operator} is needed, and there is no terminal to ask on.",
            hint=f"Give it with {option}, for example: {option} 3 3< passphrase-file",
        )
    if new:
        return _ask_new_passphrase(operator)
    text: str = click.prompt(f"Passphrase of operator {operator}", hide_input=True, err=True)
    return text.encode()


def _ask_new_passphrase(operator: str) -> bytes:
    """A passphrase that is good enough, typed the same twice; asked again until it is."""
    from mutuals.identity.operators import check_passphrase

    while True:
        text: str = click.prompt(f"New passphrase for operator {operator}", hide_input=True, err=True)
        try:
            check_passphrase(text.encode())
        except MutualsError as error:
            click.echo(f"{error.message} {error.hint}", err=True)
            continue
        if click.prompt("The same again", hide_input=True, err=True) == text:
            return text.encode()
        click.echo("The two differ.", err=True)


def _passphrase_from_descriptor(descriptor: int, option: str) -> bytes:
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            value = stream.readline().rstrip(b"\r\n")
    except OSError as error:
        raise MutualsError(
            ErrorCode.USAGE,
            f"File descriptor {descriptor} cannot be read for a passphrase.",
            hint=f"Open it on the command line: {option} {descriptor} {descriptor}< passphrase-file",
        ) from error
    if not value:
        raise MutualsError(ErrorCode.USAGE, f"File descriptor {descriptor} gave an empty passphrase.")
    return value


def home_path() -> Path:
    """The home folder of this command line: ``--home``, ``MUTUALS_HOME`` or the platform's user data folder."""
    from mutuals.identity.home import default_home

    return SETTINGS.home or default_home()


def open_peer() -> Peer:
    """The peer in this command's home, ready for use. Raises MutualsError where there is none."""
    from mutuals.peer import Peer

    return Peer.open(home_path())


def beside(mark: Text, sentence: Text) -> RenderableType:
    """``mark`` and two blanks before ``sentence``, whose further lines on a terminal stand under its first."""
    from rich.table import Table
    from rich.text import Text

    if not stdout().is_terminal:
        return Text.assemble(mark, "  ", sentence)
    shown = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    shown.add_row(mark, sentence)
    return shown


def table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a plain table for a person; cells are shown as they are, without markup."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in columns:
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*(cell if not isinstance(cell, str) else Text(cell) for cell in row))
    say(shown)

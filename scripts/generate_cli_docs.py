"""docs/cli.md, written from the program: every command with its help, its example, its arguments and options.

python scripts/generate_cli_docs.py            write it
python scripts/generate_cli_docs.py --check    fail where it is not what the program says

What a reader needs besides (what --json gives, the states of runs) is docs/commands-guide.md, by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import typer
from typer.core import TyperArgument

from mutuals_client.console import Command, NamedCommand, OperatorCommand
from mutuals_client.exit_codes import BY_COMMAND, EXIT_CODES
from mutuals_client.main import build_app

TARGET = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

_HEAD = """\
<!-- Written by `make docs` from the program: change a command's help, not this file. -->

# Every command

What `--json` gives, the states of a run and what belongs to several commands: [commands-guide.md](commands-guide.md).
How to run a peer, by hand or unattended: [operations.md](operations.md).
"""

_EXAMPLE = re.compile(r"\s*Examples?:\s*(?P<lines>mutuals .*)\Z", re.DOTALL)


def commands(command: click.Command, path: str = "mutuals") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its name in full, in the order of the help."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from commands(found, f"{path} {name}")
    else:
        yield path, command


def split_help(command: click.Command) -> tuple[str, list[str]]:
    """A command's help without its examples, and these, one command line each."""
    text = (command.help or "").replace("\f", "").strip()
    found = _EXAMPLE.search(text)
    if found is None:
        return text, []
    lines = [line.strip().rstrip(";") for line in found["lines"].splitlines()]
    return text[: found.start()].strip(), [line for line in lines if line]


def page() -> str:
    """The whole document."""
    every = list(commands(typer.main.get_command(build_app())))
    parts = [_HEAD, _contents(every), _shared(), _codes()]
    parts += [_section(name, command) for name, command in every]
    return "\n".join(parts)


def _contents(every: list[tuple[str, click.Command]]) -> str:
    lines = ["| command | what it does |", "|---|---|"]
    for name, command in every:
        summary = _cell(split_help(command)[0].split("\n\n")[0])
        lines.append(f"| [`{name}`](#{name.replace(' ', '-')}) | {summary} |")
    return "\n".join(lines) + "\n"


def _shared() -> str:
    shared = Command("all", callback=lambda: None).params
    acting = OperatorCommand("some", callback=lambda: None).params
    lines = ["## Options of every command", "", *_option_table(shared)]
    lines += ["", "And where an operator acts, signs or opens something:", "", *_option_table(acting)]
    return "\n".join(lines) + "\n"


def _codes() -> str:
    lines = ["## Exit codes", "", "| code | meaning | a scheduled job should |", "|---|---|---|"]
    lines += [f"| {one.code} | {_cell(one.meaning)} | {one.then} |" for one in EXIT_CODES]
    lines += [
        "",
        "What does not exist ends with 2 for a source, partner or operator, with 6 for an agreement and",
    ]
    lines += [
        "with 1 for a run. For the commands that jobs run:",
        "",
        "| command | code | meaning |",
        "|---|---|---|",
    ]
    for name, codes in BY_COMMAND.items():
        lines += [f"| `mutuals {name}` | {code} | {_cell(text)} |" for code, text in codes.items()]
    return "\n".join(lines) + "\n"


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name)
    text, examples = split_help(command)
    lines = [f"## {name}", "", "```", " ".join([name, *command.collect_usage_pieces(context)]), "```", ""]
    lines += [_plain(text), ""]
    if examples:
        lines += ["```bash", *examples, "```", ""]
    arguments = [one for one in command.params if isinstance(one, TyperArgument) and one.help]
    options = [one for one in command.params if isinstance(one, click.Option) and not _is_shared(one)]
    if arguments:
        lines += ["| argument | meaning |", "|---|---|"]
        lines += [f"| `{one.make_metavar(context).strip('[]')}` | {_cell(one.help)} |" for one in arguments]
        lines += [""]
    if options:
        lines += [*_option_table(options), ""]
    if isinstance(command, OperatorCommand):
        lines += ["Also `--operator` and `--passphrase-fd`.", ""]
    elif isinstance(command, NamedCommand):
        lines += ["Also `--operator`.", ""]
    return "\n".join(lines)


def _is_shared(option: click.Option) -> bool:
    return option.name in {"home", "json", "yes", "operator", "passphrase_fd"} and not option.expose_value


def _option_table(options: list[click.Parameter] | list[click.Option]) -> list[str]:
    lines = ["| option | meaning |", "|---|---|"]
    for option in options:
        if isinstance(option, click.Option):
            names = ", ".join([*option.opts, *option.secondary_opts])
            value = "" if option.is_flag or option.count else f" {option.metavar or _type(option)}"
            notes = [option.help or ""]
            if option.envvar:
                notes.append(f"Or the variable `{option.envvar}`.")
            if option.required:
                notes.append("Required.")
            lines.append(f"| `{names}{value}` | {_cell(' '.join(notes))} |")
    return lines


def _type(option: click.Option) -> str:
    return option.type.name.upper().replace(" ", "_")


def _plain(text: str) -> str:
    """Paragraphs as Markdown has them: Typer keeps the docstring's line breaks, which mean nothing."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")


def main(arguments: list[str]) -> int:
    """Write the document, or with ``--check`` compare it; the exit code."""
    text = page()
    if arguments == ["--check"]:
        if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
            return 0
        print("docs/cli.md is not what the program says; run: make docs")
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

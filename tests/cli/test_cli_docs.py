"""What docs/cli.md is written from: help with an example for every command, and exit codes that say what they mean."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
import typer
from typer.core import TyperArgument

from mutuals.errors import ERRORS
from mutuals_client.exit_codes import BY_COMMAND, EXIT_CODES
from mutuals_client.main import build_app

ROOT = typer.main.get_command(build_app())
KNOWN = {one.code for one in EXIT_CODES}


def commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with its path; what is hidden, too."""
    if isinstance(command, click.Group):
        for name, found in command.commands.items():
            yield from commands(found, *path, name)
    else:
        yield path, command


EVERY = dict(commands(ROOT))


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_has_an_example_that_is_its_own(path: tuple[str, ...]) -> None:
    command = EVERY[path]
    found = re.search(r"Examples?:\s*(mutuals .*)\Z", command.help or "", re.DOTALL)
    assert found, "its help ends with no example"
    for line in found[1].splitlines():
        words = shlex.split(line.strip().rstrip(";"))
        assert words[: len(path) + 1] == ["mutuals", *path]
        given = {word.split("=")[0] for word in words if word.startswith("-")}
        known = {name for parameter in command.params for name in parameter.opts}
        assert given <= known


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_option_says_what_it_is_for(path: tuple[str, ...]) -> None:
    for parameter in EVERY[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"--{parameter.name}"


def test_an_argument_s_help_is_kept() -> None:
    """Typer's arguments lose theirs with Click 8.4 and later (``console.Command`` gives it back)."""
    (agreement,) = (one for one in EVERY["match",].params if isinstance(one, TyperArgument))
    assert agreement.help == "Its id, as in: mutuals agreement list"


def test_every_code_an_error_ends_with_has_a_meaning() -> None:
    assert {info.exit_code for info in ERRORS.values()} <= KNOWN
    assert len(KNOWN) == len(EXIT_CODES)
    for name, codes in BY_COMMAND.items():
        assert tuple(name.split()) in EVERY
        assert set(codes) <= KNOWN

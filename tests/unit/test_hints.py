"""Every refusal says what to do, and every command it proposes exists: read from the source, not from examples."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import typer

from mutuals_client.main import build_app

ROOT = Path(__file__).parent.parent.parent
ERRORS = {"MutualsError"}
COMMANDS = typer.main.get_command(build_app())
_COMMAND = re.compile(r"\bmutuals ([a-z]+(?: [a-z|]+)*)((?: --?[a-z][\w-]*| '[^']*'| [A-Z<{][^\s;.,]*)*)")

SELF_EXPLAINING = {
    "INTERNAL": "a fault of the program: there is nothing a person could type",
    "BAD_MESSAGE": "a fault of the partner's software; who reads of it is told by `transport.status`",
    "BUSY": "said to the partner's software, whose own operator is told there",
    "CANCELLED": "somebody stopped it, and knows",
    "USAGE": "about an argument that the sentence names, or a person was asked and said no",
}
"""Codes after which nothing need be proposed, and why; all others are states that some command gets out of."""

FROM_A_PARTNER = re.compile(
    r"[Tt]he partner|two sides differ|came (?:about|to|for)|between these two peers|breach names"
)
"""A document or greeting broke a rule: the sentence is logged here, and the partner gets the code."""

NOTHING_TO_TYPE = {
    "{} cannot be written: {}.": "the folder or disk that the system names",
    "{} cannot be written ({}).": "the same",
    "{} cannot be read.": "the same",
    "{} cannot be read as text.": "the same, of a file that was named",
    "A connection was refused: {}.": "logged, of a caller nobody knows",
    "The renewed card was not taken.": "a person was asked and said no",
    "The file is larger than any bundle.": "it is another file than was meant",
    "Run {} has ended; nothing is kept of it.": "a race within a run; the next call says what the run became",
    "The overlap of run {} was destroyed.": "what it was needed for is over",
    "The stored overlap of run {} is damaged.": "only a backup helps, which the operator of the machine has",
    "Operator {}'s copy of the accountability key does not open.": "the same",
    "Operator {} is no operator of this peer now.": "removed while a command ran",
    "The agreement of run {} is not kept.": "the store is damaged",
    "There is no such agreement in the store.": "the same",
    "There is no agreement with digest {}.": "the same",
    "The stored card of {} is another peer's.": "the same",
    "{} is missing, which {} names.": "it names file and key",
    "Another preview of run {} was authorised meanwhile.": "the same command shows the new one",
}


@dataclass(frozen=True)
class Site:
    """An error that is made somewhere: its code, and the texts as far as they are literal."""

    place: str
    code: str
    message: str
    hint: str | None


def literal(node: ast.expr | None) -> str | None:
    """The text of an expression, ``{}`` for what is filled in; of a choice, all of it."""
    match node:
        case None:
            return None
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in parts)  # type: ignore[misc]
        case ast.BinOp(left=left, right=right):
            return f"{literal(left) or ''}{literal(right) or ''}"
        case ast.IfExp(body=body, orelse=orelse):
            return " / ".join(text for text in (literal(body), literal(orelse)) if text)
        case _:
            return "{}"


def trees() -> Iterator[tuple[str, ast.Module]]:
    for package in ("core/mutuals", "server/mutuals_server", "client/mutuals_client"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "v1" not in path.parts:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


TREES = dict(trees())


def sites() -> Iterator[Site]:
    for place, tree in TREES.items():
        for node in ast.walk(tree):
            if not (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS
            ):
                continue
            hint = next((word.value for word in node.keywords if word.arg == "hint"), None)
            code = node.args[0].attr if node.args and isinstance(node.args[0], ast.Attribute) else ""
            message = literal(node.args[1]) if len(node.args) > 1 else None
            yield Site(f"{place}:{node.lineno}", code, message or "", literal(hint))


def proposals() -> Iterator[tuple[str, str, str]]:
    """Every text of the program that proposes a command to type: place, the command's words, its options."""
    for place, tree in TREES.items():
        documented = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        inner = {
            id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
        }
        for node in ast.walk(tree):
            if (
                id(node) in documented
                or id(node) in inner
                or not isinstance(node, ast.Constant | ast.JoinedStr)
            ):
                continue
            for found in _COMMAND.finditer(literal(node) or ""):
                yield f"{place}:{node.lineno}", found[1], found[2]


PROSE = frozenset(
    {
        "and",
        "contact",
        "dated",
        "erased",
        "failed",
        "is",
        "knows",
        "mutuals",
        "on",
        "peer",
        "server",
        "store",
        "withdrawn",
        "words",
        "worker",
    }
)
"""What stands after the name where the program is meant, a label, or a key."""


def faults() -> Iterator[str]:
    for place, words, options in proposals():
        command: click.Command = COMMANDS
        for word in words.split():
            if not isinstance(command, click.Group):
                break
            if all(part in command.commands for part in word.split("|")):
                command = command.commands[word.split("|")[0]]
            elif command is COMMANDS and word in PROSE:
                break
            else:
                yield f"{place}: there is no mutuals {words}"
                break
        else:
            known = {
                name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)
            }
            for option in re.findall(r" (--?[a-z][\w-]*)", options):
                if option not in known | {"--help"}:
                    yield f"{place}: mutuals {words} has no {option}"


def test_every_command_that_is_proposed_exists_with_its_options() -> None:
    assert not list(faults())
    assert len(list(proposals())) > 150


def test_a_refusal_without_a_hint_is_one_after_which_there_is_nothing_to_type() -> None:
    bare = [
        site
        for site in sites()
        if site.hint is None and site.code not in SELF_EXPLAINING and not FROM_A_PARTNER.search(site.message)
    ]
    found = {site.message for site in bare}
    assert not [site for site in bare if site.message not in NOTHING_TO_TYPE]
    assert not [message for message in NOTHING_TO_TYPE if message not in found], "they have a hint by now"

"""What README and docs say about the command line is what the program does.

Three things are compared, in README.md, CONTRIBUTING.md and docs/:

1. every command line (in a fenced block, or in `code` in the text) names commands and options that exist;
2. a block ```console whose first line is `$ mutuals ... --help` holds that help, word for word;
3. every relative link leads to a file that exists.

    python scripts/check_readme.py             compare
    python scripts/check_readme.py --update    write the help blocks anew
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import typer

from mutuals_client.main import build_app

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 100

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`(mutuals(?: [^`]*)?)`")
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
_END = {"|", "||", "&&", ";", "#", "<", ">", ">>", "2>", "&"}


@dataclass(frozen=True)
class Finding:
    """One thing a document says that is not so."""

    document: Path
    line: int
    message: str


def documents() -> list[Path]:
    """The documents that are compared."""
    named = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return [path for path in [*named, *sorted((ROOT / "docs").rglob("*.md"))] if path.is_file()]


def command_lines(text: str) -> Iterator[tuple[int, str]]:
    """Every `mutuals ...` command line of a document, with its line number; continued lines are joined."""
    for fence in _FENCE.finditer(text):
        if fence["language"] not in {"console", "bash", "sh", "shell"}:
            continue
        start = text.count("\n", 0, fence.start("body")) + 1
        pending = ""
        for number, line in enumerate(fence["body"].splitlines(), start=start):
            wanted = line[2:] if line.startswith("$ ") else line if fence["language"] != "console" else ""
            pending = f"{pending} {line if pending else wanted}".strip()
            if pending.endswith("\\"):
                pending = pending[:-1].strip()
                continue
            if pending.startswith("mutuals"):
                yield number, pending
            pending = ""
    prose = _FENCE.sub(lambda fence: "\n" * fence.group().count("\n"), text)
    for code in _CODE.finditer(prose):
        yield prose.count("\n", 0, code.start()) + 1, code[1]


def fault_in(command_line: str, root: click.Command) -> str | None:
    """What is wrong with one command line, or nothing. Values are not judged, only commands and options."""
    try:
        words = shlex.split(command_line, comments=True)[1:]
    except ValueError:
        return "cannot be read as a command line"
    command, path = root, "mutuals"
    for word in words:
        if word in _END:
            break
        if word in {"...", "…"} or word.startswith("["):
            continue
        if word.startswith("-") and word != "-":
            name = word.split("=", 1)[0]
            if name not in _options(command):
                return f"{path} has no option {name}"
        elif isinstance(command, click.Group):
            # One line may name several commands of a group: `mutuals partner add|list`.
            for alternative in word.split("|"):
                if alternative not in command.commands and not alternative.isupper():
                    return f"{path} has no command {alternative}"
            if word not in command.commands:
                break
            command, path = command.commands[word], f"{path} {word}"
    return None


def _options(command: click.Command) -> set[str]:
    context = click.Context(command)
    names = {"-h", "--help"}
    for parameter in command.get_params(context):
        names.update(parameter.opts, parameter.secondary_opts)
    return names


def help_of(command_line: str) -> str:
    """The output of a `mutuals ... --help` command line, as a terminal without colours shows it."""
    environment = {
        **os.environ,
        "COLUMNS": str(WIDTH),
        "TERMINAL_WIDTH": str(WIDTH),
        "NO_COLOR": "1",
        "TERM": "dumb",
        "PYTHONIOENCODING": "utf-8",
    }
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "MUTUALS_HOME", "MUTUALS_OPERATOR"):
        environment.pop(name, None)
    program = "import sys; sys.argv[0] = 'mutuals'; from mutuals_client.main import main; main()"
    words = [sys.executable, "-c", program, *shlex.split(command_line)[1:]]
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip("\n") + "\n"


def with_real_help(text: str) -> str:
    """The document with every help block as the program prints it today."""

    def renew(fence: re.Match[str]) -> str:
        first = fence["body"].split("\n", 1)[0]
        if fence["language"] != "console" or not re.fullmatch(r"\$ mutuals( \S+)* --help", first):
            return fence.group()
        return f"```console\n{first}\n{help_of(first[2:])}```"

    return _FENCE.sub(renew, text)


def check(document: Path, root: click.Command) -> Iterator[Finding]:
    """Everything in one document that is not so."""
    text = document.read_text(encoding="utf-8")
    for number, command_line in command_lines(text):
        if fault := fault_in(command_line, root):
            yield Finding(document, number, f"`{command_line}`: {fault}")
    real = with_real_help(text)
    if real != text:
        pairs = zip(text.splitlines(), real.splitlines(), strict=False)
        line = next((number for number, (old, new) in enumerate(pairs, start=1) if old != new), 1)
        yield Finding(
            document, line, "help differs from the program's; run `python scripts/check_readme.py --update`"
        )
    for link in _LINK.finditer(text):
        if not (document.parent / link[1]).exists():
            yield Finding(
                document, text.count("\n", 0, link.start()) + 1, f"the link to {link[1]} leads nowhere"
            )


def main(arguments: list[str]) -> int:
    """Compare, or with ``--update`` write the help blocks anew; the exit code."""
    if arguments == ["--update"]:
        for document in documents():
            document.write_text(with_real_help(document.read_text(encoding="utf-8")), encoding="utf-8")
    root = typer.main.get_command(build_app())
    findings = [finding for document in documents() for finding in check(document, root)]
    for finding in findings:
        print(f"{finding.document.relative_to(ROOT)}:{finding.line}: {finding.message}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

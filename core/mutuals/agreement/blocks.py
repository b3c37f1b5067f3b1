"""A document as blocks, written once and shown on a terminal or as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

ENFORCED = "●"
PROMISED = "○"


@dataclass(frozen=True)
class Heading:
    """A section's title."""

    text: str


@dataclass(frozen=True)
class Clause:
    """A sentence of the agreement, and whether the software enforces it (nothing for a plain remark)."""

    text: str
    enforced: bool | None = None
    label: str = ""


@dataclass(frozen=True)
class Grid:
    """A table; ``enforced`` names the columns that the software enforces."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    enforced: frozenset[str] = frozenset()


Block = Heading | Clause | Grid


def mark(enforced: bool | None) -> str:
    """The sign of a clause."""
    return "" if enforced is None else ENFORCED if enforced else PROMISED


def to_terminal(title: str, blocks: Sequence[Block]) -> Group:
    """The blocks as one rich renderable; no text of theirs is taken for markup or reaches the terminal as control."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    shown: list[RenderableType] = [Text(printable(title), style="bold")]
    for block in blocks:
        match block:
            case Heading(text):
                shown.append(Padding(Text(printable(text), style="bold cyan"), (1, 0, 0, 0)))
            case Clause(text, enforced, label):
                line = Table.grid(padding=(0, 1))
                line.add_column(width=1)
                if label:
                    line.add_column(width=20, overflow="fold")
                line.add_column(overflow="fold")
                cells = [mark(enforced), *([printable(label)] if label else []), printable(text)]
                line.add_row(*(Text(cell) for cell in cells))
                shown.append(line)
            case Grid(columns, rows, enforced_columns):
                grid = Table(box=None, pad_edge=False, header_style="bold")
                for column in columns:
                    sign = f"{ENFORCED} " if column in enforced_columns else ""
                    grid.add_column(Text(sign + printable(column)), overflow="fold")
                for row in rows:
                    grid.add_row(*(Text(printable(cell)) for cell in row))
                shown.append(Padding(grid, (0, 0, 0, 2)))
    return Group(*shown)


def to_markdown(title: str, blocks: Sequence[Block]) -> str:
    """The blocks as Markdown (CommonMark with tables); text of theirs stays text."""
    lines = [f"# {escape(title)}", ""]
    for block in blocks:
        match block:
            case Heading(text):
                lines += ["", f"## {escape(text)}", ""]
            case Clause(text, enforced, label):
                name = f"**{escape(label)}:** " if label else ""
                lines.append(" ".join(filter(None, ["-", mark(enforced), name + escape(text)])))
            case Grid(columns, rows, enforced_columns):
                signs = [f"{ENFORCED} " if column in enforced_columns else "" for column in columns]
                lines += [
                    "",
                    _row([sign + escape(column) for sign, column in zip(signs, columns, strict=True)]),
                ]
                lines.append(_row(["---"] * len(columns)))
                lines += [_row([escape(cell) for cell in row]) for row in rows]
                lines.append("")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def escape(text: str) -> str:
    """Text that Markdown and HTML take literally, on one line."""
    flat = " / ".join(part.strip() for part in printable(text).splitlines() if part.strip())
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|!~])", r"\\\1", flat)


def printable(text: str) -> str:
    """Text without characters that steer a terminal or disguise other text; line breaks stay."""
    from mutuals.identity.text import deceptive_character

    return "".join("�" if deceptive_character(character, lines=True) else character for character in text)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"

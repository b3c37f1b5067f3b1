"""What is left to see of what was written to a terminal: lines that were written over or erased are gone."""

from __future__ import annotations

import re

_PARTS = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07]*\x07|[\r\n]|[^\x1b\r\n]+")


def seen(written: str) -> str:
    """The lines that stand there, without colours, as if the terminal were endlessly high."""
    lines, row, column = [""], 0, 0
    for part in _PARTS.finditer(written):
        text = part[0]
        if text == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif text == "\r":
            column = 0
        elif not text.startswith("\x1b"):
            lines[row] = lines[row].ljust(column)[:column] + text + lines[row][column + len(text) :]
            column += len(text)
        elif part[2] == "A":
            row = max(row - int(part[1] or 1), 0)
        elif part[2] == "K":
            lines[row] = "" if part[1] == "2" else lines[row][:column]
    return "\n".join(line.rstrip() if number < row else line for number, line in enumerate(lines))

"""A document's blocks as one HTML page (``mutuals.agreement.page``).

page = to_html("Agreement A-7Q3K2M9X: Spring campaign", describe(agreement, view))
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from mutuals.agreement.blocks import Block, Clause, Grid, Heading
from mutuals.agreement.page import page, text

_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")


def to_html(title: str, blocks: Sequence[Block], *, language: str = "en") -> str:
    """The page, as UTF-8 text. Whatever ``title`` and ``blocks`` hold stays text."""
    body = "\n".join([f"<h1>{text(title)}</h1>", *_body(blocks)])
    return page(title, body, language=language)


def _body(blocks: Sequence[Block]) -> Iterator[str]:
    for is_clause, group in groupby(blocks, key=lambda block: isinstance(block, Clause)):
        if is_clause:
            yield '<ul role="list">'  # without bullets Safari reads out no list
            yield from (_clause(block) for block in group if isinstance(block, Clause))
            yield "</ul>"
            continue
        for block in group:
            if isinstance(block, Heading):
                yield f"<h2>{text(block.text)}</h2>"
            elif isinstance(block, Grid):
                yield from _grid(block)


def _clause(clause: Clause) -> str:
    label = f"<strong>{text(clause.label)}</strong>" if clause.label else ""
    kind = ' class="plain"' if clause.enforced is None else ""
    return f"<li{kind}>{_mark(clause.enforced)}<p>{label}{_dated(clause.text)}</p></li>"


def _grid(grid: Grid) -> Iterator[str]:
    """A table; on a phone each row is a card, so the roles are said and each cell has its column's name with it."""
    names = [f"{column} (enforced)" if column in grid.enforced else column for column in grid.columns]
    yield '<table role="table">\n<thead role="rowgroup"><tr role="row">'
    for column in grid.columns:
        sign = _mark(True if column in grid.enforced else None)
        yield f'<th scope="col" role="columnheader">{sign}<span>{text(column)}</span></th>'
    yield '</tr></thead>\n<tbody role="rowgroup">'
    for row in grid.rows:
        cells = (
            f'<td role="cell" data-label="{text(name)}"><span>{_dated(cell)}</span></td>'
            for name, cell in zip(names, row, strict=True)
        )
        yield f'<tr role="row">{"".join(cells)}</tr>'
    yield "</tbody>\n</table>"


def _dated(value: str) -> str:
    """Text whose dates are not broken at their hyphens."""
    return _DATE.sub(r'<span class="date">\g<0></span>', text(value))


def _mark(enforced: bool | None) -> str:
    """The sign of a clause in words, so that it is read out and survives a black-and-white print."""
    if enforced is None:
        return ""
    return '<span class="mark yes">enforced</span>' if enforced else '<span class="mark no">promised</span>'

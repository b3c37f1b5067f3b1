"""A document's blocks as one HTML page that needs nothing else: no network, no script; for reading, a phone, and paper.

page = to_html("Agreement A-7Q3K2M9X: Spring campaign", describe(agreement, view))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from mutuals.agreement.blocks import Block, Clause, Grid, Heading, printable

_STYLE = """
:root{color-scheme:light}
body{margin:0;background:#fff;color:#1a1a1a;font:1.0625rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:52rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 1rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.25rem 0 .5rem;padding-top:.75rem;border-top:1px solid #c9ccd1;overflow-wrap:anywhere}
ul{list-style:none;margin:0;padding:0}
li{display:grid;grid-template-columns:6.5rem 1fr;gap:.15rem .9rem;padding:.4rem 0}
li.plain{grid-template-columns:1fr}
li p{margin:0;overflow-wrap:anywhere;white-space:pre-line}
li strong{display:block;font-weight:600}
.mark{justify-self:start;align-self:start;margin-top:.15rem;padding:.05rem .5rem;border:1px solid;border-radius:1rem;
font-size:.8rem;line-height:1.5;white-space:nowrap}
.yes{color:#0b4a2b;background:#e5f4ea;border-color:#7fb894}
.no{color:#5c3a00;background:#fdf3dc;border-color:#cfae6a}
table{border-collapse:collapse;width:100%;margin:.75rem 0;font-size:.97rem}
th,td{text-align:left;vertical-align:top;padding:.45rem .7rem .45rem 0;border-bottom:1px solid #dfe1e5;
overflow-wrap:break-word}
td span{min-width:0}
th .mark{display:inline-block;margin:0 0 .2rem}
th .mark+span{display:block}
@media (max-width:40rem){
li{grid-template-columns:1fr}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table,tbody,tr,td{display:block}
tr{padding:.6rem 0;border-bottom:1px solid #c9ccd1}
td{border:0;padding:.15rem 0;display:grid;grid-template-columns:7rem 1fr;gap:.6rem}
td::before{content:attr(data-label);color:#4b5158;font-size:.85rem}
}
@media print{
body{font-size:10.5pt}
main{max-width:none;padding:0}
h2{break-after:avoid}
li,tr{break-inside:avoid}
.mark{background:none}
}
"""


def to_html(title: str, blocks: Sequence[Block], *, language: str = "en") -> str:
    """The page, as UTF-8 text. Whatever ``title`` and ``blocks`` hold stays text."""
    body = "\n".join([f"<h1>{_text(title)}</h1>", *_body(blocks)])
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(language)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def _body(blocks: Sequence[Block]) -> Iterator[str]:
    for is_clause, group in groupby(blocks, key=lambda block: isinstance(block, Clause)):
        if is_clause:
            yield "<ul>"
            yield from (_clause(block) for block in group if isinstance(block, Clause))
            yield "</ul>"
            continue
        for block in group:
            if isinstance(block, Heading):
                yield f"<h2>{_text(block.text)}</h2>"
            elif isinstance(block, Grid):
                yield from _grid(block)


def _clause(clause: Clause) -> str:
    label = f"<strong>{_text(clause.label)}</strong>" if clause.label else ""
    kind = ' class="plain"' if clause.enforced is None else ""
    return f"<li{kind}>{_mark(clause.enforced)}<p>{label}{_text(clause.text)}</p></li>"


def _grid(grid: Grid) -> Iterator[str]:
    """A table; on a phone each row is a card, so the roles are said and each cell has its column's name with it."""
    names = [f"{column} (enforced)" if column in grid.enforced else column for column in grid.columns]
    yield '<table role="table">\n<thead role="rowgroup"><tr role="row">'
    for column in grid.columns:
        sign = _mark(True if column in grid.enforced else None)
        yield f'<th scope="col" role="columnheader">{sign}<span>{_text(column)}</span></th>'
    yield '</tr></thead>\n<tbody role="rowgroup">'
    for row in grid.rows:
        cells = (
            f'<td role="cell" data-label="{_text(name)}"><span>{_text(cell)}</span></td>'
            for name, cell in zip(names, row, strict=True)
        )
        yield f'<tr role="row">{"".join(cells)}</tr>'
    yield "</tbody>\n</table>"


def _mark(enforced: bool | None) -> str:
    """The sign of a clause in words, so that it is read out and survives a black-and-white print."""
    if enforced is None:
        return ""
    return '<span class="mark yes">enforced</span>' if enforced else '<span class="mark no">promised</span>'


def _text(text: str) -> str:
    return escape(printable(text), quote=True)

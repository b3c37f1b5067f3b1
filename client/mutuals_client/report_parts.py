"""Tables and bars of the pages that report (their style: ``report_style``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mutuals.agreement.page import text
from mutuals_client.report_words import percent

Row = tuple[str, ...]


def plain_table(
    caption: str,
    columns: Row,
    rows: Sequence[Row],
    *,
    total: Row | None = None,
    words: int | None = None,
    minor: frozenset[int] = frozenset(),
) -> Iterator[str]:
    """A table that stays one on a phone: columns from ``words`` on hold text, those before it numbers; ``minor`` rows
    belong to the one above. The caption is for those who hear the page: the heading above says it to the eye.
    """

    def cell(tag: str, index: int, value: str, attributes: str = "") -> str:
        kind = "" if not index else ' class="num"' if words is None or index < words else ' class="words"'
        return f"<{tag}{kind}{attributes}>{text(value)}</{tag}>"

    yield f'<table class="plain"><caption>{text(caption)}</caption><thead><tr>'
    yield "".join(cell("th", index, name, ' scope="col"') for index, name in enumerate(columns))
    yield "</tr></thead><tbody>"
    for number, row in enumerate((*rows, *((total,) if total else ()))):
        kind = ' class="total"' if row is total else ' class="minor"' if number in minor else ""
        head = cell("th", 0, row[0], ' scope="row"')
        cells = "".join(cell("td", index, value) for index, value in enumerate(row) if index)
        yield f"<tr{kind}>{head}{cells}</tr>"
    yield "</tbody></table>"


def bars(caption: str, counts: Mapping[str, int], *, first: bool = False) -> Iterator[str]:
    """Counts as bars, each with its number; ``first`` sets the first apart, which is not like the others."""
    whole = sum(counts.values())
    yield f'<table class="plain bars"><caption>{text(caption)}</caption><thead class="unseen"><tr>'
    yield "".join(f'<th scope="col">{name}</th>' for name in ("Which", "Bar", "Count", "Share"))
    yield "</tr></thead><tbody>"
    for index, (name, count) in enumerate(counts.items()):
        share = count / whole if whole else 0
        kind = " own" if first and not index else ""
        yield (
            f'<tr><th scope="row">{text(name)}</th><td class="bar" aria-hidden="true">'
            f'<span class="fill{kind}" style="width:{share * 100:.2f}%"></span></td>'
            f'<td class="num">{count:,}</td><td class="num quiet">{percent(share)}</td></tr>'
        )
    yield "</tbody></table>"

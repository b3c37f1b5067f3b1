"""The report on a source's quality as one HTML page without a network, a script or a contact's data.

html = source_page(done, "Acme Ltd")
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import TYPE_CHECKING

from mutuals import __version__
from mutuals.agreement.page import page, text
from mutuals_client.report_parts import plain_table
from mutuals_client.report_style import STYLE
from mutuals_client.source_sections import CheckAsked, Section, sections, summary

if TYPE_CHECKING:
    from mutuals.sources.quality_suggestions import Suggestion
    from mutuals_client.source_checking import Checked

_OWN_STYLE = """
ol.todo{margin:.5rem 0 1rem;padding:0;list-style:none;counter-reset:todo}
ol.todo li{display:block;position:relative;padding:.35rem 0 .35rem 2rem;counter-increment:todo}
ol.todo li::before{content:counter(todo) ".";position:absolute;left:0;width:1.5rem;text-align:right;color:var(--quiet)}
ol.todo p{margin:0}
ol.todo code{display:block;margin:.3rem 0 .1rem;padding:.35rem .6rem;background:var(--track);border-radius:.25rem;
white-space:pre-wrap}
@media (max-width:40rem){
table.plain:has(.words+.words) thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table.plain:has(.words+.words) tbody tr{display:grid;grid-template-columns:1fr auto;border-bottom:1px solid var(--hair);
padding:.4rem 0}
table.plain:has(.words+.words) tbody :is(th,td){border:0;padding:.05rem 0}
table.plain:has(.words+.words) td.words{grid-column:1/-1}
table.plain td.words+td.words::before{content:"rows ";color:var(--quiet)}
}
h3{margin-top:1.25rem;color:var(--quiet);font-weight:400;font-size:.95rem}
"""


def source_page(done: Checked, organisation: str) -> str:
    """The whole page. Whatever stands in the file stays text."""
    asked, found = done.asked, done.found
    parts = [_head(done, organisation)]
    if found.suggestions:
        parts.append(_todo(found.suggestions))
    parts += [_section(section) for section in sections(asked, found)]
    parts.append(_foot(asked, organisation))
    body = "\n".join(line for part in parts for line in part)
    return page(f"Source {asked.definition.name}: data quality", body, style=STYLE + _OWN_STYLE)


def _head(done: Checked, organisation: str) -> Iterator[str]:
    asked, found, standing, at = done.asked, done.found, done.standing, done.at.astimezone(UTC)
    yield f'<header><p class="over">Data quality of a source of {text(organisation)}</p>'
    yield f"<h1>{text(asked.definition.name)}</h1>"
    yield f'<p class="lead"><strong>{text(summary(found))}</strong></p>'
    yield (
        f'<p class="quiet">{text(found.recognised.file)}, read on {at.day} {at:%B %Y}, {at:%H:%M} UTC, under profile '
        f"{text(asked.profile)}</p>"
    )
    if standing.state.value != "native":
        mark = "yes" if standing.holds else "no"
        word = "decided" if standing.holds else "not decided"
        yield (
            f'<p class="state"><span class="mark {mark}">consent {word}</span> {text(standing.sentence)}</p>'
        )
    yield "</header>"


def _todo(suggestions: tuple[Suggestion, ...]) -> Iterator[str]:
    yield '<section><h2 class="first">What to do about it</h2><ol class="todo">'
    for suggestion in suggestions:
        command = f"<code>{text(suggestion.command)}</code>" if suggestion.command is not None else ""
        yield f"<li><p>{text(suggestion.sentence)}</p>{command}</li>"
    yield "</ol></section>"


def _section(section: Section) -> Iterator[str]:
    yield f"<section><h2>{text(section.heading)}</h2>"
    yield "".join(f"<p>{text(sentence)}</p>" for sentence in section.sentences)
    for table in section.tables:
        if len(section.tables) > 1:
            yield f"<h3>{text(table.caption)}</h3>"
        yield from plain_table(table.caption, table.columns, table.rows, words=table.words)
    yield "".join(f"<p>{text(sentence)}</p>" for sentence in section.after)
    yield "</section>"


def _foot(asked: CheckAsked, organisation: str) -> Iterator[str]:
    yield (
        "<footer><p><strong>This page holds no contact’s data:</strong> no name, address, number or id of a contact, "
        "nor a hash of one. It has counts, row numbers, the headings of the file, and purposes.</p>"
        f"<p>Made at {text(organisation)} by mutuals {text(__version__)}: "
        f"<code>mutuals source check {text(asked.definition.name)}</code>. Nothing left the house.</p></footer>"
    )

"""An agreement in plain language: complete, marked, and harmless whatever its texts hold."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from support.agreements import make_agreement, plain_card

import mutuals
from mutuals.agreement.blocks import Clause, Grid, Heading, to_markdown, to_terminal
from mutuals.agreement.describe import NOT_LEGAL_ADVICE, describe
from mutuals.agreement.html import to_html
from mutuals.agreement.problems import sections
from mutuals.agreement.render import render_html, render_markdown, render_terminal
from mutuals.models.agreement import Agreement

AGREEMENT = make_agreement(plain_card(1), plain_card(2))
DOCUMENTATION = Path(mutuals.__file__).parents[2] / "docs" / "agreement.md"


def shown(agreement: Agreement) -> str:
    stream = io.StringIO()
    Console(file=stream, width=200, force_terminal=True).print(render_terminal(agreement))
    return stream.getvalue()


def test_every_text_of_the_agreement_is_shown() -> None:
    def texts(value: object) -> list[str]:
        if isinstance(value, dict):
            return [
                text for key, item in value.items() if key not in {"nonce", "format"} for text in texts(item)
            ]
        if isinstance(value, list | tuple):
            return [text for item in value for text in texts(item)]
        return [value] if isinstance(value, str) and " " in value else []

    flat = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", shown(AGREEMENT)).split())
    wanted = texts(AGREEMENT.model_dump())
    assert len(wanted) > 20
    for text in wanted:
        assert text in flat, text
    assert NOT_LEGAL_ADVICE in flat


def test_numbers_are_shown_and_follow_the_document() -> None:
    matching = AGREEMENT.matching.model_copy(
        update={"min_change_between_runs": 77, "pad_sizes": True, "shared_identifiers": "include"}
    )
    text = render_markdown(AGREEMENT.model_copy(update={"matching": matching, "partner_sends": ()}))
    for expected in ("fewer than 77 identifiers", "padding", "takes part if every one", "● Nothing\\."):
        assert expected in text.replace("Nothing.", "Nothing\\."), expected
    for number in ("1,000 to 1,000,000", "below 25", "4 runs", "4,000,000", "within 14 days", "730 days"):
        assert number in text, number


def test_hostile_text_stays_text() -> None:
    hostile = "\x1b[31mred\u202e [bold]x[/bold] <script> | `a` \n# not a heading"
    blocks = [Heading(hostile), Clause(hostile, True, hostile), Grid(("A",), ((hostile,),))]
    stream = io.StringIO()
    Console(file=stream, width=200).print(to_terminal(hostile, blocks))
    assert "\x1b" not in stream.getvalue()
    assert "\u202e" not in stream.getvalue()
    assert "[bold]x[/bold]" in stream.getvalue()
    markdown = to_markdown(hostile, blocks)
    assert "<script>" not in markdown
    assert "\x1b" not in markdown
    assert len(re.findall(r"^#+ ", markdown, re.MULTILINE)) == 2
    assert "\n# not" not in markdown


def test_a_page_marks_every_clause_and_needs_nothing_else() -> None:
    page = render_html(AGREEMENT)
    described = [block for block in describe(AGREEMENT) if isinstance(block, Clause)]
    enforced_columns = sum(len(block.enforced) for block in describe(AGREEMENT) if isinstance(block, Grid))
    assert page.count('class="mark yes"') == sum(c.enforced is True for c in described) + enforced_columns
    assert page.count('class="mark no"') == sum(c.enforced is False for c in described)
    for needed in (
        'lang="en"',
        'name="viewport"',
        "default-src 'none'",
        "@media print",
        'scope="col"',
        "<h1>",
    ):
        assert needed in page
    assert not re.search(r"""(src|href)=|url\(|@import|<script""", page)


def test_a_date_is_not_broken_at_its_hyphens() -> None:
    page = to_html("Dates", [Clause("From 2026-11-22 on."), Grid(("On",), (("2026-11-22",),))])
    assert page.count('<span class="date">2026-11-22</span>') == 2


def test_hostile_text_stays_text_on_a_page() -> None:
    hostile = "</title><script>alert(1)</script> \" onload='x' \u202e &amp; \x1b[31m"
    page = to_html(
        hostile, [Heading(hostile), Clause(hostile, True, hostile), Grid((hostile,), ((hostile,),))]
    )
    assert "<script" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert not re.search(r"<[^>]*onload", re.sub(r'"[^"]*"', "", page))
    assert "&amp;amp;" in page


def test_every_key_is_documented() -> None:
    text = DOCUMENTATION.read_text()
    for _, keys in sections():
        for key in keys:
            assert f"`{key}`" in text, key

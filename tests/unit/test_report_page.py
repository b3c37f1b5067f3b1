"""The report on a run: a well-formed page in every state, true sentences, nothing loaded, nothing unescaped."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reports import STATISTICS, made_agreement, made_report

from mutuals.models.run import RunState
from mutuals.models.statistics import Effort
from mutuals_client.report_figures import Sets, venn_svg
from mutuals_client.report_page import report_page
from mutuals_client.report_words import percent, what_each_learned

_VOID = frozenset({"meta", "br", "link", "img"})


class Page(HTMLParser):
    """The page's elements, with what a careless page gets wrong: nesting, headings, pictures without words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.svg_children: list[list[str]] = []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "svg":
            self.svg_children.append([])
            given = dict(attrs)
            assert given["role"] == "img"
            assert given["aria-labelledby"]
        elif "svg" in self.open:
            self.svg_children[-1].append(tag)
        for name, value in attrs:
            self.attributes.append((name, value or ""))
            if name == "id":
                self.ids.append(value or "")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


@pytest.mark.parametrize("state", list(RunState))
def test_a_whole_page_in_every_state(state: RunState) -> None:
    html = report_page(made_report(state))
    page = Page(html)
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert len(page.ids) == len(set(page.ids))
    for children in page.svg_children:
        assert children[:2] == ["title", "desc"]
    assert not {"script", "img", "link", "iframe", "object"} & set(page.tags)
    assert not {name for name, _ in page.attributes} & {"src", "href", "action"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "http:" not in html
    assert "https:" not in html
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'; style-src 'unsafe-inline'" in html
    assert '<html lang="en">' in html
    assert "prefers-color-scheme:dark" in html
    assert "@media print" in html
    assert "holds no contact’s data" in page.text
    assert len(html.encode()) < 100_000


def test_the_numbers_are_there_in_words_and_in_the_picture() -> None:
    page = Page(report_page(made_report()))
    for said in (
        "Of the 27,392 identifiers that Acme Outdoor Ltd put in, 7,321 are also on the list of Globex Reisen GmbH: 27%",
        "6,012 contacts, 33% of those that took part",
        "Two circles drawn to scale",
        "consent to this purpose not given",
        "61 held by several contacts",
        "by e-mail and phone",
        "It received the field segment of 5,877 contacts.",
        "It received the field city of 5,904 contacts.",
        "consent withdrawn, says the source",
        "74" * 32,
        "13 of 13 entries",
        "mutuals audit verify",
    ):
        assert said in page.text, said


def test_texts_of_the_partner_stay_texts() -> None:
    crafted = '<script>alert(1)</script><a href="https://x.example">" onload="x'
    run = replace(made_report().run, reason=f"The partner broke the protocol: {crafted}")
    report = made_report(
        run=run,
        own=crafted,
        partner=crafted,
        fields_promised=(crafted,),
        agreement=made_agreement(title=crafted[:60]),
    )
    page = Page(report_page(report))
    assert not {"script", "a"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "href"]
    assert "\u202e" not in report_page(made_report(partner="Glo\u202ebex"))


@settings(max_examples=60)
@given(st.integers(0, 10**7), st.integers(0, 10**7), st.floats(0, 1))
def test_every_picture_is_drawn_within_its_frame(left: int, right: int, share: float) -> None:
    svg = venn_svg(Sets("Left & Co", "R" * 60, left, right, int(min(left, right) * share)))
    Page(svg)
    assert "nan" not in svg
    width, height = (float(one) for one in re.search(r'viewBox="0 0 (\d+) ([\d.]+)"', svg).groups())  # type: ignore[union-attr]
    for x, y, radius in re.findall(r'cx="(-?[\d.]+)" cy="(-?[\d.]+)" r="([\d.]+)"', svg):
        assert float(x) - float(radius) + 1e-2 >= 0
        assert float(x) + float(radius) <= width + 1e-2
        assert float(y) + float(radius) <= height


def test_an_overlap_larger_than_a_set_is_drawn_as_large_as_it_can_be() -> None:
    assert 'class="both"' in venn_svg(Sets("Left", "Right", 5, 9, 7))


def test_what_was_not_counted_is_not_said() -> None:
    page = Page(report_page(made_report(RunState.BELOW_THRESHOLD)))
    assert "svg" not in page.tags
    assert "Fewer than 25 identifiers are on both lists; the number was not kept." in page.text
    page = Page(report_page(made_report(RunState.FAILED)))
    assert "Globex Reisen GmbH may have computed it" in page.text


def test_what_a_half_revealed_run_left_open() -> None:
    for report in (
        made_report(RunState.HALF_REVEALED),
        made_report(RunState.FAILED, events=frozenset({"run.opened", "run.half_revealed"})),
    ):
        own, partner, cheat, nobody = what_each_learned(report)
        assert any("never confirmed" in sentence for sentence in own.sentences)
        assert any(sentence.startswith("It may know which") for sentence in partner.sentences)
        assert cheat.sentences
        assert nobody.sentences


def test_what_an_exchange_that_broke_off_may_have_moved() -> None:
    _, partner, *_ = what_each_learned(made_report(RunState.EXCHANGING))
    assert "the records in 7 of 12 envelopes" in partner.sentences[-1]
    own, *_ = what_each_learned(made_report(RunState.EXCHANGING, held=30))
    assert own.sentences[-1].startswith("30 sealed records arrived")


def test_no_side_is_said_to_have_learned_a_contact_before_the_reveal() -> None:
    for state in (RunState.COUNTED, RunState.COUNT_ONLY):
        for learned in what_each_learned(made_report(state))[:2]:
            assert len(learned.sentences) == 2, learned


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (None, "not known"),
        (0.0, "0%"),
        (0.0001, "under 1%"),
        (0.274, "27%"),
        (0.9999, "over 99%"),
        (1.0, "100%"),
    ],
)
def test_shares_in_whole_percent(share: float | None, said: str) -> None:
    assert percent(share) == said


def test_an_effort_taken_up_again_adds_up() -> None:
    statistics = STATISTICS.spent("exchange", Effort(seconds={"exchanging records": 0.9}, sent=8, received=5))
    assert statistics.efforts["exchange"] == Effort(
        seconds={"exchanging records": 5.0}, sent=812_008, received=905_005
    )

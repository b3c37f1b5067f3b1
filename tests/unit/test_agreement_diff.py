"""What differs between two versions, in words; an agreement as a draft again."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from support.agreements import make_agreement, plain_card

from mutuals.agreement.diff import Change, compare, flipped, render_changes
from mutuals.agreement.draft import parse_draft
from mutuals.agreement.redraft import redraft_toml
from mutuals.errors import MutualsError
from mutuals.models.agreement import Agreement

ACME, GLOBEX = plain_card(1), plain_card(2)


def changed(old: Agreement, **values: Any) -> Agreement:
    return Agreement.model_validate(old.model_dump() | {"nonce": "11" * 32} | values)


@pytest.fixture
def agreement() -> Agreement:
    return make_agreement(ACME, GLOBEX)


def test_nothing_differs_but_the_nonce(agreement: Agreement) -> None:
    assert compare(agreement, changed(agreement)) == []
    assert compare(agreement, changed(agreement, version=2, replaces="00" * 32)) == []


def test_each_key_is_added_removed_or_changed_in_words(agreement: Agreement) -> None:
    city, purchase = agreement.proposer_sends
    new = changed(
        agreement,
        valid_until=agreement.valid_until + timedelta(days=1),
        vendors=("Mailer Inc",),
        matching=agreement.matching.model_copy(update={"max_set_size": 2_000_000, "pad_sizes": True}),
        proposer_sends=(
            city.model_copy(update={"retention_days": 30}),
            purchase.model_copy(update={"name": "last_contact"}),
        ),
    )
    found = {change.key: change for change in compare(agreement, new)}
    assert found["vendors"] == Change("vendors", "Vendors of the recipients", "none", "Mailer Inc")
    assert found["matching.max_set_size"].new == "2,000,000"
    assert (found["matching.pad_sizes"].old, found["matching.pad_sizes"].new) == ("no", "yes")
    kept = found["proposer_sends.city.retention_days"]
    assert (kept.what, kept.kind) == ("Company 1 Ltd sends “city”: days it may be kept", "changed")
    added, removed = found["proposer_sends.last_contact"], found["proposer_sends.last_purchase"]
    assert (added.kind, removed.kind) == ("added", "removed")
    assert added.new == removed.old
    assert "what is done before it leaves: month; days it may be kept: 90" in (added.new or "")
    assert len(found) == 7


def test_the_order_of_fields_and_who_drafted_make_no_difference(agreement: Agreement) -> None:
    assert compare(agreement, changed(agreement, proposer_sends=agreement.proposer_sends[::-1])) == []
    other = flipped(agreement)
    assert compare(agreement, other) == []
    assert compare(other, agreement) == []
    assert flipped(other) == agreement


def test_text_of_a_partner_reaches_the_terminal_as_text(agreement: Agreement) -> None:
    from rich.console import Console

    console = Console(width=120, record=True, file=StringIO())
    console.print(render_changes("Now", compare(agreement, changed(agreement, title="[bold]New[/bold]"))))
    assert "[bold]New[/bold]" in console.export_text()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_redraft_says_the_same(agreement: Agreement, mirrored: bool) -> None:
    own, partner = (GLOBEX, ACME) if mirrored else (ACME, GLOBEX)
    signed = changed(agreement, vendors=('A "quoted" \\ name', "B"), purpose="Two\nlines.")
    fingerprint = (signed.parties.partner if mirrored else signed.parties.proposer).fingerprint
    text = redraft_toml(signed, fingerprint, "A-00000000", command="propose THIS-FILE")
    again = parse_draft(text, own, partner)
    assert compare(signed, again) == []
    assert (again.version, again.replaces) == (1, None)
    text = redraft_toml(signed, fingerprint, "A-0", command="amend", replaces="ab" * 32, version=2)
    again = parse_draft(text, own, partner)
    assert (again.version, again.replaces) == (2, "ab" * 32)
    assert again.parties.proposer.fingerprint == fingerprint


@pytest.mark.parametrize("line", ["version = 2", 'replaces = "00"'])
def test_half_of_what_makes_an_amendment_is_refused(agreement: Agreement, line: str) -> None:
    text = redraft_toml(agreement, agreement.parties.proposer.fingerprint, "A-0", command="propose")
    with pytest.raises(MutualsError) as caught:
        parse_draft(f"{line}\n{text}", ACME, GLOBEX)
    assert "is filled in by mutuals" in caught.value.message

"""A withdrawn contact stays out of every later list, however it is written there, and nothing of it is kept."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from support.homes import NOW, make_peer, open_peer

from mutuals.consent import Suppressor, mark_withdrawn, open_suppressor
from mutuals.consent.filter import collect_spellings
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.models.agreement import ConsentRule
from mutuals.peer import Peer
from mutuals.sources.contacts import WITHDRAWN, ContactTable
from mutuals.sources.definition import define_source
from mutuals.sources.eligibility import consent_exclusions
from mutuals.sources.readers import read_source

HEADINGS = ("contact_id", "email", "phone", "consent", "consent_at", "notified_at", "suppressed")
AGREEMENT, OTHER = "aa" * 32, "bb" * 32
JANE = [("contact", "C-1"), ("email", "janedoe@gmail.com"), ("phone", "+4930901820")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_peer(tmp_path_factory.mktemp("home") / "acme")


@pytest.fixture
def peer(home: Path) -> Iterator[Peer]:
    with open_peer(home) as peer:
        key = home / "keys" / "suppression.key"
        kept = key.read_bytes()
        yield peer
        key.write_bytes(kept)
        key.chmod(0o600)
        with peer.store.transaction() as tx:
            for row in tx.suppressions.list():
                tx.suppressions.remove(row.hash)


def contacts(path: Path, *people: tuple[str, str, str]) -> ContactTable:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADINGS)
    writer.writerows((*person, "sharing", "2026-04-01", "2026-04-01", "") for person in people)
    file = path / "contacts.csv"
    file.write_text(text.getvalue())
    return read_source(define_source("crm", str(file), {}))


def withdraw(peer: Peer, named: list[tuple[str, str]], agreement: str | None = None) -> int:
    suppressor = open_suppressor(peer)
    with peer.store.transaction() as tx:
        return suppressor.keep(tx, named, "withdrawal", agreement, NOW)


def out(peer: Peer, table: ContactTable, agreement: str | None = AGREEMENT) -> set[str]:
    frame = mark_withdrawn(peer, table, "DE", agreement).frame
    return set() if WITHDRAWN not in frame.columns else set(frame.filter(WITHDRAWN)["contact_id"].to_list())


def test_spellings_that_any_profile_joins_stay_out_together(peer: Peer, tmp_path: Path) -> None:
    table = contacts(
        tmp_path,
        ("C-1", "Jane.Doe+x@googlemail.com", ""),
        ("C-2", "j.anedoe@googlemail.com", ""),
        ("C-3", "ben @example.com", ""),
        ("C-4", "jane.doe@example.com", ""),
    )
    forms = collect_spellings(table, "DE").filter(contact=0)
    withdraw(peer, [*forms.select("type", "value").iter_rows(), ("email", "ben@example.com")])
    assert out(peer, table) == {"C-1", "C-2", "C-3"}


def test_the_next_list_does_not_bring_a_contact_back(peer: Peer, tmp_path: Path) -> None:
    assert withdraw(peer, JANE) == 3
    table = contacts(
        tmp_path,
        ("C-1", "", ""),
        ("C-2", "Jane.Doe+news@GMAIL.com", ""),
        ("C-3", "", "030 901820"),
        ("C-4", "ben@example.com", "+49 30 901821"),
        ("janedoe@gmail.com", "", ""),
    )
    assert out(peer, table) == {"C-1", "C-2", "C-3"}
    marked = mark_withdrawn(peer, table, "DE", AGREEMENT)
    reasons = consent_exclusions(
        marked.frame, ConsentRule(purpose="sharing", notice_required=False), date(2026, 5, 1)
    )
    assert reasons.to_list() == ["withdrawn"] * 3 + [None] * 2


def test_without_withdrawals_nothing_is_looked_up(peer: Peer, tmp_path: Path) -> None:
    table = contacts(tmp_path, ("C-1", "ann@example.com", ""))
    (peer.home.suppression_key).unlink()
    assert mark_withdrawn(peer, table, "DE", AGREEMENT) is table


def test_a_withdrawal_from_one_agreement_leaves_the_others(peer: Peer, tmp_path: Path) -> None:
    withdraw(peer, JANE, AGREEMENT)
    table = contacts(tmp_path, ("C-1", "", ""), ("C-2", "janedoe@gmail.com", ""))
    assert out(peer, table, AGREEMENT) == {"C-1", "C-2"}
    assert out(peer, table, OTHER) == set()
    withdraw(peer, JANE[:1])
    assert out(peer, table, OTHER) == {"C-1"}


def test_a_lifted_withdrawal_lets_the_contact_back(peer: Peer, tmp_path: Path) -> None:
    withdraw(peer, JANE)
    table = contacts(tmp_path, ("C-1", "janedoe@gmail.com", ""))
    suppressor = open_suppressor(peer)
    with peer.store.transaction() as tx:
        assert suppressor.lift(tx, JANE, AGREEMENT) == 0
        assert suppressor.lift(tx, JANE, None) == 3
    assert out(peer, table) == set()


@pytest.mark.sqlite("reads the file's bytes")
def test_the_store_holds_hashes_that_mean_nothing_without_the_key(peer: Peer) -> None:
    withdraw(peer, JANE)
    assert withdraw(peer, JANE) == 0
    data = (peer.home.root / "store.sqlite").read_bytes()
    assert not [value for _, value in JANE if value.encode() in data and len(value) > 4]
    with peer.store.transaction() as tx:
        assert {len(row.hash) for row in tx.suppressions.list()} == {32}
    assert peer.home.suppression_key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["gone", "other", "short"])
def test_without_the_right_key_no_list_is_used(peer: Peer, tmp_path: Path, damage: str) -> None:
    withdraw(peer, JANE)
    key = peer.home.suppression_key
    key.unlink()
    if damage != "gone":
        key.write_bytes(b"x" * (32 if damage == "other" else 5))
    for act in (lambda: mark_withdrawn(peer, contacts(tmp_path), "DE", None), lambda: withdraw(peer, JANE)):
        with pytest.raises(MutualsError) as caught:
            act()
        assert caught.value.code is ErrorCode.LOCAL
        assert "backup" in (caught.value.hint or "")


def test_a_home_made_before_there_were_withdrawals_gets_a_key(peer: Peer) -> None:
    peer.home.suppression_key.unlink()
    assert len(open_suppressor(peer).key) == 32
    assert peer.home.suppression_key.stat().st_mode & 0o777 == 0o600


def test_many_hashes_are_those_of_the_frame() -> None:
    import hmac

    suppressor = Suppressor(b"\x4b" * 32)
    expected = hmac.digest(
        suppressor.key, frame(Context.SUPPRESSION, b"\xaa" * 32, "email", "jörg@x.de"), "sha256"
    )
    assert suppressor.hashes(b"\xaa" * 32, "email", ["jörg@x.de"]) == [expected]
    assert len(set(suppressor.hashes(b"", "email", ["a", "b"]) + suppressor.hashes(b"", "phone", ["a"]))) == 3

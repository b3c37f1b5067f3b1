"""Received records reach only who may read them, only as agreed, and only into a file of their own."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.pairing import PASSPHRASE, Company, Pair, contact
from support.revealed import Snapshot, authorise_both, exchange, exchange_both, reveal_once

from mutuals.canonical import canonical_json
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.identity.home import Kdf
from mutuals.identity.operators import create_operator, unlock
from mutuals.models.run import RunState
from mutuals.protocol.exchange import PlainRecord
from mutuals.runs import preview
from mutuals.runs.export import ReceivedRecords, open_received, write_export
from mutuals.runs.log_faults import FAULT, ROLLED_BACK
from mutuals.runs.records import OutgoingRecords

CITIES = ["=HYPERLINK(evil)", "+49", "-1", "@cmd", "\tTab", "Bremen", "Köln, “Süd”"]
LEFT = [
    contact(f"L{i}", f"p{i}@example.com", f"+4915112340{i:03}", city=city) for i, city in enumerate(CITIES)
]
RIGHT = [contact(f"=R{i}", f"p{i}@example.com", score=f"{i}.50") for i in range(len(CITIES))]
FIELDS = {
    "proposer_sends": (
        {"name": "city", "departments": ("marketing", "sales"), "retention_days": 10},
        {"name": "score", "type": "integer", "departments": ("sales",), "retention_days": 30},
    ),
    "partner_sends": ({"name": "score", "type": "decimal", "departments": ("marketing",)},),
}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return reveal_once(tmp_path_factory.mktemp("pair"), LEFT, RIGHT, **FIELDS)


@pytest.fixture
def revealed(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        yield pair


@pytest.fixture
def pair(revealed: Pair, snapshot: Snapshot) -> Pair:
    exchange_both(revealed, snapshot.run_id)
    return revealed


def received(company: Company, run_id: str) -> ReceivedRecords:
    return open_received(company.peer, run_id, company.keys)


def refused(action: Callable[[], Any]) -> MutualsError:
    with pytest.raises(MutualsError) as caught:
        action()
    return caught.value


def write(company: Company, run_id: str, path: Path, **options: bool) -> list[list[str]]:
    write_export(company.peer, received(company, run_id), path, company.keys, **options)
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_csv_joins_the_partners_fields_to_the_own_ids(pair: Pair, snapshot: Snapshot, tmp_path: Path) -> None:
    heading, *rows = write(pair.left, snapshot.run_id, tmp_path / "out.csv")
    assert heading == ["contact_id", "score"]
    assert sorted(rows) == [[f"L{i}", f"{i}.5"] for i in range(7)]


def test_file_is_private_complete_and_never_overwritten_by_accident(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    path = tmp_path / "out.csv"
    write(pair.left, snapshot.run_id, path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("mine")
    assert refused(lambda: write(pair.left, snapshot.run_id, path)).code is ErrorCode.USAGE
    assert path.read_text() == "mine"
    assert len(write(pair.left, snapshot.run_id, path, force=True)) == 8
    assert path.stat().st_mode & 0o777 == 0o600
    assert {file.name for file in tmp_path.iterdir()} == {"left", "right", "out.csv"}


@pytest.mark.parametrize("name", ["out.txt", "out", "missing/out.csv", "left"])
def test_a_file_that_cannot_be_written_is_refused(
    pair: Pair, snapshot: Snapshot, tmp_path: Path, name: str
) -> None:
    assert refused(lambda: write(pair.left, snapshot.run_id, tmp_path / name)).code is ErrorCode.USAGE


def test_texts_that_begin_like_formulas_are_disarmed_unless_raw(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    guarded = dict(row[:2] for row in write(pair.right, snapshot.run_id, tmp_path / "a.csv")[1:])
    raw = dict(row[:2] for row in write(pair.right, snapshot.run_id, tmp_path / "b.csv", raw=True)[1:])
    sent = {f"=R{i}": city.strip() for i, city in enumerate(CITIES)}
    assert raw == sent
    assert guarded == {own: f"'{city}" if city[0] in "=@" else city for own, city in sent.items()}


def test_parquet_has_types(pair: Pair, snapshot: Snapshot, tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    write_export(pair.left.peer, received(pair.left, snapshot.run_id), path, pair.left.keys)
    frame = pl.read_parquet(path).sort("contact_id")
    assert frame.schema == {"contact_id": pl.String, "score": pl.Float64}
    assert frame.rows() == [(f"L{i}", i + 0.5) for i in range(7)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_fields_of_other_departments_are_left_out(pair: Pair, snapshot: Snapshot) -> None:
    found = received(pair.right, snapshot.run_id)
    assert ([item.name for item in found.fields], found.left_out) == (["city"], ("score",))
    assert all(values.keys() == {"city"} for _, values in found.rows)
    keys = replace(pair.right.keys, department="sales")
    assert open_received(pair.right.peer, snapshot.run_id, keys).left_out == ()
    stranger = replace(pair.right.keys, department="finance")
    error = refused(lambda: open_received(pair.right.peer, snapshot.run_id, stranger))
    assert error.code is ErrorCode.NOT_ENTITLED
    assert "gives it to sales, and this operator is of finance" in error.message
    assert "amend the agreement" in (error.hint or "")


@pytest.mark.parametrize("role", ["admin", "auditor", "service"])
def test_only_readers_read(pair: Pair, snapshot: Snapshot, role: str) -> None:
    keys = replace(pair.left.keys, roles=(role,))
    assert (
        refused(lambda: open_received(pair.left.peer, snapshot.run_id, keys)).code is ErrorCode.NOT_ENTITLED
    )


def test_an_operator_who_came_later_has_no_key_to_the_run(pair: Pair, snapshot: Snapshot) -> None:
    row = create_operator(
        "berta",
        ("steward",),
        "marketing",
        PASSPHRASE,
        kdf=Kdf(memory_kib=8, iterations=1),
        now=pair.left.clock(),
    )
    with pair.left.peer.store.transaction() as tx:
        tx.operators.put(row)
    keys = unlock(row, PASSPHRASE)
    assert (
        refused(lambda: open_received(pair.left.peer, snapshot.run_id, keys)).code is ErrorCode.NOT_ENTITLED
    )


def test_nothing_is_read_while_a_log_lacks_what_was_cosigned(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    """An older copy of the home holds records that were deleted since; the partner's alarm stops it."""
    before = received(pair.left, snapshot.run_id)
    body = {"own": True, "kind": ROLLED_BACK, "size": 9, "known": "", "shown": ""}
    partner = pair.left.partner().fingerprint
    with pair.left.peer.store.transaction() as tx:
        tx.log.append(pair.digest, FAULT, {"partner": partner, **body}, pair.left.clock())
    for act in (
        lambda: received(pair.left, snapshot.run_id),
        lambda: write_export(pair.left.peer, before, tmp_path / "out.csv", pair.left.keys),
    ):
        error = refused(act)
        assert error.code is ErrorCode.LOG_ROLLED_BACK
        assert '--reason "..."' in (error.hint or "")
    assert not (tmp_path / "out.csv").exists()


def test_records_past_their_retention_are_not_exported(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    sales = replace(pair.right.keys, department="sales")
    pair.right.clock.now += timedelta(days=11)
    found = open_received(pair.right.peer, snapshot.run_id, sales)
    assert found.expired == 7
    assert {tuple(values) for _, values in found.rows} == {("score",)}
    with pair.right.peer.store.transaction() as tx:
        rows = tx.received.list(snapshot.run_id)
        tx.received.destroy(snapshot.run_id)
        tx.received.put([row for row in rows if row.retention_days == 30])
    assert len(open_received(pair.right.peer, snapshot.run_id, sales).rows) == 7
    pair.right.clock.now += timedelta(days=30)
    assert not open_received(pair.right.peer, snapshot.run_id, sales).rows
    with (
        pair.right.peer.store.transaction() as tx
    ):  # put off by hand: the class is authenticated, the day is logged
        rows = tx.received.list(snapshot.run_id)
        tx.received.destroy(snapshot.run_id)
        later = timedelta(days=90)
        tx.received.put(
            replace(row, received_at=row.received_at + later, delete_after=row.delete_after + later)
            for row in rows
        )
    assert not open_received(pair.right.peer, snapshot.run_id, sales).rows


def test_every_export_is_recorded_with_file_and_operator(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    write(pair.left, snapshot.run_id, tmp_path / "out.csv")
    with pair.left.peer.store.transaction() as tx:
        (row,) = tx.exports.list(snapshot.run_id)
        entry = tx.log.entries(pair.digest)[-1]
    assert (row.operator, row.file, row.rows, row.fields) == (
        "anna",
        str(tmp_path / "out.csv"),
        7,
        ("score",),
    )
    assert (entry.event, entry.body["rows"]) == ("run.exported", 7)


def test_only_a_finished_exchange_is_exported(revealed: Pair, snapshot: Snapshot) -> None:
    assert refused(lambda: received(revealed.left, snapshot.run_id)).code is ErrorCode.RUN_STATE
    assert refused(lambda: received(revealed.left, "R-NONE")).code is ErrorCode.RUN_UNKNOWN
    assert revealed.left.run(snapshot.run_id).state is RunState.REVEALED


def test_a_partner_known_as_several_contacts_gives_one_row_of_one_of_them(tmp_path: Path) -> None:
    left = [contact("L0", "p0@example.com", "+4915112345000")]
    right = [contact("R0", "p0@example.com", score="1"), contact("R1", "", "+4915112345000", score="2")]
    snapshot = reveal_once(tmp_path / "made", left, right)
    with snapshot.copy(tmp_path / "pair") as pair:
        authorise_both(pair, snapshot.run_id)
        exchange(pair, snapshot.run_id)
        found = received(pair.left, snapshot.run_id)
        ((own, values),) = found.rows
        assert (own, found.ambiguous) == ("L0", 1)
        assert values["score"] in {1, 2}
        assert sorted(received(pair.right, snapshot.run_id).rows) == [
            ("R0", {"city": "Bremen"}),
            ("R1", {"city": "Bremen"}),
        ]


def with_content(content: bytes) -> Callable[[OutgoingRecords], OutgoingRecords]:
    def change(outgoing: OutgoingRecords) -> OutgoingRecords:
        first, *rest = outgoing.records
        changed = PlainRecord(first.rank, first.also, first.retention_days, content)
        return replace(outgoing, records=(changed, *rest))

    return change


CONTENT = {
    "a field that was not agreed": canonical_json({"city": "Bremen", "salary": "90000"}),
    "a field of another class": canonical_json({"score": 5}),
    "a value of another type": canonical_json({"city": 5}),
    "not canonical": b'{"city": "Bremen"}',
    "not an object": b"[]",
    "not JSON": b"\xff",
    "nested far too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", CONTENT)
def test_content_that_was_not_agreed_is_refused_and_logged(
    revealed: Pair, snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    change, build, left = with_content(CONTENT[name]), preview.build_records, revealed.left.peer.home.spool

    def cheat(*args: Any, **options: Any) -> OutgoingRecords:
        outgoing = build(*args, **options)
        return change(outgoing) if outgoing.fields[0].shared.name == "city" else outgoing

    monkeypatch.setattr(preview, "build_records", cheat)
    exchange_both(revealed, snapshot.run_id)
    with pytest.raises(PartnerFault) as caught:
        received(revealed.right, snapshot.run_id)
    assert "90000" not in caught.value.message
    with revealed.right.peer.store.transaction() as tx:
        entry = tx.log.entries(revealed.digest)[-1]
        assert entry.event == "run.content_refused"
        assert tx.exports.list() == []
    assert left.exists()


def test_records_other_than_the_signed_digest_are_refused(pair: Pair, snapshot: Snapshot) -> None:
    with pair.right.peer.store.transaction() as tx:
        rows = tx.received.list(snapshot.run_id)
        tx.received.destroy(snapshot.run_id)
        tx.received.put([replace(rows[0], ciphertext=bytes(40)), *rows[1:]])
    with pytest.raises(PartnerFault):
        received(pair.right, snapshot.run_id)

"""``import mutuals_client``: what it hands out, what it logs, and that it refuses whatever the commands refuse."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.pairing import PASSPHRASE, Company, Pair, contact
from support.policies import approve, category
from support.revealed import Snapshot, authorise, exchange, reveal_once

import mutuals_client as mutuals
from mutuals.identity.acts import verify_act
from mutuals.identity.home import Kdf
from mutuals.identity.operators import create_operator
from mutuals.monitoring.status import peer_status
from mutuals.obligations.revoke import carry_out, plan_revocation
from mutuals.peer import Peer
from mutuals.runs.export_approval import approve_export
from mutuals.runs.handover import disable, take_on
from mutuals_client.api.telling import telling
from mutuals_client.patience import Patience

LEFT = [contact(f"L{i}", f"p{i}@example.com", city=f"Planted {i}") for i in range(6)]
RIGHT = [contact(f"R{i}", f"p{i}@example.com", score="7" if i else "", city="2026-05-01") for i in range(5)]
SENDS = (
    {"name": "score", "type": "integer", "departments": ("marketing",)},
    {"name": "city", "type": "date", "departments": ("marketing",)},
)
Open = Callable[..., "mutuals.PeerSession[pl.DataFrame]"]
OPEN = Peer.open


@pytest.fixture(scope="module")
def revealed(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return reveal_once(tmp_path_factory.mktemp("revealed"), LEFT, RIGHT, partner_sends=SENDS)


@pytest.fixture(scope="module")
def done(revealed: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    root = tmp_path_factory.mktemp("done")
    return revealed.exchanged(root)


@pytest.fixture
def pair(revealed: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with revealed.copy(tmp_path) as pair:
        yield pair


@pytest.fixture
def ended(done: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with done.copy(tmp_path) as pair:
        yield pair


@pytest.fixture
def open_peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a company's peer at the company's time, and closes it in the end."""
    opened: list[mutuals.PeerSession[pl.DataFrame]] = []

    def open_peer(company: Company, **options: Any) -> mutuals.PeerSession[pl.DataFrame]:
        monkeypatch.setattr(Peer, "open", lambda path: OPEN(path, company.clock))
        opened.append(mutuals.open_peer(company.peer.home.root, **{"passphrase": PASSPHRASE, **options}))
        return opened[-1]

    yield open_peer
    for session in opened:
        session.close()


def refused(code: str, act: Callable[..., Any], *arguments: Any, **options: Any) -> mutuals.MutualsError:
    with pytest.raises(mutuals.MutualsError) as caught:
        act(*arguments, **options)
    assert caught.value.code == code, caught.value.message
    return caught.value


def hire(company: Company, name: str, role: str, department: str = "marketing") -> None:
    kdf = Kdf(memory_kib=8, iterations=1)
    row = create_operator(name, (role,), department, PASSPHRASE, kdf=kdf, now=company.clock())
    take_on(company.peer, row, company.keys)


def logged(company: Company, digest: str, event: str) -> list[dict[str, Any]]:
    with company.peer.store.transaction() as tx:
        return [entry.body for entry in tx.log.entries(digest) if entry.event == event]


# --- what it costs ---


def test_importing_loads_next_to_nothing() -> None:
    code = "import json, sys, mutuals_client; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & {"polars", "pydantic", "grpc", "cryptography", "sqlalchemy", "typer", "click", "rich"}
    for name in mutuals.__all__:
        assert name in dir(mutuals)
        assert getattr(mutuals, name)
    with pytest.raises(AttributeError, match="no attribute"):
        mutuals.openpeer  # noqa: B018 - that is the test


# --- what it hands out ---


def test_lists_runs_and_reports_need_no_operator(ended: Pair, done: Snapshot, open_peer: Open) -> None:
    hire(ended.left, "bea", "analyst")
    acme = open_peer(ended.left, passphrase=None)
    assert acme.sources()["name"].to_list() == ["crm"]
    (agreement,) = acme.agreements().rows(named=True)
    assert (agreement["state"], agreement["valid_until"] > date(2026, 1, 1)) == ("active", True)
    (row,) = acme.runs().rows(named=True)
    assert (row["run"], row["overlap"], row["state"]) == (done.run_id, 5, "done")
    assert acme.runs().schema["reason"] == pl.String
    run = acme.run(done.run_id.lower())
    assert (run.shared, run.contacts, run.own_size, run.partner) == (5, 5, 6, "Right SA")
    assert acme.run(run) == run
    assert not acme.status(quick=True).overdue
    assert acme.report(run).facts["exchange"]["contacts_received"] == 5
    assert acme.check("crm", purpose="joint-marketing")["participation"]["contacts"] == 6
    refused("USAGE", acme.check, "crm", purpose="joint-marketing", max_age_days=0)
    refused("USAGE", acme.received, run)  # two operators, and nobody said which
    refused("RUN_UNKNOWN", acme.run, "R-NONE")


def test_what_was_received_comes_with_types_and_is_an_export(
    ended: Pair, done: Snapshot, open_peer: Open
) -> None:
    acme = open_peer(ended.left)
    frame = acme.received(done.run_id).sort("contact_id")
    assert frame.schema == {"contact_id": pl.String, "score": pl.Int64, "city": pl.Date}
    assert frame.row(0) == ("L0", None, date(2026, 5, 1))
    assert frame["score"].to_list() == [None, 7, 7, 7, 7]
    (entry,) = logged(ended.left, done.digest, "run.exported")
    act = verify_act(entry["act"].encode(), bytes.fromhex(entry["act_signature"]))
    assert (act.act, act.operator, act.facts["fields"]) == ("records.export", "anna", ["score", "city"])
    (export,) = peer_status(ended.left.peer, sources=False).agreements[0].exports
    assert (export.file, export.rows) == ("in memory (Python)", 5)


def test_a_look_is_no_export_and_has_an_end(ended: Pair, done: Snapshot, open_peer: Open) -> None:
    acme = open_peer(ended.left)
    assert acme.view(done.run_id, 2).height == 2
    for rows in (0, 1001):
        refused("USAGE", acme.view, done.run_id, rows)
    assert [entry["rows"] for entry in logged(ended.left, done.digest, "run.viewed")] == [2]
    assert not logged(ended.left, done.digest, "run.exported")


def test_the_overlap_is_recorded_and_leaves_out_who_withdrew(pair: Pair, open_peer: Open) -> None:
    acme = open_peer(pair.left)
    (run_id,) = acme.runs()["run"]
    found = acme.overlap(run_id)
    assert (found.columns, sorted(found["contact_id"])) == (["contact_id"], [f"L{i}" for i in range(5)])
    left = pair.left
    carry_out(left.peer, plan_revocation(left.peer, ["L2"], "withdrawal", left.keys), left.keys)
    assert "L2" not in acme.overlap(run_id)["contact_id"]
    assert [entry["rows"] for entry in logged(pair.left, pair.digest, "run.exported")] == [5, 4]


def test_after_the_overlap_alone_the_records_still_wait_to_be_exported(
    ended: Pair, done: Snapshot, open_peer: Open
) -> None:
    acme = open_peer(ended.left)
    assert acme.overlap(done.run_id).height == 5
    assert acme.status(quick=True).agreements[0].runs[0].to_export
    acme.received(done.run_id)
    assert not acme.status(quick=True).agreements[0].runs[0].to_export


def test_a_report_is_written_once_and_privately(
    ended: Pair, done: Snapshot, open_peer: Open, tmp_path: Path
) -> None:
    report = open_peer(ended.left).report(done.run_id)
    path = report.write(tmp_path / "report.html")
    assert path.read_text() == report.html
    assert path.stat().st_mode & 0o077 == 0
    assert "force=True" in (refused("USAGE", report.write, path).hint or "")
    report.write(path, force=True)
    refused("USAGE", report.write, tmp_path / "nowhere" / "report.html")


# --- exchange ---


def test_a_preview_counts_by_field_and_reason(pair: Pair, revealed: Snapshot, open_peer: Open) -> None:
    rows = [row | {"suppressed": "true"} if row["contact_id"] == "L1" else row for row in LEFT]
    pair.left.write(rows)
    preview = open_peer(pair.left).preview(revealed.run_id)
    assert (preview.overlap, preview.contacts, preview.records) == (5, 4, 4)
    assert preview.withheld.rows() == [(None, "suppressed", 1)]
    assert preview.fields.select("field", "values", "withheld").rows() == [("city", 4, 0)]
    assert preview.kept_back.height == 0
    assert "Planted" not in repr(preview)


def test_exactly_the_preview_is_authorised(pair: Pair, revealed: Snapshot, open_peer: Open) -> None:
    globex = open_peer(pair.right)
    preview = globex.preview(revealed.run_id)
    assert "preview(run)" in (refused("USAGE", globex.exchange, revealed.run_id).hint or "")
    other = replace(preview, run="R-OTHER")
    refused("USAGE", globex.exchange, revealed.run_id, other)
    pair.right.write(RIGHT[:-1])
    refused("PREVIEW_CHANGED", globex.exchange, revealed.run_id, preview)
    with pair.right.peer.store.transaction() as tx:
        assert tx.authorisations.current("exchange", revealed.run_id, pair.right.clock()) is None
    preview = globex.preview(revealed.run_id)
    assert globex.exchange(revealed.run_id, preview).state == "revealed"
    authorise(pair.left, revealed.run_id)
    assert not exchange(pair, revealed.run_id).errors
    assert globex.exchange(revealed.run_id, preview, wait=True).state == "done"
    refused("PREVIEW_CHANGED", globex.exchange, revealed.run_id, replace(preview, id="0000-0000-0000-0000"))


def test_a_partner_that_is_down_costs_nothing(pair: Pair, revealed: Snapshot, open_peer: Open) -> None:
    acme = open_peer(pair.left)
    refused("UNREACHABLE", acme.exchange, revealed.run_id, acme.preview(revealed.run_id))
    assert acme.reveal(revealed.run_id).state == "revealed"
    assert acme.match(pair.digest, unless_since="20h").id == revealed.run_id
    refused("USAGE", acme.match, pair.digest, unless_since="yesterday")
    refused("AGREEMENT_UNKNOWN", acme.match, "A-NONE")


# --- who may ---


@pytest.mark.parametrize(
    ("role", "act"),
    [
        ("analyst", "preview and exchange"),
        ("auditor", "match"),
        ("service", "overlap"),
        ("admin", "match"),
    ],
)
def test_a_role_that_may_not(pair: Pair, revealed: Snapshot, open_peer: Open, role: str, act: str) -> None:
    hire(pair.left, "bea", role)
    acme = open_peer(pair.left, operator="bea")
    refusal = {
        "match": lambda: acme.match(pair.digest),
        "overlap": lambda: acme.overlap(revealed.run_id),
        "preview and exchange": lambda: acme.exchange(revealed.run_id, acme.preview(revealed.run_id)),
    }[act]
    refused("NOT_ENTITLED", refusal)


def test_another_department_gets_neither_records_nor_overlap(
    ended: Pair, done: Snapshot, open_peer: Open
) -> None:
    hire(ended.left, "cem", "analyst", department="sales")
    acme = open_peer(ended.left, operator="cem")
    for act in (acme.received, acme.view, acme.overlap):
        refused("NOT_ENTITLED", act, done.run_id)
    assert not logged(ended.left, done.digest, "run.exported")


def test_where_the_policy_asks_for_four_eyes_a_frame_needs_them_each_time(
    ended: Pair, done: Snapshot, open_peer: Open
) -> None:
    left = ended.left
    hire(left, "bea", "analyst")
    approve(left, category("contact", fields=("city",)), four_eyes=("export",))
    acme = open_peer(left, operator="bea")
    for act in (acme.received, acme.overlap):
        assert "--approve bea" in (refused("NOT_AUTHORISED_YET", act, done.run_id).hint or "")
        approve_export(left.peer, done.run_id, "bea", left.keys)
        assert act(done.run_id).height == 5
        refused("NOT_AUTHORISED_YET", act, done.run_id)


def test_before_the_exchange_there_is_nothing_to_read(
    pair: Pair, revealed: Snapshot, open_peer: Open
) -> None:
    acme = open_peer(pair.left)
    refused("RUN_STATE", acme.received, revealed.run_id)
    refused("RUN_STATE", acme.view, revealed.run_id)


def test_passphrases(
    pair: Pair, revealed: Snapshot, monkeypatch: pytest.MonkeyPatch, open_peer: Open
) -> None:
    held: dict[str, bytes] = {}
    monkeypatch.setattr("mutuals_client.keyrings.passphrase_from_keyring", held.get)
    refused("NOT_ENTITLED", open_peer, pair.left, passphrase="not the passphrase")
    missing = refused("USAGE", open_peer(pair.left, passphrase=None).overlap, revealed.run_id)
    assert "passphrase=" in (missing.hint or "")
    refused("USAGE", open_peer(pair.left, passphrase=lambda: "").overlap, revealed.run_id)
    refused("USAGE", open_peer, pair.left, passphrase=5)
    assert open_peer(pair.left, passphrase=PASSPHRASE.decode).overlap(revealed.run_id).height == 5
    held["anna"] = PASSPHRASE
    assert open_peer(pair.left, passphrase=None).overlap(revealed.run_id).height == 5


def test_a_notebook_without_a_person_is_told_so(
    pair: Pair, revealed: Snapshot, monkeypatch: pytest.MonkeyPatch, open_peer: Open
) -> None:
    class Nobody(NotImplementedError):
        """As ipykernel's StdinNotImplementedError."""

    def ask(prompt: str) -> str:
        raise Nobody(prompt)

    acme = open_peer(pair.left, passphrase=None)
    monkeypatch.setattr("mutuals_client.keyrings.passphrase_from_keyring", lambda name: None)
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setattr("getpass.getpass", ask)
    refused("USAGE", acme.overlap, revealed.run_id)
    monkeypatch.setattr("getpass.getpass", lambda prompt: PASSPHRASE.decode())
    assert acme.overlap(revealed.run_id).height == 5


def test_who_was_disabled_while_the_peer_was_open_reads_no_more(
    ended: Pair, done: Snapshot, open_peer: Open
) -> None:
    hire(ended.left, "bea", "analyst")
    acme = open_peer(ended.left, operator="bea")
    assert acme.received(done.run_id).height == 5
    disable(ended.left.peer, "bea", ended.left.keys)
    refused("NOT_ENTITLED", acme.received, done.run_id)


# --- how it is used ---


def test_it_works_inside_a_running_event_loop_and_not_after_closing(
    ended: Pair, done: Snapshot, open_peer: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cell() -> int:
        with open_peer(ended.left) as acme:
            return acme.received(done.run_id).height

    assert asyncio.run(cell()) == 5
    acme = open_peer(ended.left)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("os.getpid", lambda: -1)
        assert "process" in refused("USAGE", acme.runs).message
    acme.close()
    acme.close()
    assert "closed" in refused("USAGE", acme.runs).message
    assert "(closed)" in repr(acme)


def test_progress_is_told_at_each_stage_and_as_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[mutuals.Step] = []
    with telling(steps.append) as progress:
        progress.stage("blinding", 10)
        progress.advance(4)
        progress.stage("blinding", 0)
        progress.advance(6)
        progress.stage("waiting", 0)
    assert list(map(str, steps)) == ["blinding: 0 of 10", "blinding: 10 of 10", "waiting"]
    with telling(None) as progress:
        progress.stage("blinding", 10)
    told: list[str] = []
    monkeypatch.setattr("mutuals_client.patience.sleep", lambda seconds: None)
    patience = Patience.of("1h", told.append)
    for _ in range(2):
        patience.pause(mutuals.MutualsError(mutuals.ErrorCode.BUSY, "They are busy."))
    assert told == ["They are busy. Trying again for 60 minutes."]


def test_pandas(ended: Pair, done: Snapshot, open_peer: Open) -> None:
    refused("USAGE", open_peer, ended.left, frames="arrow")
    if importlib.util.find_spec("pandas") is None or importlib.util.find_spec("pyarrow") is None:
        assert "mutuals[pandas]" in (refused("USAGE", open_peer, ended.left, frames="pandas").hint or "")
        return
    frame = open_peer(ended.left, frames="pandas").received(done.run_id)
    assert list(frame.columns) == ["contact_id", "score", "city"]
    assert len(frame) == 5

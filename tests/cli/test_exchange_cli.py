"""``mutuals exchange`` and ``mutuals export``: what a person sees, what a program gets, what is refused."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.pairing import PASSPHRASE, Company, Pair, contact, paired
from support.revealed import Snapshot, authorise, exchange, reveal_once

from mutuals.identity.acts import verify_act
from mutuals.models.agreement import AgreementState, Side
from mutuals.models.run import RunState
from mutuals_client import main

LEFT = [contact(f"L{i}", f"p{i}@example.com", city=f"Planted {i}") for i in range(5)]
RIGHT = [contact(f"R{i}", f"p{i}@example.com", score="high" if i == 1 else str(i)) for i in range(5)]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return reveal_once(tmp_path_factory.mktemp("pair"), LEFT, RIGHT)


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        yield pair


_UNSIGNED = {"match", "runs", "sync"}


class CommandLine:
    """Runs commands on a company's home, with its operator's passphrase on a descriptor."""

    def __init__(self, company: Company, capture: pytest.CaptureFixture[str]) -> None:
        self._home = str(company.peer.home.root)
        self._capture = capture
        self.out = ""
        self.err = ""

    def __call__(self, *arguments: str, secret: bytes = PASSPHRASE) -> int:
        read, write = os.pipe()
        os.write(write, secret + b"\n")
        os.close(write)
        try:
            main.reset_settings()
            secret_option = [] if arguments[0] in _UNSIGNED else ["--passphrase-fd", str(read)]
            code = main.run([*arguments, "--home", self._home, *secret_option])
        finally:
            os.close(read)
        self.out, self.err = self._capture.readouterr()
        return code

    def json(self, *arguments: str) -> dict[str, Any]:
        """The one JSON object of a command that succeeds."""
        assert self(*arguments, "--json") == 0, self.out + self.err
        found: dict[str, Any] = json.loads(self.out)
        return found

    def failure(self, *arguments: str, **options: Any) -> tuple[int, str]:
        """Exit code and error code."""
        code = self(*arguments, "--json", **options)
        return code, json.loads(self.out)["error"]["code"]


@pytest.fixture
def left(pair: Pair, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(pair.left, capsys)


@pytest.fixture
def right(pair: Pair, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(pair.right, capsys)


def test_dry_run_shows_counts_by_field_and_reason_and_signs_nothing(
    pair: Pair, snapshot: Snapshot, right: CommandLine
) -> None:
    pair.right.write([row | {"suppressed": "true"} if row["contact_id"] == "R2" else row for row in RIGHT])
    found = right.json("exchange", snapshot.run_id, "--dry-run")
    assert (found["overlap_contacts"], found["contacts"], found["records"]) == (5, 4, 4)
    assert found["withheld"] == {"suppressed": 1}
    (score,) = found["fields"]
    assert (score["name"], score["values"], score["withheld"]) == ("score", 3, {"not_an_integer": 1})
    assert right("exchange", snapshot.run_id, "-n") == 0
    assert "1 contact: suppressed in your source." in right.out
    assert "1 not a whole number" in right.out
    with pair.right.peer.store.transaction() as tx:
        assert tx.authorisations.current("exchange", snapshot.run_id, pair.right.clock()) is None


def test_no_preview_shows_a_value(snapshot: Snapshot, left: CommandLine) -> None:
    assert left("exchange", snapshot.run_id, "--dry-run") == 0
    assert "Planted" not in left.out + left.err


def test_responder_authorises_and_leaves_the_rest_to_its_server(
    pair: Pair, snapshot: Snapshot, right: CommandLine
) -> None:
    found = right.json("exchange", snapshot.run_id, "--yes")
    found.pop("notifications", None)  # that the agreement was proposed, told once
    preview = found.pop("preview")
    assert found == {"run": snapshot.run_id, "state": "revealed", "ready": True}
    authorise(pair.left, snapshot.run_id)
    assert not exchange(pair, snapshot.run_id).errors
    done = right.json("exchange", snapshot.run_id)
    assert (done["state"], done["contacts_sent"], done["contacts_received"]) == ("done", 5, 5)
    assert (done["fields_sent"], done["preview"]) == (["score"], preview)


def test_initiator_without_a_reachable_partner_loses_nothing(
    pair: Pair, snapshot: Snapshot, left: CommandLine
) -> None:
    assert left.failure("exchange", snapshot.run_id, "--yes") == (8, "UNREACHABLE")
    assert pair.left.run(snapshot.run_id).state is RunState.REVEALED
    authorise(pair.right, snapshot.run_id)
    assert not exchange(pair, snapshot.run_id).errors


def test_without_a_terminal_the_question_needs_yes(snapshot: Snapshot, right: CommandLine) -> None:
    assert right.failure("exchange", snapshot.run_id) == (2, "USAGE")
    assert right.failure("exchange", snapshot.run_id, "--yes", secret=b"not the passphrase") == (
        3,
        "NOT_ENTITLED",
    )


def test_a_changed_preview_stops_with_exit_code_3(pair: Pair, snapshot: Snapshot, right: CommandLine) -> None:
    authorise(pair.right, snapshot.run_id)
    pair.right.write(RIGHT[:-1])
    assert right.failure("exchange", snapshot.run_id, "--yes") == (3, "PREVIEW_CHANGED")
    assert right.json("exchange", snapshot.run_id, "--yes")["ready"] is True


def test_export_writes_the_file_and_says_what_it_left_out(
    pair: Pair, snapshot: Snapshot, left: CommandLine, tmp_path: Path
) -> None:
    out = tmp_path / "campaign.csv"
    assert left.failure("export", snapshot.run_id, "--out", str(out)) == (1, "RUN_STATE")
    for company in pair.sides.values():
        authorise(company, snapshot.run_id)
    exchange(pair, snapshot.run_id)
    found = left.json("export", snapshot.run_id, "--out", str(out))
    assert (found["rows"], found["fields"], found["left_out"]) == (5, ["score"], [])
    heading, *rows = out.read_text().splitlines()
    assert heading == "contact_id,Right SA: score"
    assert sorted(rows) == ["L0,0", "L1,", "L2,2", "L3,3", "L4,4"]
    assert (found["contact_heading"], found["headings"]) == ("contact_id", {"score": "Right SA: score"})
    assert (found["own"], found["withheld"], found["guarded"]) == ([], {}, 0)
    assert found["delete_by"] == str((pair.left.clock() + timedelta(days=90)).date())
    assert left.failure("export", snapshot.run_id, "--out", str(out)) == (2, "USAGE")
    assert left("export", snapshot.run_id.lower(), "--out", str(out), "--force") == 0
    assert left.out.splitlines()[0].endswith("columns “contact_id”, “Right SA: score”.")
    assert f"by {found['delete_by']}" in left.out
    assert left.failure("export", snapshot.run_id, "--out", str(tmp_path / "a.xlsx")) == (2, "USAGE")


def test_a_look_shows_some_rows_and_is_signed_in_the_log(
    pair: Pair, snapshot: Snapshot, left: CommandLine
) -> None:
    assert left.failure("view", snapshot.run_id) == (1, "RUN_STATE")
    for company in pair.sides.values():
        authorise(company, snapshot.run_id)
    exchange(pair, snapshot.run_id)
    found = left.json("view", snapshot.run_id, "--rows", "2")
    assert (found["contacts"], found["fields"], len(found["rows"])) == (5, ["score"], 2)
    assert left("view", snapshot.run_id, "--rows", "3") == 0
    assert "2 more are not shown." in left.out
    with pair.left.peer.store.transaction() as tx:
        entries = [entry.body for entry in tx.log.entries(pair.digest) if entry.event == "run.viewed"]
    assert [entry["rows"] for entry in entries] == [2, 3]
    act = verify_act(entries[0]["act"].encode(), bytes.fromhex(entries[0]["act_signature"]))
    assert (act.act, act.operator, act.facts["fields"]) == ("records.view", "anna", ["score"])


def test_an_unknown_run_is_one_sentence(left: CommandLine, tmp_path: Path) -> None:
    for arguments in (["exchange", "R-NONE"], ["export", "R-NONE", "--out", str(tmp_path / "x.csv")]):
        assert left.failure(*arguments) == (1, "RUN_UNKNOWN")


def test_a_run_is_shown_to_people_by_names_and_minutes(
    pair: Pair, snapshot: Snapshot, left: CommandLine
) -> None:
    with pair.left.peer.store.transaction() as tx:
        (partner,) = tx.partners.list()
        (agreement,) = tx.agreements.list()
        tx.partners.remove(partner.fingerprint, pair.left.clock())
    facts = left.json("runs", "show", snapshot.run_id)
    assert (facts["agreement"], facts["agreement_id"]) == (agreement.digest, agreement.agreement_id)
    assert (facts["partner"], facts["partner_name"]) == (partner.fingerprint, partner.name)
    assert left("runs", "show", snapshot.run_id) == 0
    assert agreement.agreement_id in left.out
    assert partner.name in left.out
    assert f"{pair.left.run(snapshot.run_id).opened_at:%Y-%m-%d %H:%M} UTC\n" in left.out
    assert not re.search(r"[0-9a-f]{12}", left.out)
    assert left("runs") == 0
    assert partner.name in left.out
    assert left.json("runs")["runs"][0]["partner_name"] == partner.name


def test_the_preview_reads_as_a_sentence(snapshot: Snapshot, left: CommandLine) -> None:
    assert left("exchange", snapshot.run_id, "--dry-run") == 0
    assert "as it is" in left.out


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        (RunState.COUNTED, "Reveal it first: mutuals reveal R-"),
        (RunState.REVEALED, "Exchange it first: mutuals exchange R-"),
        (RunState.EXCHANGING, "Finish it: mutuals exchange R-"),
        (RunState.HALF_REVEALED, "mutuals runs clear R-"),
        (RunState.STALE, "Start a new match: mutuals match A-"),
        (RunState.FAILED, "Start a new match: mutuals match A-"),
        (RunState.EXPIRED, "Start a new match: mutuals match A-"),
        (RunState.COUNT_ONLY, "Start a new match: mutuals match A-"),
        (RunState.BELOW_THRESHOLD, "Start a new match: mutuals match A-"),
    ],
)
def test_export_of_a_run_that_is_not_done_says_what_comes_first(
    pair: Pair, snapshot: Snapshot, left: CommandLine, tmp_path: Path, state: RunState, hint: str
) -> None:
    with pair.left.peer.store.transaction() as tx:
        tx.runs.update(snapshot.run_id, {RunState.REVEALED}, state=state)
    assert left("export", snapshot.run_id, "--out", str(tmp_path / "x.csv")) == 1
    assert hint in left.err


def test_a_match_that_cannot_be_calls_nobody(
    pair: Pair, left: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*_: object, **__: object) -> None:
        raise AssertionError("the partner was called")

    monkeypatch.setattr("mutuals_client.calls.partner_connection", call)
    with pair.left.peer.store.transaction() as tx:
        (agreement,) = tx.agreements.list()
        tx.agreements.set_state(agreement.digest, AgreementState.ENDED, pair.left.clock())
    assert left.failure("match", agreement.agreement_id) == (6, "AGREEMENT_NOT_ACTIVE")


def test_a_match_under_a_proposed_agreement_fetches_documents_and_opens_no_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronised: list[str] = []

    @contextmanager
    def connected(_peer: object, fingerprint: str, **_: object) -> Iterator[object]:
        synchronised.append(fingerprint)
        yield object()  # no call can be made over it

    monkeypatch.setattr("mutuals_client.calls.partner_connection", connected)
    monkeypatch.setattr("mutuals.peer.Peer.open_pool", lambda _: nullcontext())
    rows = {Side.PROPOSER: LEFT, Side.PARTNER: RIGHT}
    with paired(tmp_path, rows, endpoint="right.example:8443") as pair:
        with pair.left.peer.store.transaction() as tx:
            (agreement,) = tx.agreements.list()
            tx.agreements.set_state(agreement.digest, AgreementState.PROPOSED, pair.left.clock())
        left = CommandLine(pair.left, capsys)
        assert left.failure("match", agreement.agreement_id) == (6, "AGREEMENT_NOT_ACTIVE")
        assert synchronised == [agreement.partner]


def test_a_partner_that_cannot_be_called_is_asked_for_what_helps_here(
    pair: Pair, snapshot: Snapshot, left: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mutuals.peer.Peer.open_pool", lambda _: nullcontext())
    with pair.left.peer.store.transaction() as tx:
        (agreement,) = tx.agreements.list()
    assert left("match", agreement.agreement_id) == 8
    assert f"to start it: mutuals match {agreement.agreement_id}" in left.err
    assert left("exchange", snapshot.run_id, "--yes") == 8
    assert "This side started the run, so it has to call." in left.err
    assert left("sync", "Right SA") == 8
    assert "ask Right SA to run: mutuals sync" in left.err


# --- the preview ----------------------------------------------------------------------------------------------------


def test_a_preview_is_authorised_by_its_name_and_no_other(
    pair: Pair, snapshot: Snapshot, right: CommandLine
) -> None:
    seen = right.json("exchange", snapshot.run_id, "--dry-run")["preview"]
    assert right.failure("exchange", snapshot.run_id, "--preview", "0000-0000-0000-0000") == (
        3,
        "PREVIEW_CHANGED",
    )
    pair.right.write(RIGHT[:-1])
    assert right.failure("exchange", snapshot.run_id, "--preview", seen) == (3, "PREVIEW_CHANGED")
    assert right.failure("exchange", snapshot.run_id, "--preview", seen, "--dry-run") == (
        3,
        "PREVIEW_CHANGED",
    )
    with pair.right.peer.store.transaction() as tx:
        assert not tx.authorisations.given("exchange", snapshot.run_id)
    pair.right.write(RIGHT)
    assert (
        right.json("exchange", snapshot.run_id, "--preview", seen.upper())["ready"] is True
    )  # without --yes
    found = right.json("exchange", snapshot.run_id, "--dry-run")["authorised"]
    assert [(item["operator"], item["preview"], item["same"]) for item in found] == [("anna", seen, True)]
    assert right.json("runs", "show", snapshot.run_id)["previews_authorised"] == {"anna": seen}
    authorise(pair.left, snapshot.run_id)
    assert not exchange(pair, snapshot.run_id).errors
    assert right.json("exchange", snapshot.run_id, "--preview", seen)["preview"] == seen
    assert right.failure("exchange", snapshot.run_id, "--preview", "0" * 16) == (3, "PREVIEW_CHANGED")
    assert right.json("runs", "show", snapshot.run_id)["preview_sent"] == seen


def test_masked_records_are_shown_to_who_asks_and_kept_nowhere(
    pair: Pair, snapshot: Snapshot, left: CommandLine, tmp_path: Path
) -> None:
    assert "samples" not in left.json("exchange", snapshot.run_id, "--dry-run")
    (first, *_) = left.json("exchange", snapshot.run_id, "--dry-run", "--samples")["samples"]
    assert first == {"city": {"shown": "part", "text": "Pl••••"}}
    assert left("exchange", snapshot.run_id, "-n", "--samples") == 0
    assert "3 records, masked" in left.out
    page = tmp_path / "preview.html"
    assert left.json("exchange", snapshot.run_id, "-n", "--html", str(page))["file"] == str(page)
    assert "Pl••••" in page.read_text(encoding="utf-8")
    assert "Planted" not in page.read_text(encoding="utf-8") + left.out
    assert page.stat().st_mode & 0o077 == 0
    assert left.failure("exchange", snapshot.run_id, "-n", "--html", str(page)) == (2, "USAGE")
    assert left("exchange", snapshot.run_id, "-n", "--html", str(page), "--force") == 0
    with pair.left.peer.store.transaction() as tx:
        assert not any("Pl••" in json.dumps(entry.body, default=str) for entry in tx.log.entries())


def test_the_preview_says_what_is_rare_and_what_was_sent_so_far(
    pair: Pair, snapshot: Snapshot, left: CommandLine
) -> None:
    (city,) = left.json("exchange", snapshot.run_id, "--dry-run")["fields"]
    assert (city["heading"], city["distinct"], city["alone"], city["few"]) == ("city", 5, 5, 5)
    authorise(pair.left, snapshot.run_id)
    pair.left.write([LEFT[0] | {"consent_at": "2020-01-01"}, *LEFT[1:]])
    assert left("exchange", snapshot.run_id, "--dry-run") == 0
    told = " ".join(left.out.split())
    assert "anna authorised another preview" in told
    assert "1 contact: consent given before 20" in told
    assert "the 730 days agreed." in told

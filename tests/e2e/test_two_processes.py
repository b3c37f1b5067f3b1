"""Two companies as two sets of processes: the command line and the server as they are installed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mutuals.errors import MutualsError
from mutuals_client.demo.agreement import agreement_toml
from mutuals_client.demo.company import Company
from mutuals_client.demo.data import DemoData, generate
from mutuals_client.demo.story import ACCEPTED, Story

CONTACTS = 400


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The whole demo, told once; the homes stay for the tests after it."""
    told = Story(tmp_path_factory.mktemp("demo"), CONTACTS, seed=11, say=lambda *_: None)
    told.tell()
    return told


@pytest.fixture(scope="module")
def companies(story: Story) -> Iterator[tuple[Company, Company]]:
    """Both companies again; the left one serves."""
    left, right = (
        Company(slug, story.folder / slug, "only for this demo") for slug in ("nordwind", "velo-verde")
    )
    left.serve()
    yield left, right
    left.stop()


def test_demo_ends_with_the_true_numbers(story: Story) -> None:
    numbers, truth = story.numbers, story.numbers["truth"]
    assert numbers["match"]["overlap_items"] == truth["overlap_items"] > 0
    assert numbers["exchange"]["left"]["contacts_received"] == truth["right_matched"]
    assert numbers["exchange"]["right"]["contacts_received"] == truth["left_matched"]
    assert numbers["exchange"]["right"]["fields_sent"] == ["loyalty_tier", "bike_type", "last_service"]
    for faults in numbers["faults"].values():
        assert set(faults.values()) == {0}


def test_nothing_that_was_received_lies_readable_in_the_homes(story: Story) -> None:
    """A stolen home holds the own list's path, but no value of the partner's and no own contact id of the overlap."""
    data: DemoData = generate(CONTACTS, 11, today=datetime.now(UTC).date())
    planted = [next(iter(data.truth.right.matched)), "branch", "trail running", "e-bike"]
    for home in (story.folder / "nordwind", story.folder / "velo-verde"):
        for path in home.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                for value in planted:
                    assert value.encode() not in content, f"{value} in {path.name}"


def test_spool_is_empty_and_files_are_private_afterwards(story: Story) -> None:
    for home in (story.folder / "nordwind", story.folder / "velo-verde"):
        assert not list((home / "spool").iterdir())
        for path in home.rglob("*"):
            assert path.stat().st_mode & 0o077 == 0, path.name


def test_worker_killed_mid_run_fails_that_run_and_the_next_succeeds(
    story: Story, companies: tuple[Company, Company]
) -> None:
    left, right = companies
    agreement = story.numbers["agreement"]["id"]
    killer = threading.Thread(target=_kill_a_worker, args=(left,))
    _pause_workers(left)
    killer.start()
    failed = right.run("match", agreement, expect=(1,))
    killer.join()
    assert failed["error"]["code"] == "WORKER_DIED"
    assert right.run("match", agreement, "--count-only")["overlap"] == story.numbers["match"]["overlap_items"]
    states = [run["state"] for run in left.run("runs")["runs"]]
    assert states == ["count_only", "failed", "done"]


def test_partner_that_is_down_is_exit_code_8_and_charges_nothing(
    story: Story, companies: tuple[Company, Company]
) -> None:
    left, right = companies
    left.stop()
    before = len(right.run("runs")["runs"])
    refused = right.run("match", story.numbers["agreement"]["id"], expect=(8,))
    assert "try again" in (refused["error"]["message"] + refused["error"]["hint"]).lower()
    assert len(right.run("runs")["runs"]) == before


def test_proposal_waits_in_the_outbox_until_the_partner_calls(
    story: Story, companies: tuple[Company, Company], tmp_path: Path
) -> None:
    left, right = companies
    left.stop()
    draft = tmp_path / "second.toml"
    text = agreement_toml(datetime.now(UTC).date(), CONTACTS)
    draft.write_text(text.replace("spring campaign", "autumn campaign"), encoding="utf-8")
    accepting = [f"--accept={name}={reason}" for name, reason in ACCEPTED.items()]
    left.run("agreement", "assess", str(draft), "--source", "customers", *accepting, sign=True)
    proposed = left.run(
        "agreement", "propose", str(draft), "--with", "Vélo Verde SAS", "--source", "customers", sign=True
    )
    assert len(right.run("agreement", "list")["agreements"]) == 1
    left.serve()
    right.run("sync")
    known = {row["id"]: row["state"] for row in right.run("agreement", "list")["agreements"]}
    assert known[proposed["id"]] == "proposed"
    refused = right.run("match", proposed["id"], expect=(6,))
    assert refused["error"]["code"] == "AGREEMENT_NOT_ACTIVE"


def _workers(company: Company) -> list[int]:
    """The worker processes of the company's server: its children that were spawned to compute."""
    assert company.server is not None
    children = Path(f"/proc/{company.server.pid}/task/{company.server.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _pause_workers(company: Company) -> None:
    """Hold the workers, so that the run is surely under way when one of them dies."""
    for pid in _workers(company):
        os.kill(pid, signal.SIGSTOP)


def _kill_a_worker(company: Company) -> None:
    """Once the partner's run is in the store, kill one worker and let the others go on."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if any(run["state"] == "matching" for run in company.run("runs")["runs"]):
                break
        except MutualsError:
            pass
        time.sleep(0.1)
    first, *others = _workers(company)
    os.kill(first, signal.SIGKILL)
    for pid in others:
        os.kill(pid, signal.SIGCONT)

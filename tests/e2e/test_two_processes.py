"""Two companies as two sets of processes: the command line and the server as they are installed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mutuals.errors import MutualsError
from mutuals_client.demo.agreement import agreement_toml
from mutuals_client.demo.company import Company
from mutuals_client.demo.data import DemoData, generate
from mutuals_client.demo.signing import assess, sign
from mutuals_client.demo.stage import Stage
from mutuals_client.demo.story import Story
from mutuals_client.demo.verify import found_in

CONTACTS = 400


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Story, Stage]]:
    """The whole demo, told once; the homes stay for the tests after it, and the companies at work."""
    told = Story(tmp_path_factory.mktemp("demo"), CONTACTS, seed=11, say=lambda *_: None)
    try:
        yield told, told.perform()
    finally:
        told.close()


@pytest.fixture(scope="module")
def story(ended: tuple[Story, Stage]) -> Story:
    """The demo, told."""
    return ended[0]


@pytest.fixture(scope="module")
def stage(ended: tuple[Story, Stage]) -> Stage:
    """The same companies with a new agreement, after the one that the demo ended; the left one serves."""
    stage = replace(ended[1], numbers={}, agreement="", run="")
    assess(stage)
    sign(stage)
    return stage


def test_demo_ends_with_the_true_numbers(story: Story) -> None:
    numbers, truth = story.numbers, story.numbers["truth"]
    assert numbers["match"]["overlap_items"] == truth["overlap_items"] > 0
    assert numbers["exchange"]["left"]["contacts_received"] == truth["right_matched"]
    assert numbers["exchange"]["right"]["contacts_received"] == truth["left_matched"]
    assert numbers["exchange"]["right"]["fields_sent"] == ["loyalty_tier", "bike_type", "last_service"]
    for faults in numbers["faults"].values():
        assert set(faults.values()) == {0}
    assert numbers["sound"]
    assert numbers["checks"]
    assert all(numbers["checks"].values())


def test_demo_tells_the_agreement_s_life_to_its_certificates(story: Story) -> None:
    numbers = story.numbers
    assert numbers["assessment"]["nordwind"]["accepted"].keys() >= {"small-groups"}
    assert numbers["refusal"]["code"] == "NOT_ENTITLED"
    assert numbers["withdrawal"]["rows_after"] == numbers["withdrawal"]["rows_before"] - 1
    assert numbers["end"]["state"] == {"nordwind": "closed", "velo-verde": "closed"}
    assert numbers["end"]["records_destroyed"] > 0
    assert numbers["scan"]["found"] == 0 < numbers["scan"]["values"]
    assert numbers["audit"]["cosigned_checkpoints"] > 0


def test_a_check_that_fails_ends_the_demo(story: Story, tmp_path: Path) -> None:
    nobody = Company("nobody", tmp_path, "")
    data = generate(10, 1, today=datetime.now(UTC).date())
    stage = Stage(tmp_path, data, nobody, nobody, datetime.now(UTC).date(), say=lambda *_: None)
    stage.check("true", True)
    with pytest.raises(MutualsError, match=r"not the truth: left over. 3 values are."):
        stage.check("left_over", False, "3 values are.")
    assert stage.numbers == {"checks": {"true": True, "left_over": False}, "sound": False}


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "store"
    file.write_bytes(b"\x00trail running\xff")
    size, found = found_in([file], {b"trail running", b"climbing"})
    assert (size, set(found)) == (15, {b"trail running"})


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


def test_match_whose_worker_was_killed_goes_on_when_it_is_called_again(story: Story, stage: Stage) -> None:
    left, right, agreement = stage.left, stage.right, stage.agreement
    killer = threading.Thread(target=_kill_a_worker, args=(left,))
    _pause_workers(left)
    killer.start()
    failed = right.run("match", agreement, expect=(1,))
    killer.join()
    assert failed["error"]["code"] == "WORKER_DIED"
    withdrawn = stage.data.right.by_id[story.numbers["withdrawal"]["contact"]]
    expected = len(stage.data.truth.overlap - withdrawn.identifiers)
    again = right.run("match", agreement)
    assert (again["overlap"], again["resumed"]) == (expected, True)
    states = [run["state"] for run in left.run("runs")["runs"]]
    assert states == ["counted", "done"]
    assert right.run("match", agreement, "--count-only")["overlap"] == expected


def test_partner_that_is_down_is_exit_code_8_and_charges_nothing(stage: Stage) -> None:
    left, right = stage.left, stage.right
    left.stop()
    before = len(right.run("runs")["runs"])
    refused = right.run("match", stage.agreement, expect=(8,))
    assert "try again" in (refused["error"]["message"] + refused["error"]["hint"]).lower()
    assert len(right.run("runs")["runs"]) == before


def test_proposal_waits_in_the_outbox_until_the_partner_calls(stage: Stage, tmp_path: Path) -> None:
    left, right = stage.left, stage.right
    left.stop()
    draft = tmp_path / "second.toml"
    text = agreement_toml(datetime.now(UTC).date(), CONTACTS)
    draft.write_text(text.replace("spring campaign", "autumn campaign"), encoding="utf-8")
    command = ("agreement", "assess", str(draft), "--source", "customers")
    accepting = [f"--accept={name}=Known." for name in left.run(*command, "--dry-run", expect=(0, 3))["open"]]
    left.run(*command, *accepting, sign=True)
    proposed = left.run(
        "agreement", "propose", str(draft), "--with", "Vélo Verde SAS", "--source", "customers", sign=True
    )
    assert proposed["id"] not in {row["id"] for row in right.run("agreement", "list")["agreements"]}
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

"""``mutuals policy`` from the first file to a decision explained, and what operators are told."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.homes import NOW, PASSPHRASE, make_peer, open_peer

from mutuals.sources.definition import define_source
from mutuals.store.rows import SourceRow
from mutuals_client import main

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = make_peer(tmp_path / "home")
    path = tmp_path / "crm.csv"
    path.write_text(
        "contact_id,email,consent,consent_at,notified_at,suppressed,Lifetime value\n"
        "1,a@b.example,x,2026-01-01,,no,12\n",
        "utf-8",
    )
    with open_peer(home) as peer, peer.store.transaction() as tx:
        tx.sources.put(SourceRow("crm", define_source("crm", str(path), {}).model_dump_json(), NOW))
    return home


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str, sign: bool = False) -> tuple[int, dict[str, Any]]:
        read, write = os.pipe()
        os.write(write, PASSPHRASE + b"\n")
        os.close(write)
        try:
            main.reset_settings()
            secret = ["--passphrase-fd", str(read)] if sign else []
            code = main.run([*arguments, "--home", str(home), "--json", "--yes", *secret])
        finally:
            os.close(read)
        return code, json.loads(capsys.readouterr().out)

    return run


def fill_in(home: Path) -> Path:
    path = home / "policy.toml"
    path.write_text(re.sub(r"<[^<>]*>", "Olga Owner", path.read_text("utf-8")), "utf-8")
    return path


def test_from_the_first_file_to_an_answer(run: Run, home: Path, tmp_path: Path) -> None:
    code, first = run("policy", "init")
    assert (code, first["categories"]["sales_history"]) == (0, ["Lifetime value"])
    assert any("operator anna" in line for line in first["access_today"])
    assert (home / "policy.toml").stat().st_mode & 0o777 == 0o600
    assert run("policy", "init")[0] == 2
    assert run("policy", "approve", sign=True)[0] == 7
    path = fill_in(home)
    assert run("policy", "check") == (0, {"fits": True, "approved": False, "findings": []})
    code, approved = run("policy", "approve", sign=True)
    assert (code, approved["version"], approved["in_force"]) == (0, 1, True)

    asked = ("--action", "export", "--field", "lifetime_value")
    code, yes = run("policy", "check", "--operator", "anna", *asked)
    assert (code, yes["allowed"], yes["category"]) == (0, True, "sales_history")
    _, no = run("policy", "check", "--role", "auditor", "--department", "sales", *asked)
    assert [reason["allowed"] for reason in no["reasons"]] == [False, False]
    assert run("policy", "check", "--action", "export")[0] == 2
    assert run("policy", "check", *asked)[0] == 2

    path.write_text(
        path.read_text("utf-8").replace("backups_expire_days = 30", "backups_expire_days = 3"), "utf-8"
    )
    code, told = run("policy", "approve", "--dry-run")
    assert told["changes"] == [{"key": "backups_expire_days", "before": "30", "after": "3"}]
    code, second = run("policy", "approve", sign=True)
    assert second["version"] == 2
    assert "notifications" not in second, "nobody is told of their own acts"
    page, text = tmp_path / "policy.html", tmp_path / "policy.md"
    code, shown = run("policy", "show", "--version", "1", "--html", str(page), "--markdown", str(text))
    assert (shown["version"], shown["versions"]) == (1, [1, 2])
    assert "backup may hold what was deleted for 30 days" in text.read_text("utf-8")
    assert "Lifetime value" in page.read_text("utf-8")
    assert run("policy", "show", "--version", "9")[0] == 2


def test_a_check_that_finds_a_fault_ends_with_3(run: Run, home: Path) -> None:
    run("policy", "init")
    path = fill_in(home)
    path.write_text(path.read_text("utf-8").replace('"Lifetime value"', ""), "utf-8")
    code, told = run("policy", "check")
    assert (code, told["fits"]) == (3, False)
    assert "“Lifetime value” is in no category" in told["findings"][0]["sentence"]

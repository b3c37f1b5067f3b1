"""The last chapter: the agreement ends, what was received is destroyed, both certify it, and the logs agree."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mutuals_client.demo.companies import LEFT, RIGHT
from mutuals_client.demo.company import Company
from mutuals_client.demo.stage import Stage, both, plain
from mutuals_client.demo.verify import exchanged_values, found_in

CERTIFICATE_SECONDS = 60
"""How long the demo waits for the partner's server to destroy, search and certify."""
_PAUSE_SECONDS = 0.5
NOT_ACTIVE = 6


def part(stage: Stage) -> None:
    """End it, destroy, certify; then look for what is left, and let the logs be verified."""
    stage.chapter("7  They part, and nothing received stays")
    _end(stage)
    _search(stage)
    _verify(stage)


def _end(stage: Stage) -> None:
    left, right = stage.left, stage.right
    reason = "The campaign is over."
    ended = right.run("agreement", "terminate", stage.agreement, "--reason", reason, sign=True)
    stage.check("agreement_ends_at_once", ended["state"] in ("ended", "closed"))
    kept = ended["retention"]
    destroyed = sum(item["records"] for item in kept["destroyed"])
    search, (certificate,) = kept["search"], kept["certificates"]
    stage.check("destruction_left_no_trace", search is not None and not search["found"])
    one, other = _closed(stage, left), _closed(stage, right)
    for name, facts in ((LEFT.slug, one), (RIGHT.slug, other)):
        stage.check(f"{name}_closed_with_both_certificates", _certified(facts))
        stage.check(f"{name}_holds_nothing", facts["records"]["held"] == 0)
    stage.tell(
        f"{RIGHT.operator} ends the agreement: “{reason}” {RIGHT.short} destroys {destroyed:,} records and their "
        f"keys, searches {search['files']} files for {search['slices']:,} pieces of them, and finds none.",
        f"{LEFT.short}'s server has heard of it and does the same by itself; no passphrase is needed for that.",
        f"Each signs a certificate: what was destroyed, when the last backup expires "
        f"({certificate['backups_expire_on']}), which exported files people must delete "
        f"({certificate['exports_in_all']} and {_exports(one)}). Both are in; the agreement is "
        f"[bold]{one['state']}[/].",
    )
    stage.numbers["end"] = {
        "state": {LEFT.slug: one["state"], RIGHT.slug: other["state"]},
        "records_destroyed": destroyed,
        "search": {"files": search["files"], "slices": search["slices"], "found": len(search["found"])},
        "certificates": len(one["certificates"]),
        "backups_expire_on": certificate["backups_expire_on"],
    }


def _closed(stage: Stage, company: Company) -> dict[str, Any]:
    """How the agreement stands at ``company`` once it is closed, or when it should be; the right one keeps calling."""
    deadline = time.monotonic() + CERTIFICATE_SECONDS
    while True:
        facts: dict[str, Any] = company.run("status", stage.agreement, "--quick")["agreements"][0]
        if facts["state"] == "closed" or time.monotonic() > deadline:
            return facts
        time.sleep(_PAUSE_SECONDS)
        stage.right.run("sync")


def _exports(facts: dict[str, Any]) -> int:
    """How many files were exported at that company."""
    return len(facts["exports"])


def _certified(facts: dict[str, Any]) -> bool:
    signed = [item["side"] for item in facts["certificates"] if item["signed_at"] is not None]
    return facts["state"] == "closed" and sorted(signed) == ["partner", "us"]


def _search(stage: Stage) -> None:
    """Nobody gets at what was received any more, neither by asking nor by reading every byte of both homes."""
    refused = stage.right.run(
        "export", stage.run, "--out", str(stage.folder / "late.csv"), sign=True, expect=(NOT_ACTIVE,)
    )
    exports = sorted(stage.folder.glob("*-campaign*.csv"))
    values = exchanged_values(*exports)
    _, control = found_in(exports, values)
    stage.check("search_finds_what_is_there", control == values)
    files = [path for company, _ in stage.sides for path in company.home.rglob("*") if path.is_file()]
    size, found = found_in(files, values)
    stage.check("nothing_exchanged_is_left_in_the_homes", not found, f"{len(found)} values are.")
    stage.tell(
        f"{RIGHT.operator} tries to export once more. [yellow]{plain(refused['error']['message'])}[/]",
        f"The demo reads every byte of both homes, {len(files)} files, for {len(values):,} values and customer ids "
        f"that were exchanged: [bold]{len(found)}[/] found.",
    )
    stage.numbers["scan"] = {
        "files": len(files),
        "size_bytes": size,
        "values": len(values),
        "found": len(found),
        "refused": refused["error"],
    }


def _verify(stage: Stage) -> None:
    """Each verifies its own log; then somebody who has nothing but the two cards verifies both."""
    bundles = [stage.folder / f"{side.profile.slug}.log.json" for _, side in stage.sides]
    own = both(
        lambda: _own_log(stage, stage.left, bundles[0]), lambda: _own_log(stage, stage.right, bundles[1])
    )
    third = stage.right.run(
        *("audit", "verify"),
        *(word for path in bundles for word in ("--bundle", str(path))),
        *(word for profile in (LEFT, RIGHT) for word in ("--card", str(stage.card(profile)))),
    ).data
    stage.check("own_logs_are_sound", all(report["sound"] for report in own))
    stage.check("logs_are_sound_to_a_third_party", third["sound"])
    logs = [log["right"] for log in third["logs"] if "entries" in log["right"]]
    entries = sum(log["entries"] for log in logs)
    cosigned = sum(log.get("cosignatures of the partner", 0) for log in logs)
    stage.check("checkpoints_are_cosigned", len(logs) == len(bundles) and cosigned > 0)
    stage.tell(
        f"What stays is the agreement, its signatures and two logs: {entries} entries under {cosigned} checkpoints "
        "that the other side cosigned. Each verifies its own; whoever has nothing but the two cards verifies both.",
        "[green]Every number is the true one.[/]",
    )
    stage.numbers["audit"] = {"entries": entries, "cosigned_checkpoints": cosigned, "sound": third["sound"]}


def _own_log(stage: Stage, company: Company, bundle: Path) -> dict[str, Any]:
    report = company.run("audit", "verify").data
    company.run("audit", "export", stage.agreement, "--out", str(bundle))
    return report

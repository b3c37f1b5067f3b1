"""The chapter in which something is shared: match, reveal, exchange, export, and who is refused."""

from __future__ import annotations

import time
from typing import Any

from mutuals_client.demo.companies import LEFT, RIGHT
from mutuals_client.demo.introductions import OUTSIDER
from mutuals_client.demo.stage import Stage, both, listed, plain
from mutuals_client.demo.verify import check_export

AWAITING_AUTHORISATION = 9
REFUSED = 3


def share(stage: Stage) -> None:
    """Everything from the match to the campaign files, which are compared with the truth."""
    stage.chapter("5  They share")
    _match(stage)
    _reveal(stage)
    _exchange(stage)
    _export(stage)


def _match(stage: Stage) -> None:
    start = time.monotonic()
    matched = stage.right.run("match", stage.agreement).data
    seconds = time.monotonic() - start
    stage.run = matched["run"]
    true = matched["overlap"] == len(stage.data.truth.overlap)
    stage.numbers["match"] = {
        "run": stage.run,
        "overlap_items": matched["overlap"],
        "overlap_equals_truth": true,
        "seconds": round(seconds, 2),
    }
    stage.check("overlap_is_the_true_one", true, f"It is {len(stage.data.truth.overlap):,}.")
    stage.tell(
        f"Match: blinded lists go both ways, {matched['own_size']:,} identifiers against "
        f"{matched['partner_size']:,}, in {seconds:.1f} s. Only a count comes out: [bold]{matched['overlap']:,}[/] "
        "are shared, exactly the true number."
    )


def _reveal(stage: Stage) -> None:
    left, right = stage.left, stage.right
    waiting = right.run("reveal", stage.run, sign=True, expect=(AWAITING_AUTHORISATION,))
    left.run("reveal", stage.run, sign=True)
    revealed = right.run("reveal", stage.run).data
    true = revealed["contacts"] == len(stage.data.truth.right.matched)
    stage.check("revealed_contacts_are_as_many_as_true", true)
    stage.numbers["reveal"] = {"contacts": revealed["contacts"]}
    stage.tell(
        f"Reveal: {RIGHT.short} authorises, and asks. [yellow]{plain(waiting['error']['message'])}[/] {LEFT.short} "
        f"authorises too; now {RIGHT.short} knows its [bold]{revealed['contacts']:,}[/] shared customers, and "
        f"{LEFT.short} its own."
    )


def _exchange(stage: Stage) -> None:
    left, right = stage.left, stage.right
    preview, _ = both(
        lambda: right.run("exchange", stage.run, "--dry-run").data,
        lambda: left.run("exchange", stage.run, sign=True),
    )
    done = right.run("exchange", stage.run, sign=True).data
    stage.check("sent_is_what_was_previewed", done["preview"] == preview["preview"])
    fields = ", ".join(item["name"] for item in preview["fields"])
    stage.tell(
        f"Exchange: {RIGHT.short} looks first: {fields} of {preview['contacts']:,} customers. Each authorises exactly "
        f"what it saw; {done['contacts_sent']:,} records go, [bold]{done['contacts_received']:,}[/] come, sealed: the "
        "servers cannot read them."
    )
    stage.numbers["exchange"] = {"right": _sent(done)}


def _export(stage: Stage) -> None:
    left, right = stage.left, stage.right
    name, department = OUTSIDER
    refused_file = stage.folder / "refused.csv"
    other, refused = both(
        lambda: left.run("exchange", stage.run).data,
        lambda: right.run(
            *("export", stage.run, "--out", str(refused_file), "--operator", name),
            sign=True,
            expect=(REFUSED,),
        ),
    )
    stage.numbers["exchange"]["left"] = _sent(other)
    stage.numbers["refusal"] = refused["error"]
    stage.check("nothing_is_written_on_refusal", not refused_file.exists())
    stage.check("refusal_names_who_and_which_agreement", _names(refused["error"], name, stage.agreement))
    stage.tell(
        f"Export: {name} of the {department} tries first. [yellow]{plain(refused['error']['message'])}[/] What would "
        f"change it: {plain(refused['error']['hint'])}"
    )
    paths = [stage.folder / f"{side.profile.slug}-campaign.csv" for _, side in stage.sides]
    exported = both(
        lambda: left.run("export", stage.run, "--out", str(paths[0]), sign=True).data,
        lambda: right.run("export", stage.run, "--out", str(paths[1]), sign=True).data,
    )
    faults = stage.numbers["faults"] = {}
    for (_, side), path in zip(stage.sides, paths, strict=True):
        found = check_export(stage.data, receiver_is_left=side is stage.data.left, path=path)
        faults[side.profile.slug] = found
    both_sides = {kind: sum(found[kind] for found in faults.values()) for kind in faults[LEFT.slug]}
    stage.check("exports_are_the_truth", not any(both_sides.values()))
    stage.tell(
        f"The two marketing departments export [bold]{exported[0]['rows']:,}[/] and [bold]{exported[1]['rows']:,}[/] "
        f"rows. Against the truth: {listed(both_sides)}."
    )


def _names(error: dict[str, Any], operator: str, agreement: str) -> bool:
    return operator in error["message"] and agreement in error["message"] and bool(error["hint"])


def _sent(done: dict[str, Any]) -> dict[str, Any]:
    names = (
        *("contacts_sent", "contacts_received", "records_sent", "records_received"),
        *("withheld", "fields_sent"),
    )
    return {name: done[name] for name in names}

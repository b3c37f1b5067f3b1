"""The chapter in which the agreement lives: how it stands, a customer who withdraws, and a breach rehearsed."""

from __future__ import annotations

from mutuals_client.demo.companies import LEFT, RIGHT
from mutuals_client.demo.stage import Stage, both
from mutuals_client.demo.verify import check_export


def watch(stage: Stage) -> None:
    """Status, a withdrawal that reaches the partner's records, and a drill."""
    stage.chapter("6  They keep watch over it")
    _status(stage)
    _withdraw(stage)
    _drill(stage)


def _status(stage: Stage) -> None:
    status = stage.right.run("status").data
    facts = status["agreements"][0]
    records, budgets, exports = facts["records"], facts["budgets"], facts["exports"]
    stage.check("status_has_nothing_overdue", not status["overdue"])
    stage.check("status_counts_the_export", [item["operator"] for item in exports] == [RIGHT.operator])
    stage.tell(
        f"{RIGHT.short} asks for the status: {facts['state']}, {facts['days_left']} days left, "
        f"{budgets['runs_used']} of {budgets['runs_allowed']} runs used; {records['contacts_sent']:,} customers sent, "
        f"{records['contacts_received']:,} received, {len(exports)} export, by {exports[0]['operator']}. Nothing is "
        "overdue."
    )
    stage.numbers["status"] = {
        "state": facts["state"],
        "days_left": facts["days_left"],
        "runs_used": budgets["runs_used"],
        "overdue": status["overdue"],
        "findings": [item["rule"] for item in status["findings"]],
    }


def _withdraw(stage: Stage) -> None:
    """One customer of the right company withdraws: the left company's server deletes what it received of them."""
    left, right = stage.left, stage.right
    gone = _known_to_one(stage)
    told = right.run("revoke", "--contact", gone, sign=True).data
    path = stage.folder / f"{LEFT.slug}-campaign-2.csv"
    again, status = both(
        lambda: left.run("export", stage.run, "--out", str(path), sign=True).data,
        lambda: right.run("status", "--quick").data,
    )
    open_revocations = status["agreements"][0]["revocations"]
    acknowledged = not open_revocations and not status["peer"]["undelivered"]
    found = check_export(stage.data, receiver_is_left=True, path=path, withdrawn={gone})
    stage.check("withdrawal_was_told", len(told["recipients"]) == 1)
    stage.check("withdrawal_is_acknowledged", acknowledged)
    stage.check("withdrawn_record_is_gone", not any(found.values()))
    held = len(stage.data.truth.left.matched)
    stage.check("one_row_is_gone", again["rows"] == held - 1)
    stage.tell(
        f"A customer of {RIGHT.short} withdraws. {LEFT.short}'s server is told, deletes the record unopened, and signs "
        f"that it did; exported again, {LEFT.short}'s file has [bold]{again['rows']:,}[/] rows, none of them theirs."
    )
    stage.numbers["withdrawal"] = {
        "contact": gone,
        "acknowledged": acknowledged,
        "rows_before": held,
        "rows_after": again["rows"],
    }


def _known_to_one(stage: Stage) -> str:
    """A customer of the right company whom the left one knows as exactly one customer, who is nobody else's, too."""
    lefts: dict[str, set[str]] = {}
    rights: dict[str, set[str]] = {}
    for one, other in stage.data.truth.pairs:
        lefts.setdefault(other, set()).add(one)
        rights.setdefault(one, set()).add(other)
    contacts = stage.data.right.by_id
    held: dict[str, int] = {}
    for contact in contacts.values():
        for identifier in contact.identifiers:
            held[identifier] = held.get(identifier, 0) + 1
    return min(
        other
        for other, ones in lefts.items()
        if len(ones) == 1
        and rights[next(iter(ones))] == {other}
        and all(held[identifier] == 1 for identifier in contacts[other].identifiers)
    )


def _drill(stage: Stage) -> None:
    """A breach, rehearsed: what would be stopped, whom it concerns, and who would be told."""
    drill = stage.right.run(
        *("breach", "open", "--agreement", stage.agreement, "--dry-run"),
        *("--what", "A drill: a laptop with exported lists is stolen."),
        sign=True,
    ).data
    stage.check("drill_finds_the_agreement", drill["would_suspend"] == [stage.agreement])
    stage.check("drill_finds_the_partner", drill["partners"] == [stage.left.name])
    stage.tell(
        f"A drill: were a laptop stolen at {RIGHT.short}, {len(drill['would_suspend'])} agreement would halt and "
        f"{len(drill['partners'])} partner be told; {drill['sent_contacts']:,} customers sent and "
        f"{drill['received_records']:,} records received would be listed, and the 72 hours of GDPR Art. 33 run."
    )
    stage.numbers["drill"] = {
        key: drill[key] for key in ("would_suspend", "partners", "sent_contacts", "received_records")
    }

"""The chapters before anything is shared: the scope, what it risks, and the signatures."""

from __future__ import annotations

from typing import Any

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.demo.agreement import agreement_toml, sent_fields
from mutuals_client.demo.companies import LEFT, RIGHT, Profile
from mutuals_client.demo.company import Company
from mutuals_client.demo.stage import Stage, both, plain

# What the demo's companies accept in their risk assessments, and why; anything else that is found ends it.
ACCEPTED = {
    "small-set": "The lists of this demo are short.",
    "small-overlap": "The lists of this demo are short.",
    "small-groups": "Both are bound by contract, and the fields go to marketing only.",
}
OPEN_FINDINGS = 3
ENFORCED, PROMISED = "●", "○"


def assess(stage: Stage) -> None:
    """The left company drafts the agreement and assesses what it risks."""
    stage.chapter("3  They write down what may be shared, and assess what that risks for people")
    draft = stage.folder / "agreement.toml"
    draft.write_text(agreement_toml(stage.today, len(stage.data.left.contacts)), encoding="utf-8")
    made = _assess(stage, stage.left, LEFT, str(draft))
    groups, probing = made["anonymity"], made["probing"]
    stage.tell(
        f"{LEFT.short} drafts: it would send {_and(sent_fields(LEFT))}, and receive {_and(sent_fields(RIGHT))}; "
        "only of shared customers with consent, only for marketing, for 30 or 90 days.",
        f"Its assessment: by these fields [bold]{groups['alone']:,}[/] of {groups['contacts']:,} customers are the "
        f"only one of their kind. A partner that cheats could test {probing['per_30_days']:,} guesses in 30 days, "
        f"of {probing['numbers']:,} mobile numbers in {probing['country']}.",
    )
    _say_accepted(stage, LEFT, made)


def sign(stage: Stage) -> None:
    """Propose, review, assess on the other side, accept."""
    stage.chapter("4  They sign it, and from then on the software enforces it")
    left, right = stage.left, stage.right
    proposed = left.run(
        *("agreement", "propose", str(stage.folder / "agreement.toml")),
        *("--with", right.name, "--source", "customers"),
        sign=True,
    )
    stage.agreement = proposed["id"]
    stage.check("proposal_waits_in_the_outbox", "1 document waits in the outbox" in proposed["delivery"])
    right.run("sync")
    page = stage.folder / "agreement.md"
    shown, card = both(
        lambda: right.run("agreement", "show", stage.agreement, "--markdown", str(page)),
        lambda: left.run("card"),
    )
    stage.check("proposal_is_what_was_signed", shown["digest"] == proposed["digest"])
    about = right.run("partner", "show", left.name)["partner"]
    stage.check("introduction_is_the_cards", about["data_handling"] == card["data_handling"])
    text = page.read_text("utf-8")
    marks = {mark: text.count(mark) - 1 for mark in (ENFORCED, PROMISED)}  # the legend has one of each
    stage.tell(
        f"{LEFT.short} proposes [bold]{stage.agreement}[/]; it waits in the outbox until {RIGHT.short} calls.",
        f"{RIGHT.operator} reads it: {marks[ENFORCED]} terms that the software enforces, {marks[PROMISED]} that are "
        f"promised; and what {LEFT.short} says of itself: “{plain(about['data_handling'])}”",
    )
    mapping = [f"--map={name}={heading}" for name, heading in RIGHT.fields.items()]
    made = _assess(stage, right, RIGHT, stage.agreement, *mapping)
    accepted = right.run("agreement", "accept", stage.agreement, "--source", "customers", *mapping, sign=True)
    seen = left.run("agreement", "show", stage.agreement)
    verified = [signature["verified"] for signature in seen["signatures"]]
    stage.check("both_signatures_verify", verified == [True, True])
    stage.check("agreement_is_active", accepted["state"] == seen["state"] == "active")
    stage.tell(
        f"{RIGHT.short}'s own assessment finds {made['anonymity']['alone']:,} of "
        f"{made['anonymity']['contacts']:,} customers alone of their kind; {RIGHT.operator} accepts that by name, "
        f"too, and signs. Both hold one document, [dim]{accepted['digest'][:16]}…[/], and two signatures that verify."
    )
    stage.numbers["agreement"] = {
        "id": stage.agreement,
        "digest": accepted["digest"],
        "state": accepted["state"],
        "enforced": marks[ENFORCED],
        "promised": marks[PROMISED],
    }


def _assess(
    stage: Stage, company: Company, profile: Profile, reference: str, *mapping: str
) -> dict[str, Any]:
    """The company's own risk assessment; what nobody said how to accept ends the demo here."""
    basis = (reference, "--source", "customers", *mapping)
    approved = company.run("agreement", "approve", *basis, sign=True)
    stage.check("owners_approved_every_field", set(approved["approved"]) == set(sent_fields(profile)))
    command = ("agreement", "assess", *basis)
    found = dict.fromkeys(company.run(*command, "--dry-run", expect=(0, OPEN_FINDINGS))["open"])
    if unknown := [name for name in found if name not in ACCEPTED]:
        raise MutualsError(ErrorCode.INTERNAL, f"{company.name} does not accept: {', '.join(unknown)}.")
    signed = company.run(*command, *(f"--accept={name}={ACCEPTED[name]}" for name in found), sign=True)
    stage.check("findings_were_accepted_by_name", list(_accepted(signed["assessment"])) == list(found))
    made: dict[str, Any] = signed["assessment"]
    stage.numbers.setdefault("assessment", {})[profile.slug] = {
        "digest": signed["digest"],
        "accepted": _accepted(made),
        "anonymity": {key: made["anonymity"][key] for key in ("contacts", "groups", "smallest", "alone")},
        "probing": made["probing"],
    }
    return made


def _accepted(made: dict[str, Any]) -> dict[str, str]:
    """The findings somebody accepted, by name, with the reason."""
    return {item["name"]: item["accepted"] for item in made["findings"] if item["accepted"] is not None}


def _say_accepted(stage: Stage, profile: Profile, made: dict[str, Any]) -> None:
    accepted = list(_accepted(made).items())
    if not accepted:
        stage.tell(f"{profile.operator} has nothing to accept.")
        return
    name, reason = accepted[-1]
    others = f" (and {len(accepted) - 1} more)" if len(accepted) > 1 else ""
    owner = made["fields"][0]["owner"]
    stage.tell(
        f"{profile.operator} approves the fields for {owner}, which owns them, and accepts “{name}”{others} by "
        f"name: “{plain(reason)}”"
    )


def _and(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"

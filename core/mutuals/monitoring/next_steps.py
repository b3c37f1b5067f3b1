"""What comes next where nothing is wrong: the first partner, agreement and match, the second signature, the export.

    for finding in next_steps(status, now): ...          # of an agreement
    for finding in first_steps(facts, agreements): ...   # of the peer

Notes only, for the list of what to do; ``rules`` and ``peer_rules`` say what is overdue or looks wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from shlex import quote

from mutuals.monitoring.facts import AgreementStatus, Finding, PeerFacts, Urgency


def first_steps(facts: PeerFacts, agreements: Sequence[AgreementStatus]) -> Iterator[Finding]:
    """What a peer without partners, or without an agreement among those shown, begins with."""
    if not facts.partners:
        yield Finding(
            "partner_missing",
            Urgency.NOTE,
            "No partner is known yet.",
            "Partners know each other by the cards they exchanged.",
            "Give your card to a partner (mutuals card --out FILE), and add theirs.",
            "mutuals partner add FILE",
        )
    elif not agreements:
        name = quote(facts.partners[0]) if len(facts.partners) == 1 else "PARTNER"
        yield Finding(
            "agreement_missing",
            Urgency.NOTE,
            "No agreement is in force.",
            "Nothing is matched without one.",
            "Draft an agreement.",
            f"mutuals agreement draft --with {name}",
        )


def next_steps(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    """The second signature that is missing, the first match, the run that waits for a partner, the first export."""
    yield from _second_signatures(status)
    if status.state != "active" or not status.intact:
        return
    yield from _first_match(status, now)
    for run in status.runs:
        if run.waits_for is not None and run.waits_for.startswith(
            "the partner to authorise, then your mutuals "
        ):
            act = run.waits_for.partition(" your mutuals ")[2].split()[0]
            yield _note(
                status,
                "run_with_partner",
                f"Run {run.run} waits for {run.waits_for}.",
                "You have authorised it; you carry it out, since your side started the run.",
                f"Once {status.partner} has authorised the {act} too, carry it out.",
                f"mutuals {act} {run.run}",
            )
        elif run.to_export:
            yield _note(
                status,
                "export_waiting",
                f"What run {run.run} received was not exported yet.",
                "It stays sealed in the store until its retention ends.",
                "Write it to a file, if it is needed there.",
                f"mutuals export {run.run} --out FILE.csv",
            )


def partner_calls(finding: Finding, partner: str) -> Finding:
    """The finding, where it would have this side call a partner whose card has no endpoint: the partner has to call."""
    if finding.command != f"mutuals sync {quote(partner)}":
        return finding
    do = f"Ask {partner} to call: its card has no endpoint, so it has to synchronise with you."
    return replace(finding, do=do, command=None)


def _second_signatures(status: AgreementStatus) -> Iterator[Finding]:
    for version in status.versions:
        if version.signed_by and version.state in {"draft", "proposed"}:
            yield _note(
                status,
                "second_signature",
                f"{version.id} was signed by {' and '.join(version.signed_by)}, and needs a second operator.",
                "Your policy asks for four eyes; until then nothing was sent.",
                "Have another operator read and sign it.",
                f"mutuals agreement sign {version.id}",
            )


def _first_match(status: AgreementStatus, now: datetime) -> Iterator[Finding]:
    begun = status.valid_from is not None and status.valid_from <= now.astimezone(UTC).date()
    if status.runs or not begun or status.ends_at is not None:
        return
    if status.partner_endpoint:
        do, command = "Match: either side may start.", f"mutuals match {status.id}"
    else:
        do, command = f"Ask {status.partner} to match: its card has no endpoint, so it has to call you.", None
    yield _note(status, "match_next", "Nothing was matched yet.", "Both sides have signed.", do, command)


def _note(status: AgreementStatus, rule: str, what: str, means: str, do: str, command: str | None) -> Finding:
    return Finding(rule, Urgency.NOTE, what, means, do, command, status.id, status.partner)

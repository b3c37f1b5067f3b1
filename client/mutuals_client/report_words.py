"""The sentences of a run's report: where it stands, and what each side learned (docs/threat-model.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mutuals.models.run import RunState
from mutuals.wording import counted

if TYPE_CHECKING:
    from mutuals.runs.report import RunReport

_STATES = {
    RunState.MATCHING: "The match is under way.",
    RunState.COUNTED: "Both sides signed the count. Which contacts are shared is not revealed yet.",
    RunState.REVEALING: "The reveal is under way.",
    RunState.REVEALED: "Both sides confirmed which of their contacts are shared. No field was exchanged yet.",
    RunState.EXCHANGING: "Records of shared contacts are being exchanged.",
    RunState.DONE: "The exchange is complete.",
    RunState.COUNT_ONLY: "The run was asked to end with the count. Everything else was destroyed at once.",
    RunState.BELOW_THRESHOLD: "The run ended because fewer contacts are shared than the agreement asks for.",
    RunState.STALE: "The run ended because something it rested on changed before it was complete.",
    RunState.EXPIRED: "The run ended because its date passed unused.",
    RunState.FAILED: "The run failed.",
    RunState.HALF_REVEALED: "The reveal broke off after positions may have left. A person has to find out why.",
}

_EVENTS = {
    "run.opened": "Match opened and charged to the budget",
    "run.counted": "Overlap counted, signed by both",
    "run.count_only": "Ended with the count, all else destroyed",
    "reveal.authorised": "Reveal authorised",
    "run.revealed": "Shared contacts confirmed by both",
    "exchange.authorised": "Exchange authorised",
    "run.exchange_prepared": "Records sealed for sending",
    "run.exchanged": "Exchange complete in both directions",
    "run.done": "Run closed, its keys destroyed",
    "run.viewed": "Received records viewed",
    "run.exported": "Received records exported",
    "run.export_approved": "Export approved",
    "run.preview_changed": "Authorisation void: the preview had changed",
    "run.envelope_refused": "An envelope of the partner refused",
    "run.content_refused": "Records of the partner refused",
    "run.destroyed": "Received records destroyed",
}


@dataclass(frozen=True)
class Learned:
    """What a side learned, a sentence each, or what could be learned; ``heading`` says whose it is."""

    heading: str
    sentences: tuple[str, ...]


def state_sentence(report: RunReport) -> str:
    """Where the run stands, for somebody who does not know the software."""
    return _STATES[report.run.state]


def event_words(event: str) -> str:
    """An entry of the log in words."""
    words = event.partition(".")[2] or event
    return _EVENTS.get(event, words.replace("_", " ").capitalize())


def percent(share: float | None) -> str:
    """A share of 0 to 1 in whole percent; what is not quite none or all is not called so."""
    if share is None:
        return "not known"
    if 0 < share < 0.005:
        return "under 1%"
    if 0.995 <= share < 1:
        return "over 99%"
    return f"{share * 100:.0f}%"


def what_each_learned(report: RunReport) -> tuple[Learned, ...]:
    """What this state of the run means each side knows, what a cheat could know, and what nobody learned."""
    own, partner = report.own, report.partner
    return (
        Learned(f"What {own} learned", tuple(_own_side(report))),
        Learned(f"What {partner} learned", tuple(_other_side(report))),
        Learned(
            "What altered software could learn",
            (
                f"The above is what software that keeps to the protocol learns. A partner that alters its own could "
                f"find out in the match which of the identifiers it put in {own} holds, and how many are shared even "
                "where the screens say only that they are too few. The match itself is the disclosure, which is why "
                "consent is checked before it, and the budget of the agreement bounds how often it can be tried.",
            ),
        ),
        Learned(
            "What nobody learned",
            (
                "Neither side learned anything about identifiers of the other that it did not put in itself.",
                "No other contact and no other field left either side, and no third party took part.",
            ),
        ),
    )


def _own_side(report: RunReport) -> list[str]:
    run, partner, moved = report.run, report.partner, report.moved
    told = [f"{partner} put {counted(run.partner_size, 'identifier')} into the match{_padding(report)}."]
    told += _count(report)
    if report.revealed and run.contacts is not None:
        told.append(f"It knows which {counted(run.contacts, 'contact')} of its own {partner} also has.")
    elif report.half_revealed:
        told.append(
            "Which contacts are shared was never confirmed, so it kept nothing about single contacts."
        )
    if report.exchanged and moved.records_received:
        told.append(
            f"It received {_fields(report.fields_promised)} of {counted(moved.contacts_received, 'contact')}."
        )
    elif report.exchange_began and not report.exchanged and report.held:
        told.append(
            f"{counted(report.held, 'sealed record')} arrived before the exchange was complete; nobody can open them "
            "until it is."
        )
    elif report.exchanged:
        told.append(f"It received no field of any contact: {partner} sent none.")
    return told


def _other_side(report: RunReport) -> list[str]:
    run, own, partner, moved = report.run, report.own, report.partner, report.moved
    told = [f"{own} put {counted(run.own_size, 'identifier')} into the match{_padding(report)}."]
    told += _count(report)
    if not report.counted and run.state is RunState.FAILED:
        told.append(f"The match broke off before both had signed its result; {partner} may have computed it.")
    if report.revealed:
        told.append(f"It knows which of its own contacts {own} also has.")
    elif report.half_revealed:
        told.append(
            f"It may know which of its own contacts {own} also has: positions may have left before the run ended."
        )
    if report.exchanged and moved.contacts_sent:
        told.append(f"It received {_fields(moved.fields_sent)} of {counted(moved.contacts_sent, 'contact')}.")
    elif report.exchange_began and not report.exchanged and moved.contacts_sent:
        done, made = report.envelopes
        told.append(
            f"Of {counted(moved.contacts_sent, 'contact')} prepared for sending, the records in {done:,} of "
            f"{counted(made, 'envelope')}, which it acknowledged; another may have arrived without an acknowledgement."
        )
    elif report.exchanged:
        told.append(f"It received no field of any contact: {own} sent none.")
    return told


def _count(report: RunReport) -> list[str]:
    run = report.run
    if run.count is not None:
        is_are = "identifier is" if run.count == 1 else "identifiers are"
        return [f"{run.count:,} {is_are} on both lists."]
    if run.state is RunState.BELOW_THRESHOLD:
        least = report.agreement.matching.min_overlap
        return [f"Fewer than {counted(least, 'identifier')} are on both lists; the number was not kept."]
    return []


def _padding(report: RunReport) -> str:
    return ", padding included" if report.padded else ""


def _fields(names: tuple[str, ...]) -> str:
    return f"the {'field' if len(names) == 1 else 'fields'} {', '.join(names)}"

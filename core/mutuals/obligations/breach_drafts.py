"""Drafts of the notices that people send after a breach, in Markdown, filled in from what is known.

    for name, text in drafts(standing, ...).items(): ...      # authority.md, persons.md, partner-globex.md

To the authority: Art. 33(3) (a) to (d) GDPR, and the reasons for a delay that Art. 33(1) asks for. To the persons:
Art. 34(2), in plain language. To a partner: what the agreement's ``security`` clause asks for, for whom the notice over
the wire is not enough. Each says what is still missing. They name no contact and are no legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mutuals.agreement.blocks import escape
from mutuals.models.breach import Breach, BreachKind
from mutuals.obligations.breach_scope import AffectedRun
from mutuals.obligations.breach_standing import AUTHORITY_HOURS, BreachStanding
from mutuals.wording import counted

MISSING = "**Still missing:**"

_KINDS = {
    BreachKind.CONFIDENTIALITY: "confidentiality (data was disclosed or accessed without right)",
    BreachKind.INTEGRITY: "integrity (data was altered without right)",
    BreachKind.AVAILABILITY: "availability (data was lost, destroyed, or could not be reached)",
}
_PLAIN = {
    BreachKind.CONFIDENTIALITY: "somebody who should not have seen your data may have seen it",
    BreachKind.INTEGRITY: "your data may have been changed without right",
    BreachKind.AVAILABILITY: "your data was lost or could not be used",
}


@dataclass(frozen=True)
class Background:
    """What the drafts need beside the breach itself: the own organisation, names by id, and what moved."""

    organisation: str
    partners: dict[str, str]
    agreements: dict[str, str]
    agreement_partner: dict[str, str]
    runs: Sequence[AffectedRun]


class _Draft:
    """Paragraphs, and what is missing in them."""

    def __init__(self, title: str, breach: Breach) -> None:
        self._lines = [f"# {title}", "", f"Breach {breach.breach_id}. Draft; not legal advice.", ""]
        self._missing: list[str] = []

    def section(self, title: str) -> None:
        self._lines += [f"## {title}", ""]

    def say(self, text: str) -> None:
        self._lines += [text, ""]

    def fact(self, label: str, value: str, missing: str = "") -> None:
        """A line with what is known, or with what is missing."""
        if not value:
            self._missing.append(missing or label)
            value = f"{MISSING} {missing or label}"
        self._lines += [f"**{label}.** {value}", ""]

    def person(self, what: str) -> None:
        """Something only a person can add."""
        self._missing.append(what)
        self._lines += [f"{MISSING} {what}", ""]

    def text(self) -> str:
        self.section("Still missing")
        self._lines += [f"- {what}" for what in self._missing] or ["Nothing that the software knows of."]
        return "\n".join(self._lines) + "\n"


def drafts(stands: BreachStanding, background: Background) -> dict[str, str]:
    """File name to Markdown: to the authority, to the persons, and for an own breach to each partner concerned."""
    found = {
        "authority.md": _authority(stands, background),
        "persons.md": _persons(stands.breach, background, partner=stands.partner_name),
    }
    if stands.own:
        partners = dict.fromkeys(background.agreement_partner[digest] for digest in stands.breach.agreements)
        for fingerprint in partners:
            name = background.partners.get(fingerprint, fingerprint[:8])
            slug = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-") or "partner"
            found[f"partner-{slug}-{fingerprint[:8]}.md"] = _partner(stands, background, fingerprint)
    return found


def _authority(stands: BreachStanding, background: Background) -> str:
    breach = stands.breach
    draft = _Draft("Notification of a personal data breach to the supervisory authority", breach)
    draft.say(f"By {_plain(background.organisation)}, under Article 33 of Regulation (EU) 2016/679 (GDPR).")
    draft.person("the competent authority (Art. 55 GDPR), and its form where it has one")
    _timing(draft, stands, background)
    draft.section("Nature of the breach (Art. 33(3)(a))")
    draft.fact("What happened", _plain(breach.what))
    draft.fact("Kind", "; ".join(_KINDS[kind] for kind in breach.kinds))
    draft.fact(
        "Where",
        f"with the partner {_plain(stands.partner_name)}, which told us"
        if stands.partner_name
        else "with us",
    )
    draft.fact("Categories of persons", _list(breach.person_categories), "the categories of persons")
    draft.fact(
        "Persons, approximately", _persons_number(stands, background), "the approximate number of persons"
    )
    draft.fact("Categories of data", _list(breach.data_categories), "the categories of data")
    draft.fact("Fields", _list(_fields(stands, background)), "the fields concerned")
    draft.fact(
        "Records, approximately", _records_number(stands, background), "the approximate number of records"
    )
    draft.section("Contact (Art. 33(3)(b))")
    draft.fact("Data-protection officer or other contact point", _plain(breach.contact) if stands.own else "")
    draft.section("Likely consequences (Art. 33(3)(c))")
    draft.fact("Consequences", _plain(breach.consequences), "the likely consequences")
    draft.section("Measures (Art. 33(3)(d))")
    draft.fact(
        "Taken or proposed",
        _plain(breach.measures),
        "the measures taken or proposed, and against which effects",
    )
    if stands.suspended:
        draft.say(f"Sharing under {', '.join(stands.suspended)} is suspended.")
    _updates(draft, breach)
    return draft.text()


def _timing(draft: _Draft, stands: BreachStanding, background: Background) -> None:
    breach, aware = stands.breach, stands.row.aware_at
    draft.section("When (Art. 33(1))")
    draft.fact("Aware since", _moment(aware))
    draft.fact("Began", _moment(breach.began_at), "when the breach began")
    clock = stands.authority
    if clock is None:
        if stands.own:
            draft.fact("Why the authority is not told", _plain(breach.authority.why_not))
        else:
            draft.say(
                f"Whether this notification is ours to make depends on our role; {AUTHORITY_HOURS} hours from then."
            )
        return
    draft.fact("To be told by", f"{_moment(clock.deadline)}, {AUTHORITY_HOURS} hours after")
    if clock.overdue:
        draft.person("the reasons for the delay: the 72 hours are over (Art. 33(1))")


def _persons(breach: Breach, background: Background, *, partner: str | None) -> str:
    draft = _Draft("Letter to the persons concerned", breach)
    draft.say(
        "To be sent where the risk to their rights and freedoms is likely to be high (Art. 34(1) GDPR), to those in "
        f"the list of `mutuals breach affected {breach.breach_id}`; see Art. 34(3) for when it need not be."
    )
    draft.say("---")
    draft.say("Dear customer,")
    whose = f"our partner {_plain(partner)}" if partner else _plain(background.organisation)
    draft.say(
        f"on {breach.aware_at:%d %B %Y} {whose} discovered that {_join(_PLAIN[kind] for kind in breach.kinds)}."
    )
    draft.fact("What happened", _plain(breach.what))
    draft.fact(
        "What data this is about",
        _list(breach.data_categories),
        "the data, in words that everybody understands",
    )
    draft.fact(
        "What this may mean for you", _plain(breach.consequences), "the likely consequences (Art. 33(3)(c))"
    )
    draft.fact("What we have done", _plain(breach.measures), "the measures taken or proposed (Art. 33(3)(d))")
    draft.person("what the persons can do themselves against bad effects")
    contact = "" if partner else _plain(breach.contact)
    draft.fact(
        "Whom you can ask", contact, "our data-protection officer or other contact point (Art. 33(3)(b))"
    )
    draft.say(f"{_plain(background.organisation)}")
    return draft.text()


def _partner(stands: BreachStanding, background: Background, fingerprint: str) -> str:
    breach = stands.breach
    mine = [digest for digest in breach.agreements if background.agreement_partner[digest] == fingerprint]
    runs = [run for run in background.runs if run.agreement in mine]
    draft = _Draft(
        f"Notice of a breach to {_plain(background.partners.get(fingerprint, fingerprint[:8]))}", breach
    )
    draft.say(
        "The software told the partner over the wire; this is for its people. "
        + next(
            (_delivery_words(item.at) for item in stands.notices if item.told.partner == fingerprint),
            "It could not be told over the wire.",
        )
    )
    draft.fact("Agreements", _list([background.agreements[digest] for digest in mine]))
    draft.fact("Discovered", _moment(breach.aware_at))
    draft.fact("Began", _moment(breach.began_at), "when the breach began")
    draft.fact("What happened", _plain(breach.what))
    draft.fact("Kind", "; ".join(_KINDS[kind] for kind in breach.kinds))
    if "received" in breach.whose:
        draft.section("Your records with us")
        for run in runs:
            files = f", exported {len(run.exports)} times" if run.exports else ", never exported"
            draft.say(
                f"- run {run.run_id}: {counted(run.received_records, 'record')} "
                f"({', '.join(run.received_fields)}){files}"
            )
        draft.say("Which contacts these are, your own ledger of what you sent says.")
    if "sent" in breach.whose:
        draft.section("Our contacts with you")
        for run in runs:
            draft.say(
                f"- run {run.run_id}: {counted(run.sent_contacts, 'contact')} ({', '.join(run.sent_fields)})"
            )
    draft.section("Effects and measures")
    draft.fact("Likely consequences", _plain(breach.consequences), "the likely consequences")
    draft.fact("Measures", _plain(breach.measures), "the measures taken or proposed")
    draft.fact("Contact", _plain(breach.contact))
    _updates(draft, breach)
    return draft.text()


def _updates(draft: _Draft, breach: Breach) -> None:
    if breach.updates:
        draft.section("What became known since (Art. 33(4))")
        for update in breach.updates:
            draft.say(f"- {_moment(update.at)}: {_plain(update.text)}")


def _numbers(stands: BreachStanding, background: Background) -> tuple[int | None, int | None]:
    """Own contacts sent, and records received: as counted when an own breach was opened, or now for a partner's."""
    breach = stands.breach
    if stands.own:
        return breach.sent_contacts, breach.received_records
    sent = sum(run.sent_contacts for run in background.runs)
    received = sum(run.received_records for run in background.runs)
    return sent if "received" in breach.whose else None, received if "sent" in breach.whose else None


def _persons_number(stands: BreachStanding, background: Background) -> str:
    """How many contacts at most: each counts once in every run, and a record of the partner's is one contact."""
    sent, received = _numbers(stands, background)
    parts = [f"at most {sent:,} of our contacts (counted once for each run)"] if sent is not None else []
    parts += [f"at most {counted(received, 'contact')} of partners"] if received is not None else []
    return "; ".join(parts)


def _records_number(stands: BreachStanding, background: Background) -> str:
    sent, received = _numbers(stands, background)
    exports = sum(len(run.exports) for run in background.runs)
    parts = [f"{counted(sent, 'contact')} sent"] if sent is not None else []
    if received is not None:
        parts += [
            f"{counted(received, 'record')} received",
            counted(exports, "export to a file", "exports to files"),
        ]
    return "; ".join(parts)


def _fields(stands: BreachStanding, background: Background) -> list[str]:
    sent, received = ("sent", "received") if stands.own else ("received", "sent")
    names: set[str] = set()
    for run in background.runs:
        names |= set(run.sent_fields) if sent in stands.breach.whose else set()
        names |= set(run.received_fields) if received in stands.breach.whose else set()
    return sorted(names)


def _delivery_words(at: datetime | None) -> str:
    return (
        f"It acknowledged the notice on {_moment(at)}." if at else "It has not acknowledged the notice yet."
    )


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment is not None else ""


def _list(items: Sequence[str]) -> str:
    return ", ".join(_plain(item) for item in items)


def _join(items: Iterable[str]) -> str:
    return ", and ".join(items)


def _plain(text: str) -> str:
    """``text`` on one line, so that Markdown takes it for words."""
    return escape(" ".join(text.split()))

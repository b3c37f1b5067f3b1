"""The sentences of a data-protection impact assessment, from the terms and the numbers (GDPR Art. 35(7)).

(a) what is planned, (b) why it is necessary and proportionate, (c) the risks to the persons, each with likelihood,
severity and the reason, (d) the measures. Likelihood and severity follow the fixed rules below, so that two
assessments of the same thing agree; a person judges what the software cannot know and signs.
"""

from __future__ import annotations

from collections.abc import Iterator

from mutuals.assessment.anonymity import SMALL
from mutuals.assessment.findings import (
    ALL_PROBED,
    LONG_RETENTION_DAYS,
    MUCH_PROBED,
    USUAL_OVERLAP,
    USUAL_SET,
    Basis,
    count,
)
from mutuals.models.agreement import Side
from mutuals.models.assessment import Level, Risk

LOW, MEDIUM, HIGH = Level.LOW, Level.MEDIUM, Level.HIGH
_KINDS = {"email": "e-mail addresses", "phone": "phone numbers"}


def description(basis: Basis) -> tuple[str, ...]:
    """(a): the processing, its purposes and its extent."""
    agreement, side = basis.agreement, basis.side
    own, other = agreement.party(side), agreement.party(side.other)
    kinds = " and ".join(_KINDS[kind] for kind in agreement.matching.identifiers)
    sentences = [
        f"{own.organisation} and {other.organisation} compare their lists of contacts by {kinds}, without showing them "
        "to each other or to anybody else, and find out which contacts both have.",
        f"Purpose: {agreement.purpose}",
        f"{own.organisation} takes part as {own.role}, on the basis of {own.lawful_basis}; {other.organisation} as "
        f"{other.role}, on the basis of {other.lawful_basis}.",
        *(_sent(basis, sender) for sender in Side),
        f"From {agreement.valid_from} to {agreement.valid_until}, at most "
        f"{count(agreement.matching.runs_per_30_days, 'run')} in 30 days.",
    ]
    volumes = basis.volumes
    if volumes is not None:
        sentences.append(
            f"The own source holds {count(volumes.contacts, 'contact')}, of whom {volumes.eligible:,} may take part, "
            f"with {count(volumes.identifiers, 'identifier')}."
        )
    return tuple(sentences)


def _sent(basis: Basis, sender: Side) -> str:
    fields, name = basis.agreement.sends(sender), basis.agreement.party(sender).organisation
    if not fields:
        return f"{name} sends no fields; the other side learns only which of its own contacts it also has."
    named = ", ".join(
        f"{field.name} ({field.category}{'' if field.transform == 'none' else ', ' + field.transform}, "
        f"{field.retention_days:,} days)"
        for field in fields
    )
    return f"{name} sends, of the contacts that both have: {named}."


def necessity(basis: Basis) -> tuple[str, ...]:
    """(b): why nothing less would do, as far as the terms show it; the rest is a person's to judge."""
    agreement = basis.agreement
    fields = agreement.sends(basis.side)
    reduced = [field.name for field in fields if field.transform != "none"]
    sentences = [
        "Only contacts that both already have are found; of all others an honest side learns how many identifiers "
        "there are, and nothing else.",
        f"Only contacts take part that granted “{agreement.consent.purpose}” in the last "
        f"{count(agreement.consent.max_age_days, 'day')}"
        + (", and were notified." if agreement.consent.notice_required else "."),
    ]
    if fields:
        sentences.append(
            f"Of the fields of the source {len(fields)} {'is' if len(fields) == 1 else 'are'} sent"
            + (f"; {', '.join(reduced)} only in a coarser form." if reduced else ", each as it is.")
        )
        longest = max(field.retention_days for field in fields)
        sentences.append(f"They are kept for at most {count(longest, 'day')}, then deleted by the software.")
    else:
        sentences.append("No field is sent.")
    sentences.append(
        "Whether the purpose could be reached with fewer fields, fewer contacts or none is for the signer to judge."
    )
    return tuple(sentences)


def measures(basis: Basis) -> tuple[str, ...]:
    """(d): what is done against the risks, by the software and by promise."""
    agreement = basis.agreement
    return (
        "Private set intersection: lists are compared under fresh keys for every run; no third party takes part.",
        "Records are encrypted one by one between the peers and at rest; only entitled operators open them.",
        "Reveal and exchange need an operator's signed authorisation on each side."
        if agreement.permission.reveal == agreement.permission.exchange == "authorisation"
        else "A standing mandate permits reveal or exchange in advance; budgets and thresholds bound it.",
        "Consent, notice and suppression are read again before every match, reveal and exchange; withdrawals reach the "
        "partner, whose software deletes the records.",
        "Received data are deleted after their days, and all at the agreement's end, with a signed certificate.",
        "Each side keeps a log; once the other has cosigned an entry, it cannot be changed unnoticed.",
        f"Promised by the parties: {agreement.security.measures}",
    )


def risks(basis: Basis) -> Iterator[Risk]:
    """(c): the risks, each weighed by a fixed rule on the numbers."""
    yield _probing(basis)
    yield _singling_out(basis)
    yield _few(basis)
    yield _consent(basis)
    yield _wrong_person(basis)
    yield _other_use(basis)
    yield _breach(basis)


def _probing(basis: Basis) -> Risk:
    probing, matching = basis.probing, basis.agreement.matching
    bound = f"The budgets let it test {probing.per_30_days:,} identifiers in 30 days, {probing.guesses:,} in the term."
    if probing.numbers is None or probing.share is None:
        likelihood = MEDIUM
        share = (
            " Addresses cannot be counted through, but bought lists can be tested."
            if "phone" not in matching.identifiers
            else " The source names no country, so the share of all phone numbers is not known."
        )
    else:
        percent = probing.share / 10_000
        likelihood = HIGH if probing.share >= ALL_PROBED else MEDIUM if probing.share >= MUCH_PROBED else LOW
        amount = f"{percent:.1f} %" if percent >= 0.05 else "less than 0.1 %"
        share = (
            f" {probing.country} has about {probing.numbers:,} possible mobile numbers, so that is {amount}: of "
            "as many of your contacts there it could learn that you know them."
        )
    return Risk(
        name="probing",
        description="The partner puts guessed identifiers into its list to learn whom this company knows.",
        likelihood=likelihood,
        severity=MEDIUM,
        reason=f"{bound}{share} It learns that a person is a contact, and the agreed fields only after a reveal.",
        measures=(
            "Budgets of runs and identifiers for each partner, never refunded.",
            f"Minimum sizes of list ({matching.min_set_size:,}) and overlap ({matching.min_overlap:,}).",
            "Unusual sizes and overlaps are shown: mutuals status",
        ),
    )


def _singling_out(basis: Basis) -> Risk:
    groups = basis.anonymity
    if groups is None or not groups.contacts:
        likelihood, reason = LOW, "No field is sent, or nobody is eligible."
        severity = LOW
    else:
        share = groups.below_5 / groups.contacts
        likelihood = LOW if not groups.below_5 else MEDIUM if share < 0.1 else HIGH
        severity = HIGH if _worst(basis) == "special" else MEDIUM if _worst(basis) == "sensitive" else LOW
        reason = (
            f"The smallest group that the agreed fields single out among the {groups.contacts:,} eligible contacts has "
            f"{count(groups.smallest, 'contact')}; {count(groups.below_5, 'contact')} "
            f"({share:.1%}) are in groups of fewer than {SMALL}."
        )
    return Risk(
        name="singling-out",
        description="The agreed fields together are so particular that a person is recognised by them, "
        "also where they are passed on without an address.",
        likelihood=likelihood,
        severity=severity,
        reason=reason,
        measures=("Transformations make fields coarser.", "Fields go only to the departments named."),
    )


def _few(basis: Basis) -> Risk:
    matching = basis.agreement.matching
    usual = matching.min_set_size >= USUAL_SET and matching.min_overlap >= USUAL_OVERLAP
    return Risk(
        name="small-numbers",
        description="The mere count of an overlap tells about a person, because lists or overlaps are small.",
        likelihood=LOW if usual else MEDIUM,
        severity=LOW,
        reason=f"Lists have at least {matching.min_set_size:,} identifiers, overlaps {matching.min_overlap:,}; usual "
        f"are {USUAL_SET:,} and {USUAL_OVERLAP}.",
        measures=("Smaller runs end before anything is revealed.",),
    )


def _consent(basis: Basis) -> Risk:
    rule, volumes = basis.agreement.consent, basis.volumes
    seen = (
        f"{volumes.eligible:,} of {count(volumes.contacts, 'contact')} qualify today."
        if volumes is not None
        else "No source was looked at."
    )
    return Risk(
        name="against-the-will",
        description="A person is matched who did not agree to it, withdrew, or was not told.",
        likelihood=LOW if rule.notice_required else MEDIUM,
        severity=MEDIUM,
        reason=f"The rule is applied to the columns of the source, which may be wrong. {seen}",
        measures=(
            "Consent is checked again at match, reveal and exchange.",
            "Withdrawals are passed on: mutuals revoke",
        ),
    )


def _wrong_person(basis: Basis) -> Risk:
    shared = basis.agreement.matching.shared_identifiers == "include"
    return Risk(
        name="wrong-person",
        description="Two different persons are taken for one, and one's data reach the other's file.",
        likelihood=MEDIUM if shared else LOW,
        severity=MEDIUM,
        reason="Identifiers that several contacts share take part."
        if shared
        else "Identifiers that several contacts share stay out; numbers and addresses do change hands.",
        measures=(
            "An identifier that several contacts of one side hold pairs nobody."
            if not shared
            else "A shared identifier takes part only if everybody who holds it may.",
        ),
    )


def _other_use(basis: Basis) -> Risk:
    sent = bool(basis.agreement.sends(basis.side))
    return Risk(
        name="other-use",
        description="The partner uses what it received for something else, or passes it on.",
        likelihood=MEDIUM if sent else LOW,
        severity={"normal": MEDIUM, "sensitive": HIGH, "special": HIGH}[_worst(basis)] if sent else LOW,
        reason="Once exported to a file, only the contract binds the partner; the software cannot."
        if sent
        else "It receives no field, and knows only which of its contacts are also here.",
        measures=(
            "Attestation of use each "
            f"{count(basis.agreement.security.attestation_every_days, 'day')}, departments at export, liability.",
        ),
    )


def _breach(basis: Basis) -> Risk:
    days = max((field.retention_days for field in basis.agreement.sends(basis.side)), default=0)
    return Risk(
        name="breach",
        description="Received data are lost or stolen at the partner.",
        likelihood=LOW if days <= LONG_RETENTION_DAYS else MEDIUM,
        severity={"normal": MEDIUM, "sensitive": HIGH, "special": HIGH}[_worst(basis)] if days else LOW,
        reason=f"What is sent lies there for up to {count(days, 'day')}." if days else "No field is sent.",
        measures=(
            "Records lie encrypted; the server cannot read them.",
            f"Notice within {count(basis.agreement.security.breach_notification_hours, 'hour')}.",
        ),
    )


def _worst(basis: Basis) -> str:
    order = ("normal", "sensitive", "special")
    return max(
        (field.sensitivity for field in basis.agreement.sends(basis.side)), key=order.index, default="normal"
    )

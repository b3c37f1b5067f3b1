"""The agreement in plain language: every clause a sentence, marked where the software enforces it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from mutuals.agreement.blocks import Block, Clause, Grid, Heading
from mutuals.models.agreement import Agreement, AgreementState, SharedField, Side

NOT_LEGAL_ADVICE = "This is not legal advice."

_TRANSFORMS = {
    "none": "as it is",
    "year": "year only",
    "month": "year and month only",
    "lower": "in lower case",
    "first_letter": "first letter only",
}


@dataclass(frozen=True)
class Signature:
    """Who signed for one side, as far as this side can tell; ``verified`` over the stored bytes, just now.

    ``assessment`` is the digest (hex) of that side's own risk assessment, which the other side never sees.
    """

    side: Side
    verified: bool
    operators: tuple[str, ...] = ()
    signed_at: str = ""
    assessment: str | None = None


@dataclass(frozen=True)
class LocalView:
    """What this side knows about a stored agreement besides the document itself."""

    digest: str
    agreement_id: str
    state: AgreementState
    own_side: Side
    today: date
    signatures: tuple[Signature, ...]
    source: str | None = None
    mapping: dict[str, str] | None = None
    reason: str | None = None
    termination: str | None = None


def describe(agreement: Agreement, view: LocalView | None = None) -> list[Block]:
    """The whole agreement as blocks; with ``view`` also its state and signatures on this side."""
    blocks: list[Block] = [*_legend()]
    if view is not None:
        blocks += _standing(agreement, view)
    blocks += _parties(agreement, view)
    blocks += _purpose(agreement)
    for side in Side:
        blocks += _direction(agreement, side)
    blocks += _consent(agreement)
    blocks += _matching(agreement)
    blocks += _permission(agreement)
    blocks += _term(agreement, view.today if view else None)
    blocks += _duties(agreement)
    blocks.append(Clause(NOT_LEGAL_ADVICE))
    return blocks


def _legend() -> Iterator[Block]:
    yield Clause("enforced by the software on both sides", True)
    yield Clause("promised by the parties; the software cannot enforce it", False)


def _standing(agreement: Agreement, view: LocalView) -> Iterator[Block]:
    yield Heading("Where it stands")
    yield Clause(f"{view.state.value}{_state_remark(view)}", None, "State")
    if view.reason:
        yield Clause(view.reason, None, "Reason")
    if view.termination:
        yield Clause(view.termination, None, "Terminated")
    for side in Side:
        party = agreement.party(side).organisation
        whose = "you" if side is view.own_side else "they"
        found = next((signature for signature in view.signatures if signature.side is side), None)
        yield Clause(_signature(found), None, f"{party} ({whose})")
        if found is not None and found.verified:
            yield Clause(found.assessment or "none was named", None, "Its risk assessment")
    if view.source:
        headings = [
            f"{name} from “{heading}”" for name, heading in (view.mapping or {}).items() if name != heading
        ]
        yield Clause("; ".join([view.source, *headings]), None, "Your source")
    yield Clause(view.digest, None, "Digest")


def _state_remark(view: LocalView) -> str:
    if view.state is not AgreementState.PROPOSED:
        return ""
    return "; waiting for your partner" if view.own_side is Side.PROPOSER else "; waiting for you"


def _signature(signature: Signature | None) -> str:
    if signature is None:
        return "not signed yet"
    if not signature.verified:
        return "THE SIGNATURE DOES NOT FIT the stored document; the agreement cannot be used"
    return f"signed by {', '.join(signature.operators)} on {signature.signed_at}; verified"


def _parties(agreement: Agreement, view: LocalView | None) -> Iterator[Block]:
    yield Heading("Parties")
    for side in Side:
        party = agreement.party(side)
        whose = "" if view is None else "; you" if side is view.own_side else "; the other side"
        yield Clause(f"{party.organisation} ({side.value}{whose})", True, "Party")
        yield Clause(f"{party.role}; lawful basis: {party.lawful_basis}", False, "Role")
        yield Clause(party.contact, False, "Contact")
        yield Clause(party.data_protection_officer, False, "Data protection")
        yield Clause(party.fingerprint, True, "Key fingerprint")


def _purpose(agreement: Agreement) -> Iterator[Block]:
    yield Heading("Purpose")
    yield Clause(agreement.purpose, False)
    for use in agreement.prohibited_uses:
        yield Clause(f"Prohibited: {use}", False)


def _direction(agreement: Agreement, side: Side) -> Iterator[Block]:
    sender, receiver = agreement.party(side).organisation, agreement.party(side.other).organisation
    fields = agreement.sends(side)
    yield Heading(f"{sender} sends to {receiver}")
    if not fields:
        yield Clause("Nothing.", True)
        return
    yield Clause(
        "Only these fields, only of contacts that both know, only where the contact's consent covers it.",
        True,
    )
    yield Grid(
        ("Field", "Type", "How", "Kept", "Used by", "Category"),
        tuple(_field_row(field) for field in fields),
        enforced=frozenset({"Field", "Type", "How", "Kept", "Used by"}),
    )
    yield Clause(
        "After the days under “Kept” the recipient's software deletes what it received; it gives it out to nobody but "
        "operators of the departments under “Used by”.",
        True,
    )
    yield Clause(
        "What was exported to a file before is the recipient's to use and to delete as agreed.", False
    )


def _field_row(field: SharedField) -> tuple[str, ...]:
    category = field.category + ("" if field.sensitivity == "normal" else f", {field.sensitivity}")
    return (
        field.name,
        field.type,
        transform_words(field.transform),
        _count(field.retention_days, "day"),
        ", ".join(field.departments),
        category,
    )


def transform_words(transform: str) -> str:
    """A transformation in words: ``round:100`` is “rounded to 100”."""
    name, _, arguments = transform.partition(":")
    if name == "round":
        return f"rounded to {int(arguments):,}"
    if name == "band":
        return "as a range, cut at " + ", ".join(f"{int(bound):,}" for bound in arguments.split(","))
    return _TRANSFORMS[name]


def _consent(agreement: Agreement) -> Iterator[Block]:
    rule = agreement.consent
    yield Heading("Who takes part")
    yield Clause(
        f"Only contacts that granted the purpose “{rule.purpose}” at most {_count(rule.max_age_days, 'day')} before, "
        "and are not suppressed.",
        True,
    )
    if rule.notice_required:
        since = f" on or after {rule.notice_since}" if rule.notice_since else ""
        yield Clause(f"Each of them must have been notified{since}.", True)
    else:
        yield Clause("No notice to the contact is required.", None)
    yield Clause(
        "Contacts under 18 are left out; whoever sends sees to it, and its risk assessment looks for dates of birth."
        if agreement.minors == "excluded"
        else "Contacts under 18 may take part; no risk assessment lets that pass.",
        False,
    )


def _matching(agreement: Agreement) -> Iterator[Block]:
    matching = agreement.matching
    yield Heading("Matching")
    kinds = " and ".join(
        {"email": "e-mail addresses", "phone": "phone numbers"}[kind] for kind in matching.identifiers
    )
    yield Clause(
        f"Compared are {kinds}, normalised by profile “{matching.profile}” ({matching.profile_digest[:16]}…), "
        f"with engine “{matching.engine}”.",
        True,
    )
    yield Clause(
        f"Each side brings {matching.min_set_size:,} to {matching.max_set_size:,} identifiers"
        + (
            ", their exact number hidden by padding."
            if matching.pad_sizes
            else "; the other side learns how many."
        ),
        True,
    )
    yield Clause(f"An overlap below {matching.min_overlap:,} ends the run, and nothing is revealed.", True)
    if matching.min_change_between_runs:
        yield Clause(
            f"No new match where a list changed by fewer than {matching.min_change_between_runs:,} identifiers.",
            True,
        )
    yield Clause(
        f"In 30 days a partner takes part in at most {_count(matching.runs_per_30_days, 'run')} and announces at most "
        f"{matching.items_per_30_days:,} identifiers, over all agreements with it.",
        True,
    )
    shared = {
        "exclude": "stays out",
        "include": "takes part if every one of them may",
    }[matching.shared_identifiers]
    yield Clause(f"An identifier that several contacts of one side hold {shared}.", True)
    yield Clause(
        f"A count is followed by the reveal within {_count(matching.reveal_within_days, 'day')}, or destroyed.",
        True,
    )


def _permission(agreement: Agreement) -> Iterator[Block]:
    yield Heading("Permission")
    words = {
        "authorisation": "needs an operator's authorisation on each side, every time",
        "mandate": "is permitted in advance by those who sign this agreement, until it ends",
    }
    yield Clause(f"A reveal {words[agreement.permission.reveal]}.", True)
    yield Clause(f"An exchange {words[agreement.permission.exchange]}.", True)


def _term(agreement: Agreement, today: date | None) -> Iterator[Block]:
    yield Heading("Term")
    yield Clause(
        f"From {agreement.valid_from} to {agreement.valid_until}, both included, by UTC{_days_left(agreement, today)}.",
        True,
    )
    ending = agreement.termination
    notice = f"with {_count(ending.notice_days, 'day')}' notice" if ending.notice_days else "at any time"
    yield Clause(f"Either side may end it {notice}, and for a cause at once.", True, "Termination")
    yield Clause(
        "When it has ended, the software destroys what was received and signs a certificate, within "
        f"{_count(ending.certificate_within_days, 'day')}; a missing certificate is chased.",
        True,
        "Deletion",
    )
    if agreement.replaces is not None:
        yield from _amendment(agreement)
    yield Clause(agreement.governing_law, False, "Law")


def _amendment(agreement: Agreement) -> Iterator[Block]:
    yield Clause(
        f"Version {agreement.version}; replaces the agreement with digest {agreement.replaces} "
        "once both sides have signed.",
        True,
        "Amendment",
    )
    runs = {
        "finish": "Runs begun before may finish under the version they began with.",
        "stop": "Runs begun before stop.",
    }
    yield Clause(runs[agreement.runs_of_replaced], True, "Runs before")


def _days_left(agreement: Agreement, today: date | None) -> str:
    if today is None:
        return ""
    if today < agreement.valid_from:
        return f"; begins in {_count((agreement.valid_from - today).days, 'day')}"
    left = (agreement.valid_until - today).days
    return (
        f"; {_count(left, 'day')} left"
        if left > 0
        else "; today is the last day"
        if not left
        else "; it is over"
    )


def _duties(agreement: Agreement) -> Iterator[Block]:
    yield Heading("Duties")
    security, who = agreement.security, agreement.responsibilities
    yield Clause(security.measures, False, "Security")
    yield Clause(who.access_control, False, "Access control")
    yield Clause(who.encryption, False, "Encryption")
    yield Clause(who.breach_notification, False, "After a breach")
    hours = _count(security.breach_notification_hours, "hour")
    yield Clause(f"To {security.breach_contact}", False, "Breach contact")
    yield Clause(
        f"Once a breach is opened in the software, it keeps the {hours} in which the other side must know, and sends "
        "the notice.",
        True,
        "Breach notice",
    )
    yield Clause(who.data_subject_requests, False, "Persons' requests")
    yield Clause(
        f"Every {_count(security.attestation_every_days, 'day')} each side signs that it kept to this agreement; the "
        "software asks for it and shows what is overdue.",
        True,
        "Attestation",
    )
    yield Clause("What is attested is true.", False, "Attested")
    yield Clause(agreement.onward_transfer, False, "Onward transfer")
    yield Clause(", ".join(agreement.vendors) or "No vendor may see what was received.", False, "Vendors")
    yield Clause(agreement.international_transfer, False, "Transfer abroad")
    yield Clause(agreement.liabilities, False, "Liability")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

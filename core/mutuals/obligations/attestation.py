"""Attesting use: every ``security.attestation_every_days`` each side signs that it kept to the agreement.

    attest(peer, "A-7Q3K2M9X", keys)            # signs, keeps, and puts the document into the outbox
    due_attestations(tx, now)                   # periods that have elapsed and nobody attested, of either side

Periods run on from the moment at which the first version both binds and is in force, one after the other, by the number
of days of the version that counts now. The last one ends with the agreement. An operator signs the attestation as an
act, the peer signs that act, so that whoever holds the peer's card can check both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from mutuals.agreement.active import find_agreement, verify_stored
from mutuals.agreement.acts import fault, partners_agreement
from mutuals.agreement.chain import BOUND, LIVING, chain_of, newest_of
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.crypto.signing import VerifyKey
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.acts import Act, sign_act, verify_act
from mutuals.identity.operators import OperatorKeys
from mutuals.identity.partners import partner_key
from mutuals.identity.text import deceptive_character
from mutuals.models.agreement import Agreement, AgreementState, Side
from mutuals.models.attestation import Attestation
from mutuals.models.breach import Breach
from mutuals.models.moment import Moment
from mutuals.obligations.breach_record import parse_breach, require_operator
from mutuals.obligations.breach_text import names_somebody, plain_text
from mutuals.signed_documents import enqueue, sign_document
from mutuals.store.rows import AgreementRow, AttestationRow, PartnerRow

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

ATTESTATION = "attestation"
ATTEST_ACT = "agreement.attest"
_MAX_BODY = 65_536
_AHEAD = timedelta(hours=1)  # how far a partner's clock may run before ours


@dataclass(frozen=True)
class DueAttestation:
    """A period that has elapsed without an attestation of ``side``; ``own`` where that is this peer's side."""

    agreement: str
    agreement_id: str
    partner: str
    side: Side
    own: bool
    period_from: datetime
    period_until: datetime

    def days_overdue(self, now: datetime) -> int:
        """Whole days since the period ended."""
        return (now - self.period_until).days


@dataclass(frozen=True)
class HeldAttestation:
    """A stored attestation, both signatures verified; ``act`` says which operator signed."""

    row: AttestationRow
    attestation: Attestation
    act: Act


class NothingToAttest(MutualsError):
    """No period has elapsed that was not attested: nobody did anything wrong."""


def attest(peer: Peer, reference: str, keys: OperatorKeys, *, breach_known: str = "") -> Attestation:
    """Sign the attestation of what has elapsed, and put it into the outbox.

    Raises MutualsError: AGREEMENT_UNKNOWN, NOT_ENTITLED; USAGE where no period has elapsed or a text is unusable;
    AGREEMENT_FORBIDS where an own breach of the period is not named (``breach_known``), or an export was made for a
    department to which the agreement gives nothing; AGREEMENT_NOT_ACTIVE where it never bound.
    """
    now = peer.clock()
    about = plain_text(breach_known, "--breach-known", needed=False)
    with peer.store.transaction() as tx:
        require_operator(tx, keys, "attest the use of an agreement")
        attestation, row = plan_attestation(tx, reference, now, breach_known=about)
        facts = attestation.model_dump(mode="json")
        signed = sign_act(keys, ATTEST_ACT, row.digest, facts, now)
        signature = peer.signing_key.sign(frame(Context.ACT, signed.body))
        payload = {**signed.evidence(), "signature": signature.hex()}
        tx.attestations.put(
            AttestationRow(
                agreement=row.digest,
                side=row.own_side,
                period_from=attestation.period_from,
                period_until=attestation.period_until,
                body=canonical_json(dict(signed.evidence())),
                signature=signature,
                at=now,
            )
        )
        enqueue(tx, peer, row.partner, sign_document(peer, ATTESTATION, payload))
        tx.log.append(row.digest, "agreement.attested", payload, now)
    return attestation


def plan_attestation(
    tx: Transaction, reference: str, now: datetime, *, breach_known: str = ""
) -> tuple[Attestation, AgreementRow]:
    """What ``attest`` would sign, and under which version; raises what it raises, but NOT_ENTITLED."""
    chain = chain_of(tx, find_agreement(tx, reference).digest)
    row = newest_of(chain)
    if row.state not in BOUND:
        raise MutualsError(
            ErrorCode.AGREEMENT_NOT_ACTIVE,
            f"Agreement {row.agreement_id} is {row.state.value}; it never was in force.",
            hint="See those there are: mutuals agreement list",
        )
    agreement = verify_stored(row)
    begins, ends = _open_period(tx, chain, agreement, now, own=True)
    if ends is None:
        next_end = begins + timedelta(days=agreement.security.attestation_every_days)
        over = _over(agreement, row)
        raise NothingToAttest(
            ErrorCode.USAGE,
            f"Nothing of agreement {row.agreement_id} is to be attested now.",
            hint=f"The period ends on {next_end:%Y-%m-%d} (security.attestation_every_days)."
            if begins < over
            else "All of it was attested, until its end.",
        )
    departments, exports = _use(tx, chain, begins, ends)
    _require_agreed(row, chain, departments)
    breaches = _known_breaches(tx, chain, begins, now)
    if breaches and not breach_known:
        raise MutualsError(
            ErrorCode.AGREEMENT_FORBIDS,
            f"You cannot attest agreement {row.agreement_id} without naming your breach {', '.join(breaches)}.",
            hint='Say what your partner should know of it: --breach-known "..."',
        )
    attestation = Attestation(
        agreement=row.digest,
        period_from=begins,
        period_until=ends,
        departments=departments,
        exports=exports,
        breaches=breaches,
        about_breaches=breach_known,
    )
    return attestation, row


def receive_attestation(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Keep the partner's attestation. Raises PartnerFault.

    1. Bounded, canonical, an act with its operator's signature, and the peer's signature over the act.
    2. The attestation is valid, in its one byte form, and about an agreement that bound us and this partner.
    3. Its period is elapsed, whole, and not attested yet; its text is plain and names nobody.
    """
    now = peer.clock()
    attestation, signature, evidence = _read(partner, body)
    row = partners_agreement(tx, partner, attestation.agreement)
    if row.state not in BOUND:
        raise fault(f"An attestation came under agreement {row.agreement_id}, which never bound both sides.")
    agreement = verify_stored(row)
    chain = chain_of(tx, row.digest)
    _require_whole_period(tx, chain, agreement, attestation, now)
    tx.attestations.put(
        AttestationRow(
            agreement=row.digest,
            side=row.own_side.other,
            period_from=attestation.period_from,
            period_until=attestation.period_until,
            body=evidence,
            signature=signature,
            at=now,
        )
    )
    tx.log.append(row.digest, "agreement.attestation-received", {"document": body.decode()}, now)
    known = f", naming breach {', '.join(attestation.breaches)}" if attestation.breaches else ""
    text = (
        f"{partner.name} attested its use under agreement {row.agreement_id} until "
        f"{attestation.period_until:%Y-%m-%d}{known}: mutuals attest {row.agreement_id} --list"
    )
    tx.notifications.add(row.digest, text, ("privacy_officer", "admin"), now)


def due_attestations(tx: Transaction, now: datetime) -> list[DueAttestation]:
    """What has elapsed unattested under agreements that are not closed, one period for each side, oldest first."""
    due = []
    for row in tx.agreements.list():
        if row.state not in LIVING | {AgreementState.ENDED}:
            continue
        try:
            agreement = verify_stored(row)
        except MutualsError:
            continue  # a damaged copy is a finding of its own, and no reason to miss the other agreements
        chain = chain_of(tx, row.digest)
        for side in Side:
            begins, ends = _open_period(tx, chain, agreement, now, own=side is row.own_side)
            if ends is not None:
                own = side is row.own_side
                due.append(DueAttestation(row.digest, row.agreement_id, row.partner, side, own, begins, ends))
    return sorted(due, key=lambda item: (item.period_until, item.agreement, not item.own))


def next_period(
    tx: Transaction, row: AgreementRow, now: datetime, *, own: bool
) -> tuple[datetime, datetime] | None:
    """The first period that this side or the partner has not attested, elapsed or not; nothing once the term is.

    ``row`` is any version that has bound. Raises MutualsError (AGREEMENT_NOT_ACTIVE) for a damaged one.
    """
    chain = chain_of(tx, row.digest)
    newest = newest_of(chain)
    agreement = verify_stored(newest)
    begins, _ = _open_period(tx, chain, agreement, now, own=own)
    step = timedelta(days=agreement.security.attestation_every_days)
    ends = min(begins + step, _over(agreement, newest))
    return (begins, ends) if begins < ends else None


def held_attestations(tx: Transaction, peer: Peer, reference: str) -> list[HeldAttestation]:
    """The attestations of both sides over all versions, oldest first, every signature verified again.

    Raises MutualsError: AGREEMENT_UNKNOWN, LOCAL where a stored one does not verify.
    """
    found = []
    for version in chain_of(tx, find_agreement(tx, reference).digest):
        partner = tx.partners.get(version.partner)
        for row in tx.attestations.list(version.digest):
            own = row.side is version.own_side
            key = peer.signing_key.public if own or partner is None else partner_key(partner)
            try:
                attestation, act = _verify(row.body, row.signature, key)
                if attestation.agreement != version.digest:
                    raise ValueError("about another agreement")
            except ValueError as error:
                raise MutualsError(
                    ErrorCode.LOCAL,
                    f"A stored attestation under agreement {version.agreement_id} is not what was signed.",
                    hint="Restore the store from a backup, and find out who changed it.",
                ) from error
            found.append(HeldAttestation(row, attestation, act))
    return sorted(found, key=lambda held: (held.attestation.period_from, held.row.side))


def _open_period(
    tx: Transaction, chain: list[AgreementRow], agreement: Agreement, now: datetime, *, own: bool
) -> tuple[datetime, datetime | None]:
    """From when nothing is attested by this side or the partner, and until when that has elapsed, if it has."""
    begins = _start(tx, chain)
    for held in _held(tx, chain, own=own):
        if held.period_from <= begins < held.period_until:
            begins = held.period_until
    return begins, _elapsed_until(agreement, newest_of(chain), begins, now)


def _elapsed_until(
    agreement: Agreement, newest: AgreementRow, begins: datetime, now: datetime
) -> datetime | None:
    """The last end of a period that has passed; the last period of all ends with the agreement."""
    step = timedelta(days=agreement.security.attestation_every_days)
    over = _over(agreement, newest)
    if over <= now:
        return over if begins < over else None
    whole = (now - begins) // step
    return begins + whole * step if whole > 0 else None


def _over(agreement: Agreement, newest: AgreementRow) -> datetime:
    """When the agreement is over, as far as is known now."""
    last = datetime.combine(agreement.valid_until + timedelta(days=1), time.min, UTC)
    ends = [moment for moment in (newest.ends_at, newest.ended_at) if moment is not None]
    return min([last, *ends]).replace(microsecond=0)


def _start(tx: Transaction, chain: list[AgreementRow]) -> datetime:
    """The moment from which the first version was both signed by both and in force."""
    first = chain[0]
    begun = datetime.combine(verify_stored(first).valid_from, time.min, UTC)
    return max([begun, *(_signed_at(held.body) for held in tx.agreements.statements(first.digest))])


class _SignedAt(BaseModel):
    signed_at: Moment


def _signed_at(statement: bytes) -> datetime:
    return _SignedAt.model_validate_json(statement).signed_at.astimezone(UTC)


def _held(tx: Transaction, chain: list[AgreementRow], *, own: bool) -> list[AttestationRow]:
    """The attestations of this side or the partner over all versions, by period; a version may swap the sides."""
    rows = [
        held
        for version in chain
        for held in tx.attestations.list(version.digest, version.own_side if own else version.own_side.other)
    ]
    return sorted(rows, key=lambda held: held.period_from)


def _use(
    tx: Transaction, chain: list[AgreementRow], begins: datetime, ends: datetime
) -> tuple[tuple[str, ...], int]:
    """Whose people exported something in the period, and how many exports that were."""
    digests = {version.digest for version in chain}
    exports = [
        export
        for run in tx.runs.list()
        if run.agreement in digests
        for export in tx.exports.list(run.run_id)
        if begins <= export.at < ends
    ]
    operators = {operator.name: operator.department for operator in tx.operators.list()}
    return tuple(sorted({operators.get(export.operator, "unknown") for export in exports})), len(exports)


def _require_agreed(row: AgreementRow, chain: list[AgreementRow], departments: tuple[str, ...]) -> None:
    agreed: set[str] = set()
    for version in chain:
        shared = verify_stored(version).sends(version.own_side.other)
        agreed |= {department for item in shared for department in item.departments}
    strange = [department for department in departments if department not in agreed]
    if strange:
        raise MutualsError(
            ErrorCode.AGREEMENT_FORBIDS,
            f"Department {strange[0]} exported under agreement {row.agreement_id}, which gives it no field; "
            "that use was not as agreed.",
            hint="Find out what happened; it may be a breach: mutuals breach open",
        )


def _known_breaches(
    tx: Transaction, chain: list[AgreementRow], begins: datetime, now: datetime
) -> tuple[str, ...]:
    """The own breaches of the agreement that were still open at some time since the period began."""
    digests = {version.digest for version in chain}
    found: list[Breach] = [
        parse_breach(row)
        for row in tx.breaches.list()
        if row.partner is None and row.opened_at <= now and (row.closed_at is None or row.closed_at >= begins)
    ]
    return tuple(breach.breach_id for breach in found if digests.intersection(breach.agreements))


def _read(partner: PartnerRow, body: bytes) -> tuple[Attestation, bytes, bytes]:
    """The attestation in a document, the peer's signature over it, and the act with its signature as it is kept."""
    try:
        if len(body) > _MAX_BODY:
            raise ValueError("too large")
        payload = parse_canonical(body)
        if set(payload) != {"act", "act_signature", "signature"}:
            raise ValueError("other keys")
        signature = bytes.fromhex(payload.pop("signature"))
        evidence = canonical_json(payload)
        attestation, act = _verify(evidence, signature, partner_key(partner))
        names = (act.operator, act.department, *act.roles)
        if any(deceptive_character(text) for text in names):
            raise ValueError("a name holds a control or invisible character")
    except (ValueError, TypeError, RecursionError) as error:
        raise fault("An attestation is not in the form it must have.") from error
    text = attestation.about_breaches
    if deceptive_character(text, lines=True) or names_somebody(text):
        raise fault("The text of an attestation is not plain, or names somebody.")
    if bool(text) is not bool(attestation.breaches):
        raise fault("An attestation names a breach without a word on it, or the other way round.")
    return attestation, signature, evidence


def _verify(evidence: bytes, signature: bytes, key: VerifyKey) -> tuple[Attestation, Act]:
    """The attestation in an act and who signed it, with both signatures checked. Raises ValueError."""
    payload = parse_canonical(evidence)
    if set(payload) != {"act", "act_signature"} or not all(
        isinstance(text, str) for text in payload.values()
    ):
        raise ValueError("other keys")
    body = payload["act"].encode()
    act = verify_act(body, bytes.fromhex(payload["act_signature"]))
    key.verify(frame(Context.ACT, body), signature)
    facts = canonical_json(act.facts)
    try:
        attestation = Attestation.model_validate_json(facts, strict=True)
    except ValidationError as error:
        raise ValueError("not an attestation") from error
    if canonical_json(attestation) != facts or (act.act, act.subject) != (ATTEST_ACT, attestation.agreement):
        raise ValueError("not in its one byte form, or an act about something else")
    return attestation, act


def _require_whole_period(
    tx: Transaction,
    chain: list[AgreementRow],
    agreement: Agreement,
    attestation: Attestation,
    now: datetime,
) -> None:
    """Periods are attested once, whole, and after they have elapsed; a late one may fill a gap."""
    begins, until = attestation.period_from, attestation.period_until
    if not _start(tx, chain) <= begins < until <= now + _AHEAD:
        raise fault("An attestation is about a period that has not elapsed.")
    held, newest = _held(tx, chain, own=False), newest_of(chain)
    if any(other.period_from < until and begins < other.period_until for other in held):
        raise fault("An attestation is about a period that was attested before.")
    if len(held) > (now - _start(tx, chain)).days + 1:  # no agreement names periods shorter than a day
        raise fault("There are more attestations than days.")
    step = timedelta(days=agreement.security.attestation_every_days)
    ended = newest.state not in LIVING or _over(agreement, newest) <= now + _AHEAD
    if (until - begins) % step and not ended:
        raise fault("An attestation is about a period that the agreement does not name.")

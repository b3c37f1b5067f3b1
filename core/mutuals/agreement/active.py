"""The gates before every use of an agreement: signed by both, in force, unchanged, neither suspended nor replaced.

    load_active     something new begins: a match
    load_for_run    a run that has begun goes on: a reveal, an exchange
    load_readable   what was received is read or exported

Nothing is remembered between calls: document, statements and signatures are verified over the stored bytes each
time, so that an edit of the store is a refusal and not a new agreement.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from mutuals.agreement.chain import chain_of, family_of, newest_of
from mutuals.agreement.document import agreement_digest, agreement_id, parse_agreement
from mutuals.agreement.revived import why_over
from mutuals.agreement.statements import BadStatement, Statement, verify_statement
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Agreement, AgreementState, Side
from mutuals.models.run import Run
from mutuals.store.rows import AgreementRow, StatementRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction


@dataclass(frozen=True)
class ActiveAgreement:
    """A verified agreement as this side may use it.

    ``digest`` and ``partner_fingerprint`` are hex; ``mapping`` is field → heading of the bound ``source``, for every
    field that this side sends.
    """

    digest: str
    agreement_id: str
    agreement: Agreement
    own_side: Side
    partner_fingerprint: str
    source: str | None
    mapping: dict[str, str]


def find_agreement(tx: Transaction, reference: str) -> AgreementRow:
    """The stored agreement with this id, digest, or unambiguous beginning of either.

    Raises MutualsError: AGREEMENT_UNKNOWN for none, USAGE for several.
    """
    rows = tx.agreements.find(reference)
    if not rows:
        raise MutualsError(
            ErrorCode.AGREEMENT_UNKNOWN,
            f"There is no agreement {shown(reference)}.",
            hint="See those there are: mutuals agreement list",
        )
    if len(rows) > 1:
        raise MutualsError(
            ErrorCode.USAGE,
            f"{shown(reference)} fits {len(rows)} agreements.",
            hint="Name it by more of its id or digest: " + ", ".join(row.agreement_id for row in rows[:5]),
        )
    return rows[0]


def shown(reference: str) -> str:
    """What a person typed, as a sentence may repeat it."""
    return "“" + "".join(character if character.isprintable() else "?" for character in reference[:80]) + "”"


def load_active(tx: Transaction, reference: str, now: datetime, *, own: str | None = None) -> ActiveAgreement:
    """The agreement with this id or digest, if something new may begin under it at ``now``.

    ``own`` is the own fingerprint in hex; with it the own statement must also be this peer's.

    1. It is in the store, and its state is active: not suspended, not superseded, not ended.
    2. The partner is known and not removed.
    3. Document, both statements and all signatures verify over the stored bytes.
    4. ``now`` (UTC date) is within valid_from and valid_until, both included, and before the end that a termination
       set.
    5. Neither the log nor a certificate says that it is over, and no later version that both have signed is in the
       store: the state in the row is not believed by itself.

    Raises MutualsError: AGREEMENT_UNKNOWN, AGREEMENT_NOT_ACTIVE, USAGE for an ambiguous reference.
    """
    row = find_agreement(tx, reference)
    if row.state is not AgreementState.ACTIVE:
        raise _refusal(tx, row)
    active = _verified(tx, row, own)
    check_in_force(row, active.agreement, now)
    _check_not_revived(tx, row, now)
    return active


def load_for_run(tx: Transaction, run: Run, now: datetime, *, own: str | None = None) -> ActiveAgreement:
    """The version under which ``run`` began, if the run may go on at ``now``.

    That is where ``load_active`` lets it; or where the version was replaced, every later version lets runs of the
    replaced one finish, the newest is active, and both are in force. Raises MutualsError (AGREEMENT_NOT_ACTIVE).
    """
    row = find_agreement(tx, run.agreement)
    if row.state is not AgreementState.SUPERSEDED:
        return load_active(tx, row.digest, now, own=own)
    active = _verified(tx, row, own)
    check_in_force(row, active.agreement, now)
    chain = chain_of(tx, row.digest)
    newest = load_active(tx, newest_of(chain).digest, now, own=own)
    for later in chain[chain.index(row) + 1 :]:
        if verify_stored(later).runs_of_replaced != "finish":
            raise _not_active(
                row,
                f"was replaced by {later.agreement_id}, which stops the runs of the version before it.",
                f"Start a new match: mutuals match {newest.agreement_id}",
            )
    return active


def load_readable(tx: Transaction, digest: str, now: datetime, *, own: str | None = None) -> ActiveAgreement:
    """The version with this digest, if what was received under it may be read at ``now``, by that version's terms.

    That is where ``load_active`` lets it; or where it was replaced and the newest version is active and in force.
    Raises MutualsError (AGREEMENT_NOT_ACTIVE).
    """
    row = find_agreement(tx, digest)
    if row.state is not AgreementState.SUPERSEDED:
        return load_active(tx, row.digest, now, own=own)
    active = _verified(tx, row, own)
    load_active(tx, newest_of(chain_of(tx, row.digest)).digest, now, own=own)
    return active


def _check_not_revived(tx: Transaction, row: AgreementRow, now: datetime) -> None:
    """Rule 5 of ``load_active``."""
    why = why_over(tx, chain_of(tx, row.digest), row, now)
    later = None if why else _later_version(tx, row)
    if later is not None:
        why = f"both sides have signed the later version {later.agreement_id}"
    if why is not None:
        raise _not_active(
            row,
            f"cannot be used: the store marks it as active, but {why}.",
            "Somebody changed the store. Restore it from a backup, and find out who: mutuals audit verify",
        )


def _later_version(tx: Transaction, row: AgreementRow) -> AgreementRow | None:
    """A version that replaces ``row`` and both sides have signed, whatever its own row says of it."""
    for other in tx.agreements.list():
        if other.digest == row.digest or row.digest.encode() not in other.document:
            continue
        try:
            agreement = verify_stored(other)
            statements = tx.agreements.statements(other.digest)
            for side in Side:
                verify_stored_statement(other, agreement, statements, side)
        except MutualsError:  # not signed by both, or not what they signed
            continue
        if agreement.replaces == row.digest:
            return other
    return None


def _verified(tx: Transaction, row: AgreementRow, own: str | None) -> ActiveAgreement:
    """Rules 2 and 3 of ``load_active``."""
    partner = tx.partners.get(row.partner)
    if partner is None or partner.removed_at is not None:
        raise _not_active(
            row, "is with a partner that was removed.", "Add the partner's card again, or stop using it."
        )
    agreement = verify_stored(row)
    statements = tx.agreements.statements(row.digest)
    for side in Side:
        verify_stored_statement(row, agreement, statements, side)
    if own is not None and agreement.party(row.own_side).fingerprint != own:
        raise tampered(row)
    return ActiveAgreement(
        digest=row.digest,
        agreement_id=row.agreement_id,
        agreement=agreement,
        own_side=row.own_side,
        partner_fingerprint=row.partner,
        source=row.source,
        mapping=dict(row.mapping),
    )


def verify_stored(row: AgreementRow) -> Agreement:
    """The document in ``row``, if it has the row's digest, id, title and parties. Raises AGREEMENT_NOT_ACTIVE."""
    try:
        agreement = parse_agreement(row.document)
    except ValueError as error:
        raise tampered(row) from error
    facts = (agreement_digest(row.document), agreement_id(row.digest), agreement.title, agreement.replaces)
    partner = agreement.party(row.own_side.other).fingerprint
    if facts != (row.digest, row.agreement_id, row.title, row.replaces) or partner != row.partner:
        raise tampered(row)
    return agreement


def verify_stored_statement(
    row: AgreementRow, agreement: Agreement, statements: list[StatementRow], side: Side
) -> Statement:
    """The stored statement of ``side``, verified. Raises AGREEMENT_NOT_ACTIVE."""
    found = [statement for statement in statements if statement.side is side]
    if len(found) != 1:
        raise tampered(row)
    try:
        return verify_statement(found[0].body, found[0].signature, agreement, row.digest, side)
    except BadStatement as error:
        raise tampered(row) from error


def check_in_force(row: AgreementRow, agreement: Agreement, now: datetime) -> None:
    """Raise AGREEMENT_NOT_ACTIVE unless the UTC date of ``now`` is in the agreement's term, and no end was set."""
    today = utc_date(now)
    check_not_ended(row, now)
    if today < agreement.valid_from:
        raise _not_active(row, f"is in force only from {agreement.valid_from}.", "Wait until then.")
    check_not_over(row.agreement_id, agreement, now)


def check_not_ended(row: AgreementRow, now: datetime) -> None:
    """Raise AGREEMENT_NOT_ACTIVE where the end that a termination set has passed."""
    if row.ends_at is not None and now >= row.ends_at:
        raise _not_active(
            row,
            f"was terminated with effect from {row.ends_at:%Y-%m-%d %H:%M} UTC.",
            "To go on sharing, propose a new agreement: mutuals agreement draft",
        )


def check_not_over(name: str, agreement: Agreement, now: datetime) -> None:
    """Raise AGREEMENT_NOT_ACTIVE where the term has ended; ``name`` is how the sentence calls the agreement."""
    if utc_date(now) > agreement.valid_until:
        raise MutualsError(
            ErrorCode.AGREEMENT_NOT_ACTIVE,
            f"Agreement {name} ended on {agreement.valid_until}.",
            hint="Propose a new one with later dates: mutuals agreement draft",
        )


def is_over(row: AgreementRow, now: datetime) -> bool:
    """Whether the last day of the version, or the end that a termination set, has passed at ``now``."""
    if row.ends_at is not None and now >= row.ends_at:
        return True
    try:
        return utc_date(now) > parse_agreement(row.document).valid_until
    except ValueError:  # damaged in the store: nothing may be done under it, and a person must look
        return False


def utc_date(now: datetime) -> date:
    """The day it is in UTC at ``now`` (aware)."""
    return now.astimezone(UTC).date()


def tampered(row: AgreementRow) -> MutualsError:
    """The refusal where store and signatures disagree."""
    return _not_active(
        row,
        "cannot be used: the stored copy does not match what was signed.",
        "Restore the store from a backup, or make a new agreement; find out who changed it.",
    )


def _refusal(tx: Transaction, row: AgreementRow) -> MutualsError:
    """Why an agreement that is not active cannot be used, and what would change that."""
    if row.state is AgreementState.SUPERSEDED:
        newest = newest_of(chain_of(tx, row.digest)).agreement_id
        return _not_active(
            row,
            f"was replaced by the later version {newest}.",
            f"Use that one: mutuals agreement show {newest}",
        )
    if row.state is AgreementState.SUSPENDED:
        halts = [
            halt for version in family_of(tx, row.digest) for halt in tx.suspensions.open(version.digest)
        ]
        reasons = "; ".join(f"{halt.reason} ({halt.at:%Y-%m-%d})" for halt in halts)
        return _not_active(
            row,
            f"is suspended{': ' + reasons if reasons else ''}.",
            "Who suspended it can lift that: mutuals agreement resume",
        )
    return _not_active(row, f"is {row.state.value}, not active.", _STATE_HINTS.get(row.state))


def _not_active(row: AgreementRow, what: str, hint: str | None) -> MutualsError:
    return MutualsError(ErrorCode.AGREEMENT_NOT_ACTIVE, f"Agreement {row.agreement_id} {what}", hint=hint)


_STATE_HINTS = {
    AgreementState.DRAFT: "A second operator of yours must sign it: mutuals agreement sign",
    AgreementState.PROPOSED: "Both sides must sign it: mutuals agreement accept on the other side, then mutuals sync.",
    AgreementState.REJECTED: "Propose another: mutuals agreement draft",
    AgreementState.ENDED: "Propose a new one: mutuals agreement draft",
    AgreementState.CLOSED: "Propose a new one: mutuals agreement draft",
}

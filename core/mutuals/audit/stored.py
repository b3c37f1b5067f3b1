"""The logs of a store as ``mutuals.audit.verify`` takes them, and a check of all of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutuals.agreement.statements import Statement
from mutuals.audit.heads import with_cosignature
from mutuals.audit.notes import BadNote, parse_checkpoint, parse_note
from mutuals.audit.tree import entries_of
from mutuals.audit.verify import HeldLog, Report, SignedStatement, verify_log, verify_own_log
from mutuals.crypto.signing import VerifyKey
from mutuals.errors import MutualsError
from mutuals.identity.appointment import appointment_problems
from mutuals.identity.partners import partner_log_key
from mutuals.policy.current import verify_policy
from mutuals.wording import log_entries

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction


def held_log(tx: Transaction, peer: Peer, agreement: str | None) -> HeldLog:
    """A log of this peer, with everything signed over it; ``agreement`` is the digest, nothing for the own log."""
    rows = [] if agreement is None else tx.checkpoints.list(agreement)
    row = None if agreement is None else tx.agreements.get(agreement)
    statements = () if agreement is None else tuple(tx.agreements.statements(agreement))
    operators = {operator.signing_public.hex() for operator in tx.operators.list()}
    for statement in statements:
        try:
            parsed = Statement.model_validate_json(statement.body)
        except ValueError:  # the check of the statements says so
            continue
        operators.update(one.public_key for one in parsed.operators)
    return HeldLog(
        agreement=agreement,
        owner=peer.fingerprint.hex(),
        partner=None if row is None else row.partner,
        key=peer.log_key.public,
        entries=tuple(entries_of(tx.log.of(agreement), peer.log_key, agreement)),
        checkpoints=tuple(with_cosignature(one) for one in rows if one.own),
        seen=tuple(with_cosignature(one) for one in rows if not one.own),
        document=None if row is None else row.document,
        statements=tuple(SignedStatement(one.side, one.body, one.signature) for one in statements),
        operators=frozenset(operators),
    )


def verify_agreement_log(tx: Transaction, peer: Peer, agreement: str) -> Report:
    """Check the log of one agreement (digest)."""
    try:
        return _verify_agreement(tx, peer, agreement)
    except ValueError:
        return _unreadable()


def verify_store(tx: Transaction, peer: Peer) -> list[Report]:
    """Check the logs of all agreements, also of such as only the log knows, and the peer's own."""
    try:
        return _verify_all(tx, peer)
    except ValueError:
        return [_unreadable()]


def _verify_agreement(tx: Transaction, peer: Peer, agreement: str) -> Report:
    log = held_log(tx, peer, agreement)
    report = verify_log(log, _partner_key(tx, log.partner))
    for row in tx.checkpoints.list(agreement):
        try:
            head = parse_checkpoint(parse_note(row.note).text)
        except BadNote:  # which the check of the notes has said
            continue
        if (head.size, head.root) != (row.size, row.root):
            report.problems.append(
                f"a checkpoint of it is kept as another than it is, of {log_entries(row.size)}"
            )
    return report


def _verify_all(tx: Transaction, peer: Peer) -> list[Report]:
    rows = tx.log.entries()
    known = [row.digest for row in tx.agreements.list()]
    digests = dict.fromkeys([*known, *(row.agreement for row in rows), *_checkpointed(tx)])
    reports = [_verify_agreement(tx, peer, digest) for digest in digests if digest]
    own = held_log(tx, peer, None)
    covering = [entries_of(tx.log.of(digest), peer.log_key, digest) for digest in digests if digest]
    report = verify_own_log(own, covering)
    if [row.seq for row in rows] != list(range(1, len(rows) + 1)):
        report.problems.append("the entries of all logs together are not numbered one after the other")
    report.problems += [*appointment_problems(tx), *_policy_problems(tx)]
    return [*reports, report]


def _policy_problems(tx: Transaction) -> list[str]:
    """A sentence for each stored version of the policy that is not what was signed."""
    problems = []
    for row in tx.policies.list():
        try:
            verify_policy(tx, row)
        except MutualsError:
            problems.append(f"version {row.version} of the policy is not what {row.operator} signed")
    return problems


def _unreadable() -> Report:
    """What is said of a store in which a row is no row any more."""
    return Report("store", problems=["a row cannot be read: the store was changed by hand"])


def _checkpointed(tx: Transaction) -> list[str]:
    return [row.agreement for row in tx.checkpoints.list()]


def _partner_key(tx: Transaction, partner: str | None) -> VerifyKey | None:
    row = None if partner is None else tx.partners.get(partner)
    if row is None:
        return None
    try:
        return partner_log_key(row)
    except (
        MutualsError
    ):  # its stored card was changed; the cosignatures then stay unchecked, and that is said
        return None

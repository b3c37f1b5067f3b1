"""Withdrawing contacts: no further use from this moment, and word to every partner that received them.

    plan = plan_revocation(peer, ["C-1001"], "withdrawal", keys)      # reads sources and ledger, changes nothing
    done = carry_out(peer, plan, keys)                                # one transaction; documents wait in the outbox

What a contact is known by is read from the sources once more and kept as keyed hashes (``mutuals.consent``); to whom
it was sent is read from the ledger, which also knows contacts that no source has any longer. Runs that still wait for
their reveal or exchange go stale by their own guards, since the contact is no longer eligible. A *correction* tells the
partners to delete what is wrong, and lets the contact take part again (GDPR Art. 16 and 19).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from mutuals.agreement.active import find_agreement
from mutuals.consent import first_version, open_suppressor
from mutuals.consent.filter import collect_spellings
from mutuals.crypto.hpke import seal
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.acts import sign_act
from mutuals.identity.operators import OperatorKeys, require_role
from mutuals.models.run import Run
from mutuals.obligations.revocation_document import MAX_RANKS, REVOCATION, Reason, make_revocation
from mutuals.peer import Peer
from mutuals.runs.ledger import open_ledger
from mutuals.runs.lifecycle import log_run
from mutuals.signed_documents import enqueue, sign_document
from mutuals.sources import SourceDefinition, read_source
from mutuals.store.rows import RevocationRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

REVOKE_ROLES = frozenset({"admin", "privacy_officer"})
"""Who may withdraw contacts: of those who can open the ledger, the ones who also act on what they find there."""


@dataclass(frozen=True)
class Recipient:
    """What one partner is told about one run: ``contacts`` are own ids, ``ranks`` their pairs, ascending."""

    run: Run
    partner: str
    contacts: tuple[str, ...] = field(repr=False)
    ranks: tuple[int, ...]


@dataclass(frozen=True)
class RevocationPlan:
    """What withdrawing ``contacts`` (own ids) would do, under ``agreement`` (digest) or all.

    ``unknown`` are those that neither a source nor the ledger has; ``sharing`` other contacts, who hold one of the
    same identifiers and stay out with them; ``identifiers`` typed and normalised; ``unreadable`` the sources that
    could not be read, with the reason.
    """

    contacts: tuple[str, ...] = field(repr=False)
    reason: Reason
    agreement: str | None
    agreement_id: str | None
    unknown: tuple[str, ...] = field(repr=False)
    sharing: tuple[str, ...] = field(repr=False)
    identifiers: frozenset[tuple[str, str]] = field(repr=False)
    unreadable: dict[str, str]
    recipients: tuple[Recipient, ...]

    @property
    def suppresses(self) -> bool:
        """Whether the contacts take no part from now on."""
        return self.reason != "correction"

    def named(self) -> set[tuple[str, str]]:
        """Everything the contacts are known by, as (kind, value)."""
        return {("contact", contact) for contact in self.contacts} | set(self.identifiers)


@dataclass(frozen=True)
class Revoked:
    """What was done: how many hashes are new, and which documents wait for partners (fingerprint, revocation id)."""

    suppressed: int
    recipients: tuple[Recipient, ...]
    documents: tuple[tuple[str, str], ...]


def plan_revocation(
    peer: Peer,
    contacts: Iterable[str],
    reason: Reason,
    keys: OperatorKeys,
    *,
    agreement: str | None = None,
) -> RevocationPlan:
    """Look up what the contacts (own ids) are known by and who received them; ``agreement`` is an id or digest.

    Raises MutualsError: USAGE without a contact, NOT_ENTITLED, AGREEMENT_UNKNOWN, LOCAL for a damaged ledger.
    """
    require_role(keys, REVOKE_ROLES, "withdraw contacts")
    wanted = tuple(dict.fromkeys(filter(None, (contact.strip() for contact in contacts))))
    if not wanted:
        raise MutualsError(
            ErrorCode.USAGE, "No contact was named.", hint="Name it by its id: --contact ID, or --stdin"
        )
    with peer.store.transaction() as tx:
        row = None if agreement is None else find_agreement(tx, agreement)
        digest = None if row is None else row.digest
        definitions = _definitions(tx, digest)
        sent = _recipients(tx, peer, keys, wanted, digest, again=True)
        recipients = _recipients(tx, peer, keys, wanted, digest, again=False)
    found = _Found()
    for definition in definitions:
        found.look(definition, wanted)
    known = found.contacts.union(*(recipient.contacts for recipient in sent))
    return RevocationPlan(
        contacts=wanted,
        reason=reason,
        agreement=digest,
        agreement_id=None if row is None else row.agreement_id,
        unknown=tuple(contact for contact in wanted if contact not in known),
        sharing=tuple(sorted(found.sharing)),
        identifiers=frozenset(found.identifiers),
        unreadable=found.unreadable,
        recipients=tuple(recipients),
    )


def carry_out(peer: Peer, plan: RevocationPlan, keys: OperatorKeys) -> Revoked:
    """Keep the contacts out, and put a revocation for every partner that received them into the outbox.

    The ledger is read again in the same transaction: what was sent since the plan was made is withdrawn as well.
    Raises MutualsError: NOT_ENTITLED, LOCAL.
    """
    require_role(keys, REVOKE_ROLES, "withdraw contacts")
    suppressor = open_suppressor(peer) if plan.suppresses else None
    now = peer.clock()
    with peer.store.transaction() as tx:
        new = suppressor.keep(tx, plan.named(), plan.reason, plan.agreement, now) if suppressor else 0
        recipients = _recipients(tx, peer, keys, plan.contacts, plan.agreement, again=False)
        documents = [
            (recipient.partner, _tell(tx, peer, part, plan.reason))
            for recipient in recipients
            for part in _parts(recipient)
        ]
        signed = sign_act(
            keys,
            "contact.revoke",
            plan.agreement or "every agreement",
            {
                "reason": plan.reason,
                "contacts": len(plan.contacts),
                "revocations": [identity for _, identity in documents],
            },
            now,
        )
        tx.log.append(
            None,
            "contact.revoked",
            {
                **signed.evidence(),
                "suppressed": new,
                "sealed": _sealed(peer, plan.contacts, "log").hex(),
            },
            now,
        )
    return Revoked(new, tuple(recipients), tuple(documents))


def lift_revocation(
    peer: Peer, contacts: Iterable[str], keys: OperatorKeys, *, agreement: str | None = None
) -> int:
    """Let contacts take part again that consented anew; how many hashes of them were forgotten.

    They are known by what the sources hold now. What partners deleted stays deleted. Raises as ``plan_revocation``.
    """
    plan = plan_revocation(peer, contacts, "withdrawal", keys, agreement=agreement)
    suppressor = open_suppressor(peer)
    now = peer.clock()
    with peer.store.transaction() as tx:
        lifted = suppressor.lift(tx, plan.named(), plan.agreement)
        facts = {"contacts": len(plan.contacts), "lifted": lifted}
        signed = sign_act(keys, "contact.lift", plan.agreement or "every agreement", facts, now)
        sealed = _sealed(peer, plan.contacts, "log").hex()
        tx.log.append(None, "contact.lifted", {**signed.evidence(), "sealed": sealed}, now)
    return lifted


def _definitions(tx: Transaction, agreement: str | None) -> list[SourceDefinition]:
    """The sources to look in: those bound to any version of the agreement, or all there are."""
    rows = tx.sources.list()
    if agreement is not None:
        scope = first_version(tx, agreement)
        bound = {row.source for row in tx.agreements.list() if first_version(tx, row.digest) == scope}
        rows = [row for row in rows if row.name in bound]
    return [SourceDefinition.model_validate_json(row.definition) for row in rows]


def _recipients(
    tx: Transaction,
    peer: Peer,
    keys: OperatorKeys,
    contacts: Collection[str],
    agreement: str | None,
    *,
    again: bool,
) -> list[Recipient]:
    """Who received which of ``contacts``, by run; without ``again`` only what was not withdrawn there before."""
    scope = first_version(tx, agreement)
    recipients = []
    for entry in open_ledger(tx, peer, keys):
        if scope is not None and first_version(tx, entry.agreement) != scope:
            continue
        told = {
            rank
            for row in tx.revocations.list(entry.run.run_id)
            if row.own and not again
            for rank in row.ranks
        }
        sent = {
            contact: entry.contacts[contact].ranks
            for contact in contacts
            if contact in entry.contacts and not told.issuperset(entry.contacts[contact].ranks)
        }
        if sent:
            ranks = tuple(sorted({rank for named in sent.values() for rank in named}))
            recipients.append(Recipient(entry.run, entry.partner, tuple(sent), ranks))
    return recipients


def _parts(recipient: Recipient) -> Iterator[Recipient]:
    """The recipient's ranks in portions that fit a document; the contacts stand with each."""
    for start in range(0, len(recipient.ranks), MAX_RANKS):
        ranks = recipient.ranks[start : start + MAX_RANKS]
        yield Recipient(recipient.run, recipient.partner, recipient.contacts, ranks)


def _tell(tx: Transaction, peer: Peer, part: Recipient, reason: Reason) -> str:
    """Put one revocation into the outbox, note and log it; its id."""
    now = peer.clock()
    revocation = make_revocation(peer.fingerprint, part.run.sid, part.ranks, reason, now)
    enqueue(tx, peer, part.partner, sign_document(peer, REVOCATION, revocation.model_dump(mode="json")))
    tx.revocations.put(
        RevocationRow(
            revocation_id=revocation.id,
            run_id=part.run.run_id,
            partner=part.partner,
            own=True,
            ranks=part.ranks,
            sealed=_sealed(peer, part.contacts, revocation.id),
            at=now,
        )
    )
    log_run(
        tx, part.run, "revocation_sent", now, revocation=revocation.id, reason=reason, pairs=len(part.ranks)
    )
    return revocation.id


def _sealed(peer: Peer, contacts: Collection[str], subject: str) -> bytes:
    """Own contact ids, for those who hold the accountability key."""
    info = frame(Context.REVOCATION, "contacts", subject)
    return seal(peer.accountability_public, info, json.dumps(list(contacts)).encode())


class _Found:
    """What the sources say about the contacts looked for."""

    def __init__(self) -> None:
        self.contacts: set[str] = set()
        self.sharing: set[str] = set()
        self.identifiers: set[tuple[str, str]] = set()
        self.unreadable: dict[str, str] = {}

    def look(self, definition: SourceDefinition, wanted: Collection[str]) -> None:
        """Read one source; one that cannot be read must not hold up the withdrawal."""
        try:
            table = read_source(definition, fields=())
        except MutualsError as error:
            self.unreadable[definition.name] = error.message
            return
        ids = table.frame.select("contact_id", contact=pl.int_range(pl.len(), dtype=pl.Int32))
        own = ids.filter(pl.col("contact_id").is_in(list(wanted)))
        self.contacts.update(own["contact_id"].to_list())
        held = collect_spellings(table, definition.default_country)
        held = held.drop_nulls(["contact", "value"]).select("contact", "type", "value")
        theirs = held.join(own, on="contact", how="semi").select("type", "value").unique()
        self.identifiers.update(theirs.iter_rows())
        holders = held.join(theirs, on=["type", "value"], how="semi").join(ids, on="contact")["contact_id"]
        self.sharing.update(set(holders.to_list()) - set(wanted))

"""What a contact says about the logs: each side proves that its own only grew, and cosigns the other's (DESIGN §9).

The answering side:                             The calling side, for one sync:

    heads = answer_heads(peer, partner, heads)      talk = LogTalk(peer, partner)
                                                    message = talk.outgoing();  talk.take(response)

For each agreement a head carries the sender's checkpoint, a proof that it grew from the size at which the receiver last
saw it, and the receiver's own checkpoint as the sender last saw it, cosigned. The receiver

1. compares the checkpoint it is said to have signed with its own log: where the log does not contain it, this store is
   older than what it signed, or was changed;
2. compares the sender's checkpoint with the one it remembers: the same size must have the same root; a proof from the
   remembered size must hold, and then the checkpoint is cosigned and remembered; a proof from another size says
   nothing, as it may come of an answer that was lost, and the sender learns from the answer where to start from.

A checkpoint is stored before it leaves, so a sender that cannot prove from where the receiver says it last saw the log
has lost what it signed, whatever was interrupted. It then says so by a head without a note. Both sides keep the
evidence as an entry of the agreement's log (``mutuals.runs.log_faults``). Nothing here adds entries otherwise, but for
the head of the peer's own log where that grew; so checkpoints do not make logs grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mutuals.audit.merkle import EMPTY_ROOT, BadProof, Tree, verify_consistency
from mutuals.audit.notes import BadNote, Checkpoint, parse_checkpoint, parse_note
from mutuals.audit.tree import Trees, cosign_head, cosigner, log_key, read_head, sign_head
from mutuals.errors import ErrorCode, PartnerFault
from mutuals.identity.partners import partner_log_key
from mutuals.models.agreement import AgreementState
from mutuals.protocol.messages import LogHead
from mutuals.runs.log_faults import (
    CLEARED,
    FAULT,
    FORKED,
    OWN_LOG_CHANGED,
    ROLLED_BACK,
    LogFault,
    open_faults,
)
from mutuals.store.rows import AgreementRow, CheckpointRow, PartnerRow

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

MAX_HEADS = 64
"""Of more agreements with one partner, those whose logs grew come first."""

MAX_ROUNDS = 16
"""A sync says no more about the logs than in so many messages, whatever the partner answers."""

PEER_LOG = "log.peer"
"""The entry by which an agreement's log covers the peer's own: size and root."""

_COVERED = frozenset({AgreementState.ACTIVE, AgreementState.SUSPENDED, AgreementState.ENDED})

Sizes = Mapping[str, int]
"""Digest of an agreement → size at which the partner last saw the own log."""


@dataclass(frozen=True)
class Taken:
    """What a message about the logs brought: where the partner last saw ours, and how many of its were cosigned."""

    seen: dict[str, int]
    cosigned: int
    refused: frozenset[str]


def answer_heads(peer: Peer, partner: PartnerRow, heads: Iterable[LogHead]) -> tuple[LogHead, ...]:
    """Take what ``partner`` says about the logs; the answer, which proves from where it last saw ours.

    Raises PartnerFault where a checkpoint is malformed or not signed as it should be.
    """
    with peer.store.transaction() as tx:
        trees = Trees(tx, peer)
        taken = take_heads(tx, peer, partner, heads, trees)
        return own_heads(tx, peer, partner, taken.seen, trees)


class LogTalk:
    """The calling side's part of one sync about the logs shared with ``partner``.

    ``refused`` says whether the partner, in its last answer, did not accept one of the own logs.
    """

    def __init__(self, peer: Peer, partner: PartnerRow) -> None:
        self._peer = peer
        self._partner = partner
        self._rounds = 0
        self._seen: Sizes | None = None
        self._sent: dict[str, int] = {}
        self._open = True
        self.refused = False

    @property
    def settled(self) -> bool:
        """Whether nothing is left to say, as far as this side knows."""
        return not self._open

    def outgoing(self) -> tuple[LogHead, ...] | None:
        """The heads for the next message; nothing once more would not help."""
        if self._rounds >= MAX_ROUNDS:
            self._open = False
            return None
        self._rounds += 1
        with self._peer.store.transaction() as tx:
            heads = own_heads(tx, self._peer, self._partner, self._seen, Trees(tx, self._peer))
        self._sent = {head.agreement.hex(): _size(head.note) for head in heads if head.note}
        return heads

    def take(self, heads: tuple[LogHead, ...] | None) -> None:
        """Take the answer. Raises PartnerFault as ``answer_heads`` does."""
        if heads is None:  # a release that knows nothing of logs
            self._open = False
            return
        with self._peer.store.transaction() as tx:
            taken = take_heads(tx, self._peer, self._partner, heads, Trees(tx, self._peer))
        unproven = {
            digest: size
            for digest, size in taken.seen.items()
            if digest not in taken.refused and self._sent.get(digest) != size
        }
        # Again where the partner is to learn that it was cosigned, or asked for a proof from somewhere else.
        self._open = bool(taken.cosigned) or (bool(unproven) and taken.seen != self._seen)
        self._seen = taken.seen
        self.refused = bool(taken.refused)


def own_heads(
    tx: Transaction, peer: Peer, partner: PartnerRow, seen: Sizes | None, trees: Trees
) -> tuple[LogHead, ...]:
    """Where the own logs stand that are shared with ``partner``: signed, and stored before they leave.

    ``seen`` is where the partner said that it last saw them; without it, where it last cosigned them.
    """
    rows = {row.digest: row for row in tx.agreements.list() if row.partner == partner.fingerprint}
    for row in rows.values():
        _cover_own_log(tx, peer, row, trees.of(None))
        _check_against_signed(tx, peer, row, trees.of(row.digest))
    faults = open_faults(tx, partner.fingerprint)
    lost = {fault.agreement: fault for fault in faults if fault.own}
    refused = {fault.agreement for fault in faults if not fault.own}
    heads = []
    for digest in {**dict.fromkeys(rows), **dict.fromkeys(lost)}:
        latest = tx.checkpoints.latest(digest, own=True)
        base = seen.get(digest, 0) if seen is not None else _cosigned_size(tx, digest)
        head = LogHead(bytes.fromhex(digest), b"", base, (), _seen_note(tx, digest), digest in refused)
        if digest in lost:
            heads.append(head if seen is not None else replace(head, base=lost[digest].size))
            continue
        tree = trees.of(digest)
        if latest is None or latest.size != tree.size:
            latest = _issue(tx, peer, digest, tree)
        proof = tree.consistency(base, tree.size) if base <= tree.size else ()
        heads.append(replace(head, note=latest.note, proof=proof))
    # Where there are too many, those come first that the partner has not seen as they are now.
    heads.sort(key=lambda head: bool(head.note) and _size(head.note) == head.base)
    return tuple(heads[:MAX_HEADS])


def take_heads(
    tx: Transaction, peer: Peer, partner: PartnerRow, heads: Iterable[LogHead], trees: Trees
) -> Taken:
    """Verify what ``partner`` says about the logs, cosign what only grew, and record what did not.

    Raises PartnerFault (BAD_MESSAGE) where a checkpoint is malformed or not signed as it should be.
    """
    taking = _Taking(tx, peer, partner, trees)
    refused = set()
    for head in heads:
        try:
            taking.take(head)
        except BadNote as error:
            raise PartnerFault(
                ErrorCode.BAD_MESSAGE, f"{partner.name} sent a checkpoint that is not sound: {error}."
            ) from error
        if head.refused:
            refused.add(head.agreement.hex())
    return Taken(taking.seen, taking.cosigned, frozenset(refused))


@dataclass
class _Taking:
    """One message being taken, in its transaction."""

    tx: Transaction
    peer: Peer
    partner: PartnerRow
    trees: Trees
    seen: dict[str, int] = field(default_factory=dict)
    cosigned: int = 0

    def __post_init__(self) -> None:
        self._own = self.peer.fingerprint.hex()
        self._key = partner_log_key(self.partner)

    def take(self, head: LogHead) -> None:
        digest = head.agreement.hex()
        row = self.tx.agreements.get(digest)
        if row is not None and row.partner != self.partner.fingerprint:
            return
        if head.seen:
            self._take_own(digest, head.seen, known=row is not None)
        elif row is not None:
            self.seen[digest] = 0
        if row is not None:
            self._take_theirs(digest, head)

    def _take_own(self, digest: str, note: bytes, *, known: bool) -> None:
        """What the partner cosigned of our log: it must still be in it."""
        checkpoint = read_head(
            note,
            log_key(self._own, digest, self.peer.log_key.public),
            cosigner(self.partner.fingerprint, self._key),
        )
        self.seen[digest] = checkpoint.size
        tree = self.trees.of(digest) if known else Tree()
        if checkpoint.size <= tree.size and tree.root(checkpoint.size) == checkpoint.root:
            self._keep_cosigned(digest, checkpoint, note)
            return
        if any(fault.own and fault.agreement == digest for fault in self._faults()):
            return
        if self._declared_void(digest, note):
            return
        latest = self.tx.checkpoints.latest(digest, own=True)
        record_fault(
            self.tx,
            self.peer,
            LogFault(
                agreement=digest,
                partner=self.partner.fingerprint,
                own=True,
                kind=ROLLED_BACK if checkpoint.size > tree.size else FORKED,
                size=checkpoint.size,
                known=note.decode(),
                shown="" if latest is None else latest.note.decode(),
                at=self.peer.clock(),
            ),
            self.partner.name,
        )

    def _keep_cosigned(self, digest: str, checkpoint: Checkpoint, note: bytes) -> None:
        held = self.tx.checkpoints.at(digest, own=True, size=checkpoint.size)
        if held is not None and held.cosignature is not None:
            return
        parsed = parse_note(note)
        name = cosigner(self.partner.fingerprint, self._key).name
        line = "".join(one.line() for one in parsed.signatures if one.name == name).encode()
        if held is not None:
            self.tx.checkpoints.cosign(digest, checkpoint.size, line)
            return
        plain = replace(parsed, signatures=tuple(one for one in parsed.signatures if one.name != name))
        at = self.peer.clock()
        row = CheckpointRow(digest, True, checkpoint.size, checkpoint.root, plain.encode(), at, line)
        self.tx.checkpoints.put(row)

    def _declared_void(self, digest: str, note: bytes) -> bool:
        """Whether an operator has cleared the fault that this very checkpoint was."""
        cleared = False
        for row in reversed(self.tx.log.of(digest)):
            cleared = cleared or row.event == CLEARED
            if cleared and row.event == FAULT and row.body["own"] and row.body["known"] == note.decode():
                return True
        return False

    def _take_theirs(self, digest: str, head: LogHead) -> None:
        """The partner's head: cosigned if it begins with what is remembered."""
        if any(not fault.own and fault.agreement == digest for fault in self._faults()):
            return
        remembered = self.tx.checkpoints.latest(digest, own=False)
        if not head.note:
            if remembered is not None and head.base == remembered.size:
                self._fault(digest, remembered, b"", ROLLED_BACK)
            return
        checkpoint = read_head(head.note, log_key(self.partner.fingerprint, digest, self._key))
        size, root = (remembered.size, remembered.root) if remembered is not None else (0, EMPTY_ROOT)
        if remembered is not None and checkpoint.size == size:
            if checkpoint.root != root:
                self._fault(digest, remembered, head.note, FORKED)
            return
        if head.base != size:
            return
        try:
            verify_consistency(size, checkpoint.size, root, checkpoint.root, head.proof)
        except BadProof:
            if remembered is not None:
                kind = ROLLED_BACK if checkpoint.size < size else FORKED
                self._fault(digest, remembered, head.note, kind)
                return
            raise BadNote("a proof from nothing that is none") from None
        now = self.peer.clock()
        line = cosign_head(self.peer, head.note, now)
        row = CheckpointRow(digest, False, checkpoint.size, checkpoint.root, head.note, now, line)
        self.tx.checkpoints.put(row)
        self.cosigned += 1

    def _fault(self, digest: str, remembered: CheckpointRow, shown: bytes, kind: str) -> None:
        fault = LogFault(
            agreement=digest,
            partner=self.partner.fingerprint,
            own=False,
            kind=kind,
            size=remembered.size,
            known=with_cosignature(remembered).decode(),
            shown=shown.decode(),
            at=self.peer.clock(),
        )
        record_fault(self.tx, self.peer, fault, self.partner.name)

    def _faults(self) -> list[LogFault]:
        return open_faults(self.tx, self.partner.fingerprint)


def record_fault(tx: Transaction, peer: Peer, fault: LogFault, partner_name: str) -> None:
    """Keep the evidence in the agreement's log, and tell operators."""
    body = {
        "partner": fault.partner,
        "own": fault.own,
        "kind": fault.kind,
        "size": fault.size,
        "known": fault.known,
        "shown": fault.shown,
    }
    tx.log.append(fault.agreement, FAULT, body, fault.at)
    text = f"{fault.sentence(partner_name)} {fault.hint()}"
    tx.notifications.add(fault.agreement, text, ("admin", "auditor", "privacy_officer"), fault.at)


def with_cosignature(row: CheckpointRow) -> bytes:
    """A stored checkpoint as one note: its own signature, and the cosignature where there is one."""
    return row.note + (row.cosignature or b"")


def _seen_note(tx: Transaction, digest: str) -> bytes:
    remembered = tx.checkpoints.latest(digest, own=False)
    return b"" if remembered is None else with_cosignature(remembered)


def _cosigned_size(tx: Transaction, digest: str) -> int:
    sizes = [row.size for row in tx.checkpoints.list(digest) if row.own and row.cosignature is not None]
    return max(sizes, default=0)


def _size(note: bytes) -> int:
    return parse_checkpoint(parse_note(note).text).size


def _issue(tx: Transaction, peer: Peer, digest: str, tree: Tree) -> CheckpointRow:
    row = CheckpointRow(digest, True, tree.size, tree.root(), sign_head(peer, digest, tree), peer.clock())
    tx.checkpoints.put(row)
    return row


def _cover_own_log(tx: Transaction, peer: Peer, row: AgreementRow, own: Tree) -> None:
    """An entry with the head of the peer's own log, where that grew since the last one; a fault where it did not."""
    if row.state not in _COVERED:
        return
    last: dict[str, Any] | None = None
    for entry in tx.log.of(row.digest):
        if entry.event == CLEARED:
            last = None
        elif entry.event == PEER_LOG:
            last = entry.body
    head = {"size": own.size, "root": own.root().hex()}
    if last == head:
        return
    if last is not None and not (last["size"] <= own.size and own.root(last["size"]).hex() == last["root"]):
        _own_fault(tx, peer, row, OWN_LOG_CHANGED, last["size"], b"")
        return
    tx.log.append(row.digest, PEER_LOG, head, peer.clock())


def _check_against_signed(tx: Transaction, peer: Peer, row: AgreementRow, tree: Tree) -> None:
    """A log that does not contain its own last checkpoint is signed no more (c2sp.org/tlog-checkpoint)."""
    latest = tx.checkpoints.latest(row.digest, own=True)
    if latest is None or (latest.size <= tree.size and tree.root(latest.size) == latest.root):
        return
    kind = ROLLED_BACK if latest.size > tree.size else FORKED
    _own_fault(tx, peer, row, kind, latest.size, with_cosignature(latest))


def _own_fault(tx: Transaction, peer: Peer, row: AgreementRow, kind: str, size: int, known: bytes) -> None:
    """Record what this side found in its own store, unless a fault of this log is open already."""
    if any(fault.own and fault.agreement == row.digest for fault in open_faults(tx, row.partner)):
        return
    partner = tx.partners.get(row.partner)
    name = partner.name if partner is not None else "The partner"
    fault = LogFault(row.digest, row.partner, True, kind, size, known.decode(), "", peer.clock())
    record_fault(tx, peer, fault, name)

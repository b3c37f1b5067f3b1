"""A log with everything signed over it in one file, which a third party checks with nothing but the two cards.

    data = export_bundle(tx, peer, digest)
    reports = verify_bundles([data], [own_card, partner_card])

JSON, indented for people to read. It holds the agreement with its statements, the entries of its log, the checkpoints
of both sides, and proofs that each own checkpoint begins with the one before. No contact, nor a hash of one, is in an
entry. The peer's own log stays out: it names other partners.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mutuals.audit.merkle import MAX_PROOF, BadProof, Tree, verify_consistency
from mutuals.audit.notes import BadNote, Checkpoint, NoteKey, parse_checkpoint, parse_note
from mutuals.audit.stored import held_log
from mutuals.audit.tree import Entry, cosigner, log_key
from mutuals.audit.verify import HeldLog, Report, SignedStatement, cross_check, verify_log
from mutuals.crypto.signing import VerifyKey
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.cards import fingerprint_of
from mutuals.models.agreement import Side
from mutuals.models.card import Hex32, SignedCard
from mutuals.wording import log_entries

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

MAX_BUNDLE_BYTES = 256 * 1024 * 1024

NoteText = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BundleEntry(_Strict):
    """An entry as its leaf has it."""

    seq: int = Field(ge=1)
    event: str
    body: dict[str, Any]
    at: str
    salt: Hex32


class BundleCheckpoint(_Strict):
    """A checkpoint with its signatures, and the proof (hashes in hex) that it begins with the one before."""

    note: NoteText
    consistency: tuple[Hex32, ...] = Field(max_length=MAX_PROOF)


class BundleStatement(_Strict):
    """A side's statement: the canonical JSON that was signed, and the signature in hex."""

    side: Side
    body: str
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]


class Bundle(_Strict):
    """The file. ``log_key`` and ``cosigner_key`` are for others' tools; cards decide, not they."""

    format: Literal["mutuals/v1/audit-bundle"] = "mutuals/v1/audit-bundle"
    agreement: Hex32
    peer: Hex32
    partner: Hex32
    log_key: str
    cosigner_key: str
    document: str | None
    statements: tuple[BundleStatement, ...]
    entries: tuple[BundleEntry, ...]
    checkpoints: tuple[BundleCheckpoint, ...]
    partner_checkpoints: tuple[NoteText, ...]


def export_bundle(tx: Transaction, peer: Peer, agreement: str) -> bytes:
    """The bundle of one agreement's log (digest), as it is: nothing is checked here.

    Raises MutualsError (AGREEMENT_UNKNOWN) where the agreement is not in the store.
    """
    log = held_log(tx, peer, agreement)
    if log.partner is None:
        raise MutualsError(ErrorCode.AGREEMENT_UNKNOWN, "There is no such agreement in the store.")
    row = tx.partners.get(log.partner)
    bundle = Bundle(
        agreement=agreement,
        peer=log.owner,
        partner=log.partner,
        log_key=log_key(log.owner, agreement, log.key).text(),
        cosigner_key=_cosigner_key(log.partner, row.signed_card) if row is not None else "",
        document=None if log.document is None else log.document.decode(),
        statements=tuple(
            BundleStatement(side=one.side, body=one.body.decode(), signature=one.signature.hex())
            for one in log.statements
        ),
        entries=tuple(
            BundleEntry(seq=one.seq, event=one.event, body=one.body, at=one.at, salt=one.salt)
            for one in log.entries
        ),
        checkpoints=_with_proofs(log),
        partner_checkpoints=tuple(note.decode() for note in log.seen),
    )
    return (json.dumps(bundle.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n").encode()


def parse_bundle(data: bytes) -> Bundle:
    """The bundle in ``data``. Raises MutualsError (INPUT_QUALITY) naming the key at fault."""
    if len(data) > MAX_BUNDLE_BYTES:
        raise MutualsError(ErrorCode.INPUT_QUALITY, "The file is larger than any bundle.")
    try:
        return Bundle.model_validate_json(data)
    except (ValidationError, RecursionError) as error:
        place = ""
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            names = [str(part) for part in first["loc"] if str(part).isidentifier() or isinstance(part, int)]
            place = f": see {'.'.join(names)}" if names else ""
        raise MutualsError(
            ErrorCode.INPUT_QUALITY,
            f"The file is no bundle of a log{place}.",
            hint="A peer writes one with: mutuals audit export AGREEMENT --out FILE",
        ) from None


def verify_bundles(bundles: Sequence[bytes], cards: Sequence[SignedCard]) -> list[Report]:
    """Check each bundle against the cards, and two of one agreement against each other.

    Raises MutualsError: INPUT_QUALITY for a file that is none, PEER_IDENTITY where the card of a bundle's peer is
    missing.
    """
    keys = {fingerprint_of(one.card).hex(): VerifyKey(bytes.fromhex(one.card.log_key)) for one in cards}
    names = {fingerprint_of(one.card).hex(): one.card.organisation for one in cards}
    reports, logs = [], []
    for data in bundles:
        bundle = parse_bundle(data)
        if bundle.peer not in keys:
            raise MutualsError(
                ErrorCode.PEER_IDENTITY,
                f"The log is by the peer with fingerprint {bundle.peer[:8]}…, whose card was not given.",
                hint="Give the cards of both peers: --card FILE --card FILE",
            )
        log = _held(bundle, keys[bundle.peer])
        report = verify_log(log, keys.get(bundle.partner))
        _verify_proofs(bundle, report)
        report.whose = names[bundle.peer]
        reports.append(report)
        logs.append(log)
    if len(logs) == 2 and logs[0].agreement == logs[1].agreement and logs[0].owner == logs[1].partner:
        reports.append(cross_check(logs[0], logs[1]))
    return reports


def _held(bundle: Bundle, key: VerifyKey) -> HeldLog:
    operators: set[str] = set()
    for statement in bundle.statements:
        try:
            signed = json.loads(statement.body)["operators"]
            operators.update(str(one["public_key"]) for one in signed)
        except (ValueError, KeyError, TypeError, RecursionError):  # the check of the statements says so
            continue
    return HeldLog(
        agreement=bundle.agreement,
        owner=bundle.peer,
        partner=bundle.partner,
        key=key,
        entries=tuple(Entry(one.seq, one.event, one.body, one.at, one.salt) for one in bundle.entries),
        checkpoints=tuple(one.note.encode() for one in bundle.checkpoints),
        seen=tuple(note.encode() for note in bundle.partner_checkpoints),
        document=None if bundle.document is None else bundle.document.encode(),
        statements=tuple(
            SignedStatement(one.side, one.body.encode(), bytes.fromhex(one.signature))
            for one in bundle.statements
        ),
        operators=frozenset(operators),
    )


def _with_proofs(log: HeldLog) -> tuple[BundleCheckpoint, ...]:
    tree = Tree(entry.leaf() for entry in log.entries)
    before = 0
    found = []
    for note in log.checkpoints:
        size = _head(note).size
        proof = tree.consistency(before, size) if before <= size <= tree.size else ()
        found.append(BundleCheckpoint(note=note.decode(), consistency=tuple(one.hex() for one in proof)))
        before = size
    return tuple(found)


def _verify_proofs(bundle: Bundle, report: Report) -> None:
    before = None
    for one in bundle.checkpoints:
        try:
            head = _head(one.note.encode())
        except BadNote:  # which the check of the notes has said
            return
        proof = tuple(bytes.fromhex(value) for value in one.consistency)
        if before is not None:
            try:
                verify_consistency(before.size, head.size, before.root, head.root, proof)
            except BadProof as error:
                report.problems.append(f"the proof of its checkpoint of {log_entries(head.size)}: {error}")
                return
            report.add("consistency proofs")
        before = head


def _head(note: bytes) -> Checkpoint:
    return parse_checkpoint(parse_note(note).text)


def _cosigner_key(fingerprint: str, card: bytes) -> str:
    key: NoteKey = cosigner(
        fingerprint, VerifyKey(bytes.fromhex(SignedCard.model_validate_json(card).card.log_key))
    )
    return key.text()

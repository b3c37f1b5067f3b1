"""Recomputing a log from its entries, against every signature there is over it.

    report = verify_log(log, partner_log_key)     # of a store (``mutuals.audit.stored``) or of a bundle

1. Entries give the root of every own checkpoint, each signed by the own log key.
2. Every cosignature is the partner's, over that very checkpoint.
3. Every checkpoint of the partner's log is signed by it, and cosigned by this side.
4. Every operator's signature in an entry is right, and its key one that is known.
5. Document and statements of the agreement are what both peers signed.
6. What the entries hold against one of the logs (``mutuals.runs.log_faults``) was cleared.

Pure: nothing is read, and nobody is asked. What could not be checked is said, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mutuals.agreement.document import agreement_digest, parse_agreement
from mutuals.agreement.statements import BadStatement, verify_statement
from mutuals.audit.heads import PEER_LOG
from mutuals.audit.merkle import Tree
from mutuals.audit.notes import BadNote, Checkpoint, parse_note
from mutuals.audit.tree import Entry, cosigner, log_key, read_head
from mutuals.crypto.signing import VerifyKey
from mutuals.identity.acts import verify_act
from mutuals.models.agreement import Side
from mutuals.runs.log_faults import CLEARED, FAULT
from mutuals.shortid import short_id
from mutuals.wording import counted, log_entries


@dataclass(frozen=True)
class SignedStatement:
    """A side's statement over the agreement: its canonical body and the peer's signature (64 bytes)."""

    side: Side
    body: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True)
class HeldLog:
    """A log as somebody holds it, with what was signed over it.

    ``agreement`` is the digest, or nothing for the peer's own log; ``owner`` and ``partner`` are fingerprints, ``key``
    is the owner's log key. ``checkpoints`` are the owner's notes with cosignatures, ``seen`` the partner's notes with
    the owner's cosignature; ``operators`` are signing keys (hex) of operators that are known.
    """

    agreement: str | None
    owner: str
    partner: str | None
    key: VerifyKey
    entries: tuple[Entry, ...] = field(repr=False)
    checkpoints: tuple[bytes, ...] = field(repr=False, default=())
    seen: tuple[bytes, ...] = field(repr=False, default=())
    document: bytes | None = field(repr=False, default=None)
    statements: tuple[SignedStatement, ...] = field(repr=False, default=())
    operators: frozenset[str] = field(repr=False, default=frozenset())

    @property
    def name(self) -> str:
        """What a person calls it."""
        return "own log" if self.agreement is None else short_id("A", bytes.fromhex(self.agreement))


@dataclass
class Report:
    """What a check of one log found: what was right and how often, what is wrong, what nothing here can tell.

    ``whose`` is the organisation that wrote the log, where a card says so.
    """

    name: str
    right: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    whose: str | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def add(self, what: str, count: int = 1) -> None:
        """Note that ``count`` of ``what`` were checked and right."""
        self.right[what] = self.right.get(what, 0) + count


def verify_log(log: HeldLog, partner_key: VerifyKey | None) -> Report:
    """Check ``log`` with what it carries; ``partner_key`` is the log key on the partner's card, if at hand."""
    report = Report(log.name)
    tree = _tree(log, report)
    if tree is None:
        return report
    report.add("entries", tree.size)
    cosigned = _checkpoints(log, tree, partner_key, report)
    _seen(log, partner_key, report)
    _acts(log, report)
    _agreement(log, report)
    _faults(log, report)
    if log.agreement is not None and tree.size > cosigned:
        report.unchecked.append(
            f"{tree.size - cosigned} of {log_entries(tree.size)} not cosigned yet, with this side's word alone"
        )
    return report


def verify_own_log(log: HeldLog, covering: Iterable[Iterable[Entry]]) -> Report:
    """Check the peer's own log against the heads of it in the logs of agreements, which partners cosign."""
    report = Report(log.name)
    tree = _tree(log, report)
    if tree is None:
        return report
    report.add("entries", tree.size)
    largest = 0
    for entries in covering:
        for entry, forgiven in _own_heads(entries):
            size, root = entry.body.get("size"), entry.body.get("root")
            if not isinstance(size, int) or not 0 <= size <= tree.size or tree.root(size).hex() != root:
                first = log_entries(size) if isinstance(size, int) else "entries"
                if forgiven:
                    report.unchecked.append(f"its first {first}, whose change an operator has cleared")
                    continue
                report.problems.append(
                    f"it does not have the first {first} that an agreement's log covered on {entry.at[:10]}: "
                    "one of them was changed, removed, added or moved"
                )
                continue
            largest = max(largest, size)
            report.add("heads in agreements' logs")
    _acts(log, report)
    if tree.size > largest:
        report.unchecked.append(
            f"{tree.size - largest} of {log_entries(tree.size)} covered by no agreement's log yet"
        )
    return report


def _own_heads(entries: Iterable[Entry]) -> list[tuple[Entry, bool]]:
    """The heads of the own log in an agreement's, and whether an operator has since cleared that they do not fit."""
    heads: list[Entry] = []
    forgiven = 0
    fault = False
    for entry in entries:
        if entry.event == PEER_LOG:
            heads.append(entry)
        elif entry.event == FAULT and entry.body.get("own"):
            fault = True
        elif entry.event == CLEARED and fault:
            forgiven, fault = len(heads), False
    return [(entry, number < forgiven) for number, entry in enumerate(heads)]


def cross_check(one: HeldLog, other: HeldLog) -> Report:
    """Check what each side remembers of the other's log against that log, where both are at hand."""
    report = Report(f"{one.name}, both sides")
    for mine, theirs in ((one, other), (other, one)):
        try:
            tree = Tree(entry.leaf() for entry in theirs.entries)
        except ValueError:
            report.problems.append("an entry cannot be read")
            return report
        for note in mine.seen:
            try:
                head = read_head(note, log_key(theirs.owner, theirs.agreement, theirs.key))
            except BadNote as error:
                report.problems.append(f"a remembered checkpoint is {error}")
                continue
            if head.size > tree.size or tree.root(head.size) != head.root:
                report.problems.append(
                    f"one side remembers {log_entries(head.size)} of the other's log that the other's log does not have"
                )
            else:
                report.add("remembered checkpoints")
    counts = [
        {
            entry.body.get("sid"): (entry.body.get("th"), entry.body.get("count"))
            for entry in log.entries
            if entry.event == "run.counted"
        }
        for log in (one, other)
    ]
    for sid in counts[0].keys() & counts[1].keys():
        if counts[0][sid] == counts[1][sid]:
            report.add("runs with one transcript")
        else:
            report.problems.append("the two logs record another transcript or count for the same run")
    return report


def _tree(log: HeldLog, report: Report) -> Tree | None:
    if [entry.seq for entry in log.entries] != list(range(1, len(log.entries) + 1)):
        report.problems.append("its entries are not numbered one after the other")
        return None
    try:
        return Tree(entry.leaf() for entry in log.entries)
    except ValueError:
        report.problems.append("an entry cannot be read")
        return None


def _checkpoints(log: HeldLog, tree: Tree, partner_key: VerifyKey | None, report: Report) -> int:
    """The largest size that the partner cosigned, or nobody: 0."""
    own = log_key(log.owner, log.agreement, log.key)
    other = cosigner(log.partner, partner_key) if log.partner and partner_key is not None else None
    cosigned = 0
    for note in log.checkpoints:
        try:
            cosigner_of = other if len(parse_note(note).signatures) > 1 else None
            head = read_head(note, own) if cosigner_of is None else read_head(note, own, cosigner_of)
        except BadNote as error:
            report.problems.append(f"a checkpoint of it is {error}")
            continue
        if not _fits(head, tree):
            report.problems.append(
                f"its checkpoint of {log_entries(head.size)}"
                " does not fit: one of them was changed, removed, added or moved"
            )
            continue
        report.add("own checkpoints")
        if cosigner_of is not None:
            report.add("cosignatures of the partner")
            cosigned = max(cosigned, head.size)
    if log.checkpoints and partner_key is None:
        report.unchecked.append("cosignatures: the partner's card is not at hand")
    return cosigned


def _fits(head: Checkpoint, tree: Tree) -> bool:
    return head.size <= tree.size and tree.root(head.size) == head.root


def _seen(log: HeldLog, partner_key: VerifyKey | None, report: Report) -> None:
    if not log.seen or log.partner is None:
        return
    if partner_key is None:
        report.unchecked.append("checkpoints of the partner's log: its card is not at hand")
        return
    keys = (log_key(log.partner, log.agreement, partner_key), cosigner(log.owner, log.key))
    sizes: dict[int, bytes] = {}
    for note in log.seen:
        try:
            head = read_head(note, *keys)
        except BadNote as error:
            report.problems.append(f"a remembered checkpoint of the partner's log is {error}")
            continue
        if sizes.setdefault(head.size, head.root) != head.root:
            report.problems.append(f"the partner signed two logs of {log_entries(head.size)}")
            continue
        report.add("checkpoints of the partner's log")
    report.unchecked.append("what the partner's log says: only the partner has its entries")


def _acts(log: HeldLog, report: Report) -> None:
    """Signatures of operators, wherever an entry carries one."""
    strangers = 0
    for entry in log.entries:
        if "act" not in entry.body and "act_signature" not in entry.body:
            continue
        key = signer(entry)
        if key is None:
            report.problems.append(
                f"the operator's signature of entry {entry.seq} ({entry.event}) does not fit"
            )
            continue
        report.add("operators' signatures")
        strangers += key not in log.operators
    if strangers:
        report.unchecked.append(
            f"{counted(strangers, 'signature is', 'signatures are')} by operators' keys that neither the "
            "agreement nor this peer names: whose they "
            "are is the word of who wrote the entry"
        )


def signer(entry: Entry) -> str | None:
    """The key (hex) that signed the act in ``entry``, or nothing where the signature does not fit."""
    body: dict[str, Any] = entry.body
    try:
        return verify_act(str(body["act"]).encode(), bytes.fromhex(str(body["act_signature"]))).public_key
    except (KeyError, ValueError):
        return None


def _agreement(log: HeldLog, report: Report) -> None:
    if log.agreement is None or log.document is None:
        return
    try:
        document = parse_agreement(log.document)
        if agreement_digest(log.document) != log.agreement:
            raise ValueError("another document")
    except ValueError:
        report.problems.append("the agreement's document is not the one that the log is about")
        return
    report.add("agreement's document")
    for statement in log.statements:
        try:
            verify_statement(statement.body, statement.signature, document, log.agreement, statement.side)
        except BadStatement as error:
            report.problems.append(f"the statement of the {statement.side.value}: {error}")
            continue
        report.add("statements over the agreement")


def _faults(log: HeldLog, report: Report) -> None:
    open_ones: list[Entry] = []
    for entry in log.entries:
        if entry.event == FAULT:
            open_ones.append(entry)
        elif entry.event == CLEARED and open_ones:
            report.add("faults cleared by an operator", len(open_ones))
            open_ones = []
    for entry in open_ones:
        whose = "this log" if entry.body.get("own") else "the partner's log"
        report.problems.append(
            f"on {entry.at[:10]} {whose} lacked {entry.body.get('size')} entries that had been cosigned, "
            "and nobody has cleared that"
        )

"""At every contact each side shows that its logs only grew; a copy put back, or a changed log, is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from support.audit import (
    LineBroke,
    change,
    checkpoints,
    entries,
    meet,
    overwrite,
    put_back,
    save,
    write_entry,
)
from support.pairing import Company, Pair, contact, paired

from mutuals.audit.clearing import clear_faults
from mutuals.audit.heads import PEER_LOG, answer_heads, own_heads
from mutuals.audit.notes import Checkpoint, Note, parse_checkpoint, parse_note, sign_note
from mutuals.audit.tree import Trees, origin
from mutuals.crypto.signing import SigningKey
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.models.agreement import Side
from mutuals.protocol.messages import LogHead
from mutuals.runs.log_faults import CLEARED, FAULT, LogFault, open_faults

ROWS = [contact(str(number), f"person{number}@example.com") for number in range(3)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, dict[Side, Path]]]:
    """Two companies with an agreement who have not met since, and copies of their stores."""
    folder = tmp_path_factory.mktemp("pair")
    with paired(folder, dict.fromkeys(Side, ROWS)) as made:
        yield made, {side: save(one, folder / side.value) for side, one in made.sides.items()}


@pytest.fixture
def pair(saved: tuple[Pair, dict[Side, Path]]) -> Pair:
    made, copies = saved
    for side, company in made.sides.items():
        overwrite(company, copies[side])
    return made


def settled(one: Company, other: Company, digest: str) -> None:
    """Both logs are cosigned as they are now, and both sides know it."""
    for own, partner in ((one, other), (other, one)):
        mine = checkpoints(own, digest, own=True)[-1]
        seen = checkpoints(partner, digest, own=False)[-1]
        assert (mine.size, mine.root, mine.cosignature) == (seen.size, seen.root, seen.cosignature)
        assert mine.size == len(entries(own, digest))


def faults(company: Company) -> list[LogFault]:
    with company.peer.store.transaction() as tx:
        return open_faults(tx)


def test_one_contact_cosigns_both_logs(pair: Pair) -> None:
    result = meet(pair.left, pair.right)
    assert (result.faults, result.refused_logs) == ((), False)
    settled(pair.left, pair.right, pair.digest)
    (covering,) = [entry for entry in entries(pair.left, pair.digest) if entry.event == PEER_LOG]
    assert covering.body["size"] == len(entries(pair.left, None))


def test_contacts_alone_do_not_make_logs_grow(pair: Pair) -> None:
    meet(pair.left, pair.right)
    before = [entries(side, log) for side in (pair.left, pair.right) for log in (pair.digest, None)]
    for calling, answering in ((pair.left, pair.right), (pair.right, pair.left)):
        meet(calling, answering)
    assert [entries(side, log) for side in (pair.left, pair.right) for log in (pair.digest, None)] == before
    assert len(checkpoints(pair.left, pair.digest, own=True)) == 1


def test_the_logs_grow_and_are_cosigned_again(pair: Pair) -> None:
    for number in range(3):
        write_entry(pair.left, pair.digest, number=number)
        write_entry(pair.right, None, number=number)
        meet(*((pair.left, pair.right) if number % 2 else (pair.right, pair.left)))
        settled(pair.left, pair.right, pair.digest)
    assert len(checkpoints(pair.right, pair.digest, own=False)) == 3


@pytest.mark.parametrize(("lost", "which"), list(product(range(3), ("request", "answer"))))
def test_a_lost_message_is_no_false_alarm(pair: Pair, lost: int, which: str) -> None:
    meet(pair.left, pair.right)
    for _ in range(2):
        for side in (pair.left, pair.right):
            write_entry(side, pair.digest)
            write_entry(side, None)
        with suppress(LineBroke):
            meet(pair.left, pair.right, lambda number, what: (number, what) == (lost, which))
        write_entry(pair.left, pair.digest)
    for calling, answering in ((pair.left, pair.right), (pair.right, pair.left)):
        assert meet(calling, answering).faults == ()
    assert faults(pair.left) == faults(pair.right) == []
    settled(pair.left, pair.right, pair.digest)


def test_messages_of_two_contacts_at_once_are_no_false_alarm(pair: Pair) -> None:
    """A head that is late, because another contact went ahead meanwhile, is not taken for an old one."""
    meet(pair.left, pair.right)
    write_entry(pair.left, pair.digest)

    def meanwhile(number: int, which: str) -> bool:
        if (number, which) == (0, "request"):
            write_entry(pair.left, pair.digest)
            meet(pair.right, pair.left)
        return False

    assert meet(pair.left, pair.right, meanwhile).faults == ()
    assert faults(pair.left) == faults(pair.right) == []
    settled(pair.left, pair.right, pair.digest)


def roll_back(pair: Pair, where: Path) -> None:
    """Left's store is put back to how it was before a contact."""
    meet(pair.left, pair.right)
    copy = save(pair.left, where / "yesterday.sqlite")
    write_entry(pair.left, pair.digest)
    meet(pair.left, pair.right)
    put_back(pair.left, copy)


@pytest.mark.parametrize("calls", ["the one rolled back", "its partner"])
@pytest.mark.parametrize("continued", [0, 5])
def test_yesterdays_copy_is_refused_at_the_next_contact(
    pair: Pair, tmp_path: Path, calls: str, continued: int
) -> None:
    roll_back(pair, tmp_path)
    for _ in range(continued):
        write_entry(pair.left, pair.digest, "test.other")
    ends = (pair.left, pair.right) if calls == "the one rolled back" else (pair.right, pair.left)
    result = meet(*ends)
    assert len(result.faults) == 1
    (mine,), (theirs,) = faults(pair.left), faults(pair.right)
    assert (mine.own, theirs.own) == (True, False)
    assert mine.known == theirs.known
    assert parse_checkpoint(parse_note(theirs.known.encode()).text).size == theirs.size == mine.size
    for side in (pair.left, pair.right):
        assert len([entry for entry in entries(side, pair.digest) if entry.event == FAULT]) == 1
    for calling, answering in ((pair.left, pair.right), (pair.right, pair.left)):
        meet(calling, answering)
        assert len(faults(pair.left)) == len(faults(pair.right)) == 1
    assert meet(pair.left, pair.right).refused_logs


def test_no_run_goes_on_with_a_log_rolled_back(pair: Pair, tmp_path: Path) -> None:
    run, _ = pair.match()
    roll_back(pair, tmp_path)
    meet(pair.left, pair.right)
    with pytest.raises(MutualsError) as refused:
        pair.match()
    assert refused.value.code is ErrorCode.LOG_ROLLED_BACK
    with pytest.raises(MutualsError) as refused:
        pair.reveal(run.run_id)
    assert refused.value.code is ErrorCode.LOG_ROLLED_BACK


def test_the_partners_server_refuses_too(pair: Pair, tmp_path: Path) -> None:
    """Also where the side that was rolled back has looked away."""
    roll_back(pair, tmp_path)
    meet(pair.left, pair.right)
    clear_faults(pair.left.peer, pair.digest, "Nothing to see.", pair.left.keys)
    with pytest.raises(MutualsError) as refused:
        pair.match()
    assert refused.value.code is ErrorCode.LOG_ROLLED_BACK
    assert "does not contain the" in refused.value.message


@pytest.mark.parametrize("first", ["left", "right"])
def test_both_operators_together_can_go_on(pair: Pair, tmp_path: Path, first: str) -> None:
    roll_back(pair, tmp_path)
    meet(pair.left, pair.right)
    order = [pair.left, pair.right] if first == "left" else [pair.right, pair.left]
    for side in order:
        (fault,) = clear_faults(side.peer, pair.digest, "The disk was lost on Monday.", side.keys)
        assert fault.own is (side is pair.left)
        meet(pair.left, pair.right)
        meet(pair.right, pair.left)
    assert faults(pair.left) == faults(pair.right) == []
    settled(pair.left, pair.right, pair.digest)
    (cleared,) = [entry for entry in entries(pair.right, pair.digest) if entry.event == CLEARED]
    assert cleared.body["reason"] == "The disk was lost on Monday."
    pair.match()


def test_the_newest_copy_put_back_needs_only_the_partner(pair: Pair, tmp_path: Path) -> None:
    meet(pair.left, pair.right)
    old = save(pair.left, tmp_path / "old.sqlite")
    write_entry(pair.left, pair.digest)
    meet(pair.left, pair.right)
    new = save(pair.left, tmp_path / "new.sqlite")
    put_back(pair.left, old)
    meet(pair.left, pair.right)
    put_back(pair.left, new)
    clear_faults(pair.right.peer, pair.digest, "They found the newest copy.", pair.right.keys)
    assert meet(pair.left, pair.right).faults == ()
    settled(pair.left, pair.right, pair.digest)


def test_a_copy_from_before_the_agreement_is_noticed(pair: Pair) -> None:
    meet(pair.left, pair.right)
    change(
        pair.left,
        ("DELETE FROM log", ()),
        ("DELETE FROM checkpoints", ()),
        ("DELETE FROM statements", ()),
        ("DELETE FROM authorisations", ()),
        ("DELETE FROM agreements", ()),
    )
    (fault,) = meet(pair.left, pair.right).faults
    assert fault.own
    assert [fault.own for fault in faults(pair.right)] == [False]


def test_a_log_changed_by_hand_is_signed_no_more(pair: Pair) -> None:
    meet(pair.left, pair.right)
    change(pair.left, ("UPDATE log SET event = 'test.other' WHERE seq = 4", ()))
    assert [fault.own for fault in meet(pair.left, pair.right).faults] == [True]
    assert [(fault.own, fault.kind) for fault in faults(pair.right)] == [(False, "rolled_back")]
    assert len(checkpoints(pair.left, pair.digest, own=True)) == 1


def test_a_log_rewritten_and_signed_anew_is_refused_by_the_partner(pair: Pair) -> None:
    meet(pair.left, pair.right)
    change(
        pair.left, ("UPDATE log SET event = 'test.other' WHERE seq = 4", ()), ("DELETE FROM checkpoints", ())
    )
    meet(pair.left, pair.right)
    assert [(fault.own, fault.kind) for fault in faults(pair.right)] == [(False, "forked")]


def crafted(pair: Pair, **changes: Any) -> LogHead:
    """What right would say to left, with ``changes``."""
    right, left = pair.right, pair.right.partner()
    with right.peer.store.transaction() as tx:
        heads = own_heads(tx, right.peer, left, None, Trees(tx, right.peer))
    (head,) = heads
    return replace(head, **changes)


def signed_head(
    company: Company, size: int, root: bytes, *, log: str, key: SigningKey | None = None
) -> bytes:
    """A checkpoint of one's own making."""
    text = Checkpoint(origin(company.peer.fingerprint.hex(), log), size, root).text()
    name = origin(company.peer.fingerprint.hex(), log)
    return Note(text, (sign_note(text, key or company.peer.log_key, name),)).encode()


def test_checkpoints_that_are_not_the_partners_are_refused(pair: Pair) -> None:
    meet(pair.left, pair.right)
    own = checkpoints(pair.left, pair.digest, own=True)[-1]
    bad: list[dict[str, Any]] = [
        {"note": b"nonsense"},
        {"note": signed_head(pair.right, 99, bytes(32), log=pair.digest, key=pair.left.peer.log_key)},
        {"note": signed_head(pair.right, 99, bytes(32), log=pair.digest, key=pair.right.peer.signing_key)},
        {"note": signed_head(pair.right, 99, bytes(32), log="00" * 32)},
        {"note": own.note},
        {"seen": b"nonsense"},
        {"seen": own.note},
        {"seen": signed_head(pair.left, 99, bytes(32), log=pair.digest, key=pair.right.peer.log_key)},
    ]
    for changes in bad:
        with pytest.raises(PartnerFault) as refused:
            answer_heads(pair.left.peer, pair.left.partner(), [crafted(pair, **changes)])
        assert refused.value.code is ErrorCode.BAD_MESSAGE
    assert faults(pair.left) == []
    settled(pair.left, pair.right, pair.digest)


def test_heads_of_what_is_not_shared_are_skipped(pair: Pair) -> None:
    meet(pair.left, pair.right)
    head = LogHead(bytes(32), signed_head(pair.right, 1, bytes(32), log="00" * 32), 0, (), b"")
    (answer,) = answer_heads(pair.left.peer, pair.left.partner(), [head])
    assert answer.agreement.hex() == pair.digest
    assert checkpoints(pair.left, "00" * 32, own=False) == []


@pytest.mark.parametrize("same_size", [True, False])
def test_a_partner_that_signs_two_logs_is_found_out(pair: Pair, same_size: bool) -> None:
    meet(pair.left, pair.right)
    seen = checkpoints(pair.left, pair.digest, own=False)[-1]
    size = seen.size if same_size else seen.size + 3
    note = signed_head(pair.right, size, bytes(32), log=pair.digest)
    head = crafted(pair, note=note, base=seen.size, proof=() if same_size else (bytes(32),) * 3)
    (answer,) = answer_heads(pair.left.peer, pair.left.partner(), [head])
    assert answer.refused
    (fault,) = faults(pair.left)
    assert (fault.own, fault.kind, fault.shown) == (False, "forked", note.decode())
    assert parse_note(fault.known.encode()).text == parse_note(seen.note).text

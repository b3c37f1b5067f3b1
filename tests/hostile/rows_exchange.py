"""Attacks on the exchange: authorisation, envelopes, acknowledgements, content (DESIGN §7)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hostile.attack import INITIATOR, RESPONDER, Attack, By, Cheat, Left, Row, Stage, play
from hostile.craft import STRANGER, envelope, on, on_nth, resealed, with_cheat
from hostile.rows_greeting import put
from hostile.wire import Alter
from hostile.world import PER_ENVELOPE, SHARED
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import Role, RunState
from mutuals.protocol.envelopes import NO_PREVIOUS, decode_records, envelope_digest
from mutuals.protocol.messages import Envelope, EnvelopeAck, ExchangeDone, ExchangeStart, SealedRecord
from mutuals.protocol.sealing import SEALED_SECRET_BYTES
from mutuals.runs.outgoing import stored_envelopes, to_envelope

BAD = ErrorCode.BAD_MESSAGE
Records = tuple[SealedRecord, ...]


def _sent(nth: int) -> By[int]:
    """How many of the honest side's records have left when the cheat's ``nth`` envelope arrives: they alternate."""
    return By(nth * PER_ENVELOPE, (nth + 1) * PER_ENVELOPE)


def _envelope(
    name: str, what: str, words: str, alter: Any, nth: int = 0, step: str = "§7", **more: Any
) -> Attack:
    more = {"records": _sent(nth), **more}
    return Attack(name, what, Stage.EXCHANGE, step, BAD, words, Left.RECORDS, alter=alter, **more)


# --- before the first record ----------------------------------------------------------------------------------------


def _friends_run(cheat: Cheat) -> None:
    cheat.notes_of["sid"] = cheat.world.friend_counts().sid


def _only_counted(cheat: Cheat) -> None:
    """A run between the two that was never revealed."""
    other = Cheat(cheat.world, Row(cheat.row.attack, INITIATOR))
    assert play(other, Stage.MATCH) is None
    other.close()
    cheat.notes_of["sid"] = cheat.company.run(other.run_id).sid


def _start_of(cheat: Cheat) -> ExchangeStart:
    return ExchangeStart(cheat.notes_of["sid"])


def _start(name: str, what: str, code: ErrorCode, words: str, **more: Any) -> Attack:
    more = {"state": RunState.REVEALED, "cheats": (INITIATOR,), **more}
    return Attack(name, what, Stage.EXCHANGE, "§7 start", code, words, Left.PROOF, **more)


STARTS = (
    _start(
        "records without authorisation",
        "It starts an exchange that nobody at the honest side has authorised.",
        ErrorCode.NOT_AUTHORISED_YET,
        "No operator of yours has authorised the exchange",
        agreement="ask",
    ),
    _start(
        "records before the reveal",
        "It starts the exchange of a run that was counted and no more.",
        ErrorCode.RUN_STATE,
        "",
        prepare=_only_counted,
        script=put(_start_of),
    ),
    _start(
        "records of somebody else's run",
        "It starts the exchange of the honest side's run with another partner.",
        ErrorCode.RUN_UNKNOWN,
        "did not start with us",
        prepare=_friends_run,
        script=put(_start_of),
    ),
    _start(
        "an answer for another run",
        "Asked for one run, it answers for another.",
        BAD,
        "answered for another run",
        alter=on(ExchangeStart, lambda m: [ExchangeStart(bytes(32))]),
        cheats=(RESPONDER,),
        state=RunState.FAILED,
    ),
)

# --- envelopes ------------------------------------------------------------------------------------------------------


def own_envelope(cheat: Cheat, number: int) -> Envelope:
    """The envelope of this number as the cheat's own software made it."""
    run = cheat.company.run(cheat.run_id)
    return to_envelope(stored_envelopes(cheat.company.peer, run)[number])


def _instead(number: int) -> Callable[[Cheat], Alter]:
    """The first envelope is another one."""
    return lambda cheat: on_nth(Envelope, 0, lambda m: [own_envelope(cheat, number)])(cheat)


def _replayed(cheat: Cheat) -> Alter:
    return on_nth(Envelope, 1, lambda m: [own_envelope(cheat, 0)])(cheat)


def _other_bytes(cheat: Cheat) -> Alter:
    """Number 0 once more, of other records."""
    return on_nth(
        Envelope,
        1,
        lambda m: [
            resealed(cheat.key, own_envelope(cheat, 0), records=lambda all_: (_spoilt(all_[0]), *all_[1:]))
        ],
    )(cheat)


def _spoilt(record: SealedRecord) -> SealedRecord:
    return replace(record, ciphertext=bytes(len(record.ciphertext)))


def _all_at_once(cheat: Cheat) -> Alter:
    run = cheat.company.run(cheat.run_id)

    def change(message: Envelope) -> list[Any]:
        rows = stored_envelopes(cheat.company.peer, run)
        records = tuple(record for row in rows for record in decode_records(row.records))
        return [resealed(cheat.key, message, records=lambda _: records, last=True)]

    return on_nth(Envelope, 0, change)(cheat)


def _leaves(cheat: Cheat) -> None:
    """Send one envelope, take what comes, and end the call."""

    def alter(message: Any) -> list[Any]:
        nonlocal count
        if isinstance(message, Envelope):
            count += 1
            if count == 2:
                raise MutualsError(ErrorCode.CANCELLED, "The cheat leaves.")
        return [message]

    count = 0
    cheat.line.alter = alter
    with suppress(MutualsError):
        cheat.follow(Stage.EXCHANGE, cheat.line)
    cheat.line.hang_up()
    cheat.line.wait_until_over()


def _first(change: Callable[[SealedRecord], SealedRecord]) -> Callable[[Records], Records]:
    return lambda records: (change(records[0]), *records[1:])


def _second(change: Callable[[SealedRecord], SealedRecord]) -> Callable[[Records], Records]:
    return lambda records: (records[0], change(records[1]), *records[2:])


ENVELOPES = (
    _envelope(
        "an envelope replayed",
        "It sends its first envelope again in place of its second, to be paid twice.",
        "whose acknowledgement it has",
        _replayed,
        1,
    ),
    _envelope(
        "envelopes in another order", "It begins with its second envelope.", "out of order", _instead(1)
    ),
    _envelope("envelopes from the end", "It begins with its last envelope.", "out of order", _instead(2)),
    _envelope(
        "the same number with other bytes",
        "It sends another envelope under a number that it has used.",
        "a second time with other content",
        _other_bytes,
        1,
    ),
    _envelope(
        "another predecessor",
        "Its second envelope does not follow its first.",
        "does not follow the one before it",
        envelope(1, previous=NO_PREVIOUS),
        1,
    ),
    _envelope(
        "records cut off",
        "It leaves out a record of those that it signed.",
        "other records than it signed",
        on_nth(Envelope, 0, lambda m: [replace(m, records=m.records[:-1])]),
    ),
    _envelope(
        "records changed",
        "It changes a record after signing.",
        "other records than it signed",
        on_nth(Envelope, 0, lambda m: [replace(m, records=_first(_spoilt)(m.records))]),
    ),
    _envelope(
        "truncated",
        "It says that its first envelope is its last.",
        "another number of records than it announced",
        envelope(0, last=True),
    ),
    _envelope(
        "fewer records than announced",
        "Its last envelope holds one record too few, and says so.",
        "another number of records than it announced",
        envelope(2, records=lambda records: records[:-1]),
        2,
    ),
    _envelope(
        "another total",
        "It changes its mind about how many records there are.",
        "changed its mind about their number",
        envelope(1, total=SHARED - 1),
        1,
    ),
    _envelope(
        "more records than pairs",
        "It announces a record more than there are pairs.",
        "more records than the overlap allows",
        envelope(0, total=SHARED + 1),
    ),
    _envelope(
        "no records",
        "It sends an envelope without records, though it announced some.",
        "no records or too many",
        envelope(0, records=lambda _: ()),
    ),
    _envelope(
        "all at once",
        "It sends all its records in one envelope.",
        "no records or too many",
        _all_at_once,
    ),
    _envelope(
        "sealed for another run",
        "Its envelope is signed for another run.",
        "made for another run",
        envelope(0, sid=b"\x01" * 32),
    ),
    _envelope(
        "sealed under another agreement",
        "Its envelope is signed for another agreement.",
        "made for another agreement",
        envelope(0, agreement=lambda _: b"\x01" * 32),
    ),
    _envelope(
        "sealed to another key",
        "Its envelope is for another receiving key.",
        "made for another receiving key",
        envelope(0, receiving_key=b"\x01" * 16),
    ),
    _envelope(
        "in the other direction",
        "Its envelope claims to come from the honest side's end.",
        "made for another direction",
        envelope(0, direction=lambda header: Role(header.direction).other),
    ),
    _envelope(
        "to somebody else",
        "Its envelope is addressed to another company.",
        "made for another recipient",
        envelope(0, recipient=b"\x01" * 32),
    ),
    _envelope(
        "signed by another",
        "Its envelope is signed by a key that is on no card.",
        "signature does not fit",
        on_nth(Envelope, 0, lambda m: [replace(m, signature=STRANGER.sign(m.header))]),
    ),
    _envelope(
        "an envelope echoed",
        "It sends the honest side's own envelope back.",
        "signature does not fit",
        lambda cheat: on_nth(
            Envelope, 1 if cheat.role is INITIATOR else 0, lambda m: [cheat.line.saw(Envelope)]
        )(cheat),
        records=PER_ENVELOPE,
    ),
    _envelope(
        "a header that is none",
        "It signs bytes that are no header.",
        "cannot be read",
        with_cheat(
            Envelope,
            lambda cheat, m: [replace(m, header=b"\x01" * 40, signature=cheat.key.sign(b"\x01" * 40))],
        ),
    ),
    _envelope(
        "a rank outside of the overlap",
        "It sends a record for a pair that does not exist.",
        "rank outside the overlap",
        envelope(0, records=_second(lambda record: replace(record, rank=SHARED))),
    ),
    _envelope(
        "further ranks outside of the overlap",
        "Its record names a further pair that does not exist.",
        "rank outside the overlap",
        envelope(0, records=_second(lambda record: replace(record, also=(2**32 - 1,)))),
    ),
    _envelope(
        "a rank twice",
        "It sends two records for one pair.",
        "two records for one rank",
        envelope(0, records=lambda records: (records[0], records[0])),
    ),
    _envelope(
        "another contact's rank",
        "Its record claims the pair of the next record as well.",
        "two records for the same rank",
        envelope(0, records=_first(lambda record: replace(record, also=(record.rank + 1,)))),
    ),
    _envelope(
        "ranks in another order",
        "Its records do not ascend.",
        "do not ascend by rank",
        envelope(0, records=lambda records: records[::-1]),
    ),
    _envelope(
        "another retention class",
        "It sends a record to be kept for longer than was agreed.",
        "retention class that was not agreed",
        envelope(0, records=_first(lambda record: replace(record, retention_days=3650))),
    ),
    _envelope(
        "no secret",
        "Its first envelope lacks the key to its records.",
        "its secret with another envelope than the first, or not at all",
        envelope(0, sealed_secret=b""),
    ),
    _envelope(
        "a second secret",
        "It sends a key with its second envelope too.",
        "its secret with another envelope than the first, or not at all",
        envelope(1, sealed_secret=bytes(SEALED_SECRET_BYTES)),
        1,
    ),
    _envelope(
        "no envelope",
        "It sends the end in place of its first envelope.",
        "sent ExchangeDone where Envelope was due",
        on_nth(Envelope, 0, lambda m: [ExchangeDone(bytes(32))]),
        cheats=(RESPONDER,),
    ),
    _envelope(
        "the end of another run",
        "Its last word is about another run.",
        "ended another run",
        on(ExchangeDone, lambda m: [ExchangeDone(bytes(32))]),
        cheats=(RESPONDER,),
        records=SHARED,
    ),
    _envelope(
        "an acknowledgement of something else",
        "It acknowledges another envelope than the one it got.",
        "acknowledged another envelope",
        on(EnvelopeAck, lambda m: [replace(m, envelope=bytes(32))]),
        records=PER_ENVELOPE,
    ),
    _envelope(
        "an acknowledgement by another",
        "Its acknowledgement is signed by a key that is on no card.",
        "acknowledgement whose signature does not fit",
        on(EnvelopeAck, lambda m: [replace(m, signature=STRANGER.sign(b"ack"))]),
        records=PER_ENVELOPE,
    ),
    Attack(
        "leaves after one envelope",
        "It ends the call after its first envelope. The directions alternate: it got one more at most.",
        Stage.EXCHANGE,
        "§7",
        ErrorCode.CANCELLED,
        "left before the end",
        Left.RECORDS,
        script=_leaves,
        records=_sent(1),
        state=RunState.EXCHANGING,
    ),
)

# --- content: the server cannot read it; an operator finds it, and what was signed is the evidence --------------------


def _content(name: str, what: str, words: str, alter: Any) -> Attack:
    return Attack(
        name,
        what,
        Stage.EXCHANGE,
        "§7 opening",
        BAD,
        words,
        Left.RECORDS,
        alter=alter,
        records=SHARED,
        state=RunState.DONE,
        opens=True,
    )


def _first_changed(cheat: Cheat, **changes: Any) -> Alter:
    """Change the first envelope, and chain those that follow to it."""
    chained: list[bytes] = []

    def alter(message: Any) -> list[Any]:
        if not isinstance(message, Envelope):
            return [message]
        more = {"previous": chained[-1]} if chained else changes
        sent = resealed(cheat.key, message, **more)
        chained.append(envelope_digest(sent.header, sent.records))
        return [sent]

    return alter


CONTENT = (
    _content(
        "a sealed secret that does not open",
        "The key to its records does not open.",
        "sealed secret that does not open",
        lambda cheat: _first_changed(cheat, sealed_secret=bytes(SEALED_SECRET_BYTES)),
    ),
    _content(
        "a record that does not open",
        "A record of its last envelope is noise, properly signed.",
        "record that does not open",
        envelope(2, records=_first(_spoilt)),
    ),
    _content(
        "another digest of the plaintext",
        "It signs another plaintext than it sealed.",
        "records that differ from the digest it signed",
        envelope(2, plaintext=bytes(32)),
    ),
)
EXCHANGE_ATTACKS: tuple[Attack, ...] = (*STARTS, *ENVELOPES, *CONTENT)

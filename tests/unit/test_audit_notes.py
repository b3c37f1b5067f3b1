"""Signed notes of C2SP: the published examples, every malformed note, and no forgery by what surrounds a note."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutuals.audit.notes import (
    COSIGNATURE_V1,
    MAX_NOTE_BYTES,
    BadNote,
    Checkpoint,
    Note,
    NoteKey,
    NoteSignature,
    cosign_note,
    parse_checkpoint,
    parse_note,
    sign_note,
    verify_note,
)
from mutuals.audit.tree import read_head
from mutuals.crypto.signing import SigningKey

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "signed_note.json").read_text("utf-8")
)["cases"]
LOG, OTHER = SigningKey(b"\x21" * 32), SigningKey(b"\x22" * 32)
ORIGIN, COSIGNER = "mutuals/aa/bb", "mutuals/cc"
LOG_KEY, OTHER_KEY = NoteKey(ORIGIN, LOG.public), NoteKey(COSIGNER, OTHER.public, COSIGNATURE_V1)
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HEAD = Checkpoint(ORIGIN, 3, hashlib.sha256(b"root").digest())
TEXT = HEAD.text()
NOTE = Note(TEXT, (sign_note(TEXT, LOG, ORIGIN), cosign_note(TEXT, OTHER, COSIGNER, NOW)))
DATA = NOTE.encode()


def test_the_note_of_the_reference_implementation() -> None:
    inputs, expected = CASES[0]["inputs"], CASES[0]["expected"]
    key = SigningKey(bytes.fromhex(inputs["seed"]))
    note_key = NoteKey(inputs["name"], key.public)
    assert note_key.text() == expected["key"]
    assert (
        NoteKey.parse(expected["key"]) == note_key or NoteKey.parse(expected["key"]).key.raw == key.public.raw
    )
    note = Note(inputs["text"], (sign_note(inputs["text"], key, inputs["name"]),))
    assert note.encode().decode() == expected["note"]
    assert verify_note(parse_note(note.encode()), [note_key]) == [(note_key, None)]


def test_the_example_of_the_specification() -> None:
    note, expected = parse_note(CASES[1]["inputs"]["note"].encode()), CASES[1]["expected"]
    head = parse_checkpoint(note.text)
    assert (head.origin, head.size, head.root.hex()) == (
        expected["origin"],
        expected["size"],
        expected["root"],
    )
    assert [
        {"name": one.name, "key_id": one.key_id.hex(), "bytes": len(one.data)} for one in note.signatures
    ] == expected["signatures"]
    assert struct.unpack(">Q", note.signatures[1].data[:8]) == (expected["cosigned_at"],)
    with pytest.raises(BadNote, match="not signed by"):
        verify_note(note, [LOG_KEY])


def test_a_checkpoint_of_ours_is_written_as_documented() -> None:
    inputs, expected = CASES[2]["inputs"], CASES[2]["expected"]
    log, other = (SigningKey(bytes.fromhex(inputs[name])) for name in ("log_seed", "cosigner_seed"))
    text = Checkpoint(inputs["origin"], inputs["size"], bytes.fromhex(inputs["root"])).text()
    at = datetime.fromisoformat(inputs["at"])
    note = Note(
        text, (sign_note(text, log, inputs["origin"]), cosign_note(text, other, inputs["cosigner"], at))
    )
    assert note.encode().decode() == expected["note"]
    keys = [NoteKey.parse(expected["log_key"]), NoteKey.parse(expected["cosigner_key"])]
    assert [found for _, found in verify_note(parse_note(note.encode()), keys)] == [None, at]
    assert read_head(note.encode(), *keys).size == inputs["size"]


def test_a_note_survives_being_written() -> None:
    assert parse_note(DATA) == NOTE
    assert verify_note(parse_note(DATA), [LOG_KEY, OTHER_KEY]) == [(LOG_KEY, None), (OTHER_KEY, NOW)]


def test_signatures_by_strangers_are_ignored() -> None:
    """Also such as share a name, or an id, with a key that is known."""
    stranger = NoteSignature(ORIGIN, b"\x01\x02\x03\x04", b"x" * 64)
    namesake = NoteSignature("example.com/log", LOG_KEY.key_id, b"x" * 64)
    note = Note(TEXT, (stranger, namesake, *NOTE.signatures))
    assert verify_note(parse_note(note.encode()), [LOG_KEY]) == [(LOG_KEY, None)]


def test_one_wrong_signature_by_a_known_key_refuses_the_note() -> None:
    wrong = NoteSignature(ORIGIN, LOG_KEY.key_id, bytes(64))
    for signatures in ((wrong, *NOTE.signatures), (*NOTE.signatures, wrong)):
        with pytest.raises(BadNote, match="does not fit"):
            verify_note(parse_note(Note(TEXT, signatures).encode()), [LOG_KEY])


def test_a_logs_signature_is_no_cosignature_and_the_other_way_round() -> None:
    as_cosigner = NoteKey(ORIGIN, LOG.public, COSIGNATURE_V1)
    assert as_cosigner.key_id != LOG_KEY.key_id
    with pytest.raises(BadNote, match="not signed by"):
        verify_note(NOTE, [as_cosigner])
    disguised = NoteSignature(ORIGIN, as_cosigner.key_id, NOTE.signatures[0].data)
    with pytest.raises(BadNote, match="does not fit"):
        verify_note(Note(TEXT, (disguised,)), [as_cosigner])


def test_a_cosignature_holds_for_its_time_alone() -> None:
    one = NOTE.signatures[1]
    later = NoteSignature(one.name, one.key_id, struct.pack(">Q", int(NOW.timestamp()) + 1) + one.data[8:])
    with pytest.raises(BadNote, match="does not fit"):
        verify_note(Note(TEXT, (later,)), [OTHER_KEY])


def test_a_head_needs_every_signature_and_its_own_log() -> None:
    assert read_head(DATA, LOG_KEY, OTHER_KEY) == HEAD
    with pytest.raises(BadNote, match="missing"):
        read_head(Note(TEXT, NOTE.signatures[:1]).encode(), LOG_KEY, OTHER_KEY)
    with pytest.raises(BadNote, match="missing"):
        read_head(Note(TEXT, NOTE.signatures[1:]).encode(), LOG_KEY, OTHER_KEY)
    foreign = Checkpoint("mutuals/aa/cc", 3, HEAD.root).text()
    note = Note(foreign, (sign_note(foreign, LOG, ORIGIN),))
    with pytest.raises(BadNote, match="another log"):
        read_head(note.encode(), LOG_KEY)


def test_extra_lines_forge_nothing() -> None:
    """Text can be put before, between and after; none of it is signed, or the note is refused."""
    line = NOTE.signatures[0].line()
    for data in (
        f"{TEXT}\n{line}\n".encode(),
        f"{TEXT}\n{line}\nmore\n".encode(),
        f"{TEXT}{line}\n{line}".encode(),
        f"other\n\n{TEXT}\n{line}".encode(),
        f"{TEXT}extension\n\n{line}".encode(),
        f"{TEXT}\n\n{line}".encode(),
    ):
        with pytest.raises(BadNote):
            read_head(data, LOG_KEY)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        TEXT.encode(),
        TEXT.encode() + b"\n",
        DATA[:-1],
        DATA + b"\n",
        DATA + b"x",
        DATA.replace(b"\n\n", b"\n"),
        DATA.replace("\u2014".encode(), b"-"),
        DATA.replace("\u2014 ".encode(), "\u2014".encode()),
        DATA.replace(b"=", b""),
        DATA.replace(b"\n", b"\r\n"),
        DATA.replace(b"mutuals/cc ", b"mutuals/ cc "),
        DATA.replace(b"mutuals/cc ", b"mutuals+cc "),
        DATA.replace(b"mutuals/cc ", "mutuals\u00a0cc ".encode()),
        b"\xff" + DATA,
        b"\x00" + DATA,
        b"\t" + DATA,
        DATA + "\u2014 x AAAA\n".encode(),
        DATA + "\u2014 x \n".encode(),
        DATA + "\u2014 x AAAAAA==\n".encode(),
        DATA + "\u2014 x AAAAAAB=\n".encode(),
        DATA + "\u2014 x AAAAAAA= \n".encode(),
        DATA + "\u2014 x AAAA AAA=\n".encode(),
        DATA + "\u2014 x AAAAAAAA\n".encode() * 40,
        b"a\n" * MAX_NOTE_BYTES + DATA,
    ],
)
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(BadNote):
        parse_note(data)


def test_sixteen_signatures_and_more_are_read() -> None:
    stranger = NoteSignature("example.com/w", b"\x01\x02\x03\x04", b"x" * 72)
    note = Note(TEXT, (*NOTE.signatures, *[stranger] * 20))
    assert verify_note(parse_note(note.encode()), [LOG_KEY]) == [(LOG_KEY, None)]


ROOT = base64.b64encode(HEAD.root).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n03\n{ROOT}\n",
        f"{ORIGIN}\n-3\n{ROOT}\n",
        f"{ORIGIN}\n+3\n{ROOT}\n",
        f"{ORIGIN}\n 3\n{ROOT}\n",
        f"{ORIGIN}\n\n{ROOT}\n",
        f"{ORIGIN}\n3.0\n{ROOT}\n",
        f"{ORIGIN}\n\u0663\n{ROOT}\n",
        f"{ORIGIN}\n{2**63}\n{ROOT}\n",
        f"{ORIGIN}\n{'9' * 400}\n{ROOT}\n",
        f"\n3\n{ROOT}\n",
        f"{ORIGIN}\n3\n{ROOT[:-1]}\n",
        f"{ORIGIN}\n3\nAAAA\n",
        f"{ORIGIN}\n3\n{ROOT}",
        f"{ORIGIN}\n3\n{ROOT}\nextension\n",
        f"{ORIGIN}\n3\n",
        f"{'x' * 2000}\n3\n{ROOT}\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        parse_checkpoint(text)


def test_mangled_keys_are_refused() -> None:
    """Every shorter piece of a key, and every changed character but such as mean the same (as in Go's tests)."""
    text = LOG_KEY.text()
    for start in range(0, len(text), 5):
        for end in range(start + 1, len(text) + 1, 3):
            if (start, end) != (0, len(text)):
                with pytest.raises(BadNote):
                    NoteKey.parse(text[start:end])
    for place in range(len(text)):
        with pytest.raises(BadNote):
            NoteKey.parse(text[:place] + chr(ord(text[place]) + 1) + text[place + 1 :])
    small = b"\x01" + (1).to_bytes(32, "little")
    identity = hashlib.sha256(ORIGIN.encode() + b"\n" + small).digest()[:4].hex()
    with pytest.raises(BadNote, match="cannot be trusted"):
        NoteKey.parse(f"{ORIGIN}+{identity}+{base64.b64encode(small).decode()}")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_note_or_refused(data: bytes) -> None:
    try:
        note = parse_note(data)
    except BadNote:
        return
    assert note.encode() == data


pieces = st.sampled_from(
    ["\n", "\n\n", "\u2014 ", ORIGIN, COSIGNER, " ", TEXT, "3", ROOT, "AAAAAAA=", "\x00", "\u2028"]
    + [one.line() for one in NOTE.signatures]
)


@given(st.lists(pieces, max_size=10).map("".join))
def test_notes_put_together_from_pieces_never_say_what_was_not_signed(text: str) -> None:
    try:
        note = parse_note(text.encode())
        found = verify_note(note, [LOG_KEY])
    except BadNote:
        return
    assert note.encode() == text.encode()
    assert (note.text, found[0]) == (TEXT, (LOG_KEY, None))


@given(st.integers(0, len(DATA) - 1), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_in_the_other_signature(place: int, byte: int) -> None:
    data = DATA[:place] + bytes([byte]) + DATA[place + 1 :]
    try:
        head = read_head(data, LOG_KEY)
    except BadNote:
        return
    assert head == HEAD
    assert data == DATA or place > DATA.index(NOTE.signatures[1].line().encode())
    if data != DATA:
        with pytest.raises(BadNote):
            read_head(data, LOG_KEY, OTHER_KEY)

"""Signed notes, checkpoints of logs and cosignatures, as C2SP defines them, so that others' tools can read ours.

    line = sign_note(text, key, origin)                    # c2sp.org/signed-note, Ed25519 (type 01)
    note = parse_note(f"{text}\\n{line}".encode())
    verify_note(note, [NoteKey(origin, key.public)])
    checkpoint = parse_checkpoint(note.text)               # c2sp.org/tlog-checkpoint
    cosign_note(note.text, key, name, now)                 # c2sp.org/tlog-cosignature, cosignature/v1 (type 04)

Pure: keys and time come in as arguments. Whatever a partner sends is read here or refused with BadNote; nothing of it
counts before a signature by a known key was verified.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mutuals.audit.merkle import HASH_BYTES
from mutuals.crypto.signing import BadSignature, SigningKey, VerifyKey

MAX_NOTE_BYTES = 16 * 1024
MAX_SIGNATURES = 32
MAX_TEXT_BYTES = 1024
MAX_SIZE = 2**63 - 1

ED25519 = 0x01
COSIGNATURE_V1 = 0x04

_KEY_ID_BYTES = 4
_SIGNATURE_BYTES = 64
_DASH = "\u2014 "
_TIMESTAMP = struct.Struct(">Q")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class BadNote(ValueError):
    """Not a note, not a checkpoint, or not signed as it should be; the text is a clause that quotes nothing."""


@dataclass(frozen=True)
class NoteKey:
    """A key that notes may be signed with: its name, the key, and the type of its signatures.

    Log and cosigner are told apart by the type, which is part of the key id.
    """

    name: str
    key: VerifyKey
    kind: int = ED25519

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name ‖ newline ‖ type ‖ key)."""
        material = self.name.encode() + b"\n" + bytes([self.kind]) + self.key.raw
        return hashlib.sha256(material).digest()[:_KEY_ID_BYTES]

    def text(self) -> str:
        """The key as others' tools are configured with it: ``name+hash+base64(type ‖ key)``."""
        return f"{self.name}+{self.key_id.hex()}+{_base64(bytes([self.kind]) + self.key.raw)}"

    @classmethod
    def parse(cls, text: str) -> NoteKey:
        """What ``text`` wrote. Raises BadNote."""
        parts = text.split("+", 2)
        if len(parts) != 3 or not _is_name(parts[0]):
            raise BadNote("not a note's key")
        raw = _unbase64(parts[2])
        if len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE_V1):
            raise BadNote("a key of a type that is not used here")
        try:
            key = cls(parts[0], VerifyKey(raw[1:]), raw[0])
        except ValueError as error:
            raise BadNote("a key that cannot be trusted") from error
        if parts[1] != key.key_id.hex():
            raise BadNote("a key under another id")
        return key


@dataclass(frozen=True)
class NoteSignature:
    """One line of signature: the name of a key, its 4-byte id, and what the signature consists of."""

    name: str
    key_id: bytes
    data: bytes = field(repr=False)

    def line(self) -> str:
        """The line as it stands in the note, with its newline."""
        return f"{_DASH}{self.name} {_base64(self.key_id + self.data)}\n"


@dataclass(frozen=True)
class Note:
    """A parsed note, of which nothing is verified yet; ``text`` ends in a newline."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        """The bytes that ``parse_note`` reads."""
        return (self.text + "\n" + "".join(one.line() for one in self.signatures)).encode()


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log: who it is of, how many leaves it has, the root over them (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The text of its note: three lines."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


def parse_note(data: bytes) -> Note:
    """The note in ``data``: its text, and every signature in it, verified or not. Raises BadNote.

    The text is what stands before the *last* empty line, so no line of it can pass for a signature, nor the other way
    round. Base64 must be in its one canonical form.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise BadNote("larger than any note here")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadNote("not UTF-8") from error
    if any(character < " " and character != "\n" for character in whole):
        raise BadNote("a control character in it")
    text, separator, signed = whole.rpartition("\n\n")
    if not separator or not text or not signed.endswith("\n"):
        raise BadNote("no text and signatures with an empty line between")
    lines = signed[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise BadNote("too many signatures")
    return Note(text + "\n", tuple(_parse_signature(line) for line in lines))


def _parse_signature(line: str) -> NoteSignature:
    if not line.startswith(_DASH):
        raise BadNote("a line among the signatures that is none")
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not _is_name(name):
        raise BadNote("a signature without the name of a key")
    data = _unbase64(encoded)
    if len(data) <= _KEY_ID_BYTES:
        raise BadNote("a signature that is too short")
    return NoteSignature(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def verify_note(note: Note, keys: Sequence[NoteKey]) -> list[tuple[NoteKey, datetime | None]]:
    """The ``keys`` that signed the note, with the time of each cosignature. Raises BadNote.

    Signatures by other keys are ignored, also those that share a name or an id with one of ``keys``. One by a known
    key that does not fit refuses the whole note, and so does a note without any by a known key.
    """
    known = {(key.name, key.key_id): key for key in keys}
    found = []
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        try:
            found.append((key, _verify(note.text, key, signature.data)))
        except BadSignature as error:
            raise BadNote("a signature that does not fit") from error
    if not found:
        raise BadNote("not signed by the key that it should be signed by")
    return found


def sign_note(text: str, key: SigningKey, name: str) -> NoteSignature:
    """The signature of a log's key, under ``name``, below ``text``, which begins with the log's origin."""
    return NoteSignature(name, NoteKey(name, key.public).key_id, key.sign(text.encode()))


def cosign_note(text: str, key: SigningKey, name: str, now: datetime) -> NoteSignature:
    """A cosignature/v1 below a checkpoint's ``text``, made at ``now`` (aware; whole seconds are kept)."""
    seconds = int(now.timestamp())
    signature = key.sign(_cosigned(text, seconds))
    return NoteSignature(
        name, NoteKey(name, key.public, COSIGNATURE_V1).key_id, _TIMESTAMP.pack(seconds) + signature
    )


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in the text of a note. Raises BadNote.

    Exactly three lines: extension lines, which C2SP allows, are refused, since no log here writes any.
    """
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise BadNote("a text larger than any checkpoint here")
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise BadNote("not the three lines of a checkpoint")
    if not _NUMBER.fullmatch(lines[1]) or int(lines[1]) > MAX_SIZE:
        raise BadNote("a size that is no number")
    root = _unbase64(lines[2])
    if len(root) != HASH_BYTES:
        raise BadNote("a root that is no hash")
    return Checkpoint(lines[0], int(lines[1]), root)


def _verify(text: str, key: NoteKey, data: bytes) -> datetime | None:
    if key.kind == ED25519:
        if len(data) != _SIGNATURE_BYTES:
            raise BadSignature("an Ed25519 signature has 64 bytes")
        key.key.verify(text.encode(), data)
        return None
    if len(data) != _TIMESTAMP.size + _SIGNATURE_BYTES:
        raise BadSignature("a cosignature has a time and 64 bytes")
    (seconds,) = _TIMESTAMP.unpack(data[: _TIMESTAMP.size])
    key.key.verify(_cosigned(text, seconds), data[_TIMESTAMP.size :])
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadNote("a cosignature at no time") from error


def _cosigned(text: str, seconds: int) -> bytes:
    """What a cosignature signs; the header line keeps it apart from a log's own signature."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote("something that is not base64") from error
    if _base64(data) != text:
        raise BadNote("base64 in another form than its one")
    return data

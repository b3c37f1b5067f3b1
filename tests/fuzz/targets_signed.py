"""Certificates and keys, signed notes and heads of logs, bundles of logs, risk assessments."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fuzz.folder import in_file
from fuzz.mutate_der import mutate_pem
from fuzz.mutate_json import mutate_json
from fuzz.mutate_protobuf import protobuf
from fuzz.mutate_text import mutate_words
from fuzz.scenes import Scene, Undone, scenes
from fuzz.target import Ready, Target
from fuzz.targets_files import NOW, card_vector
from mutuals import peer as peers
from mutuals.agreement.active import find_agreement
from mutuals.agreement.assessed import parse_assessment
from mutuals.audit.bundle import export_bundle, verify_bundles
from mutuals.audit.heads import own_heads, take_heads
from mutuals.audit.notes import (
    COSIGNATURE_V1,
    BadNote,
    NoteKey,
    cosign_note,
    parse_checkpoint,
    parse_note,
    sign_note,
    verify_note,
)
from mutuals.audit.tree import Trees
from mutuals.crypto.signing import SigningKey
from mutuals.crypto.tls import BadCertificate, certificate_pin, check_certificate, key_pin, valid_until
from mutuals.identity.partners import partner_card
from mutuals.models.card import SignedCard
from mutuals.protocol.messages import LogHead
from mutuals.transport.wire import SYNC, SyncMessage
from mutuals.v1 import document_pb2

_KEY = SigningKey(b"\x07" * 32)
_ORIGIN = "mutuals/v1/log/test"
_KEYS = [NoteKey(_ORIGIN, _KEY.public), NoteKey(_ORIGIN, _KEY.public, COSIGNATURE_V1)]


def _certificates() -> Ready:
    card = SignedCard.model_validate(card_vector()["signed_card"]).card
    fingerprint = bytes.fromhex(card_vector()["fingerprint"])

    def parse(data: bytes) -> None:
        certificate_pin(data)
        valid_until(data)
        check_certificate(data, fingerprint, card.issued_at)

    return Ready([card.tls_certificate.encode()], parse)


def _elliptic() -> bytes:
    return ec.derive_private_key(4711, ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _keys() -> Ready:
    """A file in the home that should hold the peer's signing key."""
    return Ready([_KEY.pem()], in_file("signing.pem", peers._ed25519))


def _tls_keys() -> Ready:
    """A file in the home that should hold the key of its certificate."""
    return Ready([_elliptic(), _KEY.pem()], key_pin)


def _note(text: str) -> bytes:
    lines = (sign_note(text, _KEY, _ORIGIN), cosign_note(text, _KEY, _ORIGIN, NOW))
    return (text + "\n" + "".join(line.line() for line in lines)).encode()


def _notes() -> Ready:
    def parse(data: bytes) -> None:
        note = parse_note(data)
        parse_checkpoint(note.text)
        verify_note(note, _KEYS)

    return Ready(
        [
            _note(f"{_ORIGIN}\n{size}\nERERERERERERERERERERERERERERERERERERERERERE=\n")
            for size in (0, 7, 2**63 - 1)
        ],
        parse,
    )


def _mutate_note(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Another text or other signatures; half of the time signed after the change."""
    if chance.random() < 0.5:
        return mutate_words(chance, data, others)
    text = data.decode().rpartition("\n\n")[0] + "\n"
    return _note(mutate_words(chance, text.encode(), [b"1\n"]).decode("utf-8", "replace"))


def _note_keys() -> Ready:
    return Ready(
        [key.text().encode() for key in _KEYS], lambda data: NoteKey.parse(data.decode("utf-8", "replace"))
    )


@cache
def _sides() -> tuple[Scene, Scene]:
    """A scene that comes to each side, late in the story."""
    one, other = scenes()["deletion-certificate"]
    return one, other


@cache
def _heads_sent() -> tuple[LogHead, ...]:
    sender, _ = _sides()
    found: tuple[LogHead, ...] = ()
    try:
        with sender.peer.store.transaction() as tx:
            found = own_heads(tx, sender.peer, sender.partner, None, Trees(tx, sender.peer))
            raise Undone
    except Undone:
        return found


def _heads() -> Ready:
    _, receiver = _sides()

    def parse(data: bytes) -> None:
        heads = SYNC.request.decode(data).heads or ()
        try:
            with receiver.peer.store.transaction() as tx:
                take_heads(tx, receiver.peer, receiver.partner, heads, Trees(tx, receiver.peer))
                raise Undone
        except Undone:
            return

    return Ready([SYNC.request.encode(SyncMessage(heads=_heads_sent()))], parse)


def _mutate_heads(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Checkpoints that say something else, signed by the key of the partner's logs."""
    if chance.random() < 0.4:
        return protobuf(document_pb2.SyncRequest.DESCRIPTOR)(chance, data, others)
    sender, _ = _sides()
    heads = list(_heads_sent())
    at = chance.randrange(len(heads))
    text = heads[at].note.decode().rpartition("\n\n")[0] + "\n"
    origin, size, root, _ = text.split("\n")
    number = chance.choice((0, 1, int(size) - 1, int(size) + 1, 2**63 - 1, int(size)))
    changed = f"{origin}\n{max(number, 0)}\n{root}\n"
    if chance.random() < 0.3:
        changed = mutate_words(chance, changed.encode(), [b"1\n"]).decode("utf-8", "replace")
    note = (changed + "\n" + sign_note(changed, sender.peer.log_key, origin).line()).encode()
    proof = tuple(chance.randbytes(32) for _ in range(chance.choice((0, 1, 5, 128))))
    changes = {
        "note": note,
        "base": chance.choice((0, heads[at].base, 2**63 - 1)),
        "seen": chance.choice((b"", heads[at].seen)),
    }
    heads[at] = replace(heads[at], **changes, **({"proof": proof} if chance.random() < 0.5 else {}))
    return SYNC.request.encode(SyncMessage(heads=tuple(heads)))


def _bundles() -> Ready:
    _, scene = _sides()
    cards = [scene.peer.card, SignedCard(card=partner_card(scene.partner), signature="00" * 64)]
    with scene.peer.store.transaction() as tx:
        digests = [row.digest for row in tx.agreements.list()]
        found = [export_bundle(tx, scene.peer, digest) for digest in digests]
    smallest = sorted(found, key=len)[:2]
    return Ready(smallest, lambda data: verify_bundles([data], cards))


def _assessments() -> Ready:
    _, scene = _sides()
    with scene.peer.store.transaction() as tx:
        signed = [one for row in tx.agreements.list() for one in tx.agreements.statements(row.digest)]
        named = sorted({str(json.loads(one.body)["assessment"]) for one in signed})
        found = [row.document for digest in named if (row := tx.assessments.get(digest)) is not None]
    return Ready(found, parse_assessment)


def _references() -> Ready:
    """What a person types in place of an agreement's id."""
    _, scene = _sides()
    with scene.peer.store.transaction() as tx:
        seeds = [
            text for row in tx.agreements.list() for text in (row.agreement_id, row.digest, row.digest[:9])
        ]

    def parse(data: bytes) -> None:
        with scene.peer.store.transaction() as tx:
            find_agreement(tx, data.decode("utf-8", "replace"))

    return Ready([seed.encode() for seed in seeds], parse)


TARGETS = (
    Target("certificate", _certificates, mutate_pem, (BadCertificate,)),
    Target("key.signing", _keys, mutate_pem),
    Target("key.tls", _tls_keys, mutate_pem, (ValueError,)),
    Target("note", _notes, _mutate_note, (BadNote,)),
    Target("note-key", _note_keys, mutate_words, (BadNote,)),
    Target("heads", _heads, _mutate_heads, everyday=0),
    Target("bundle", _bundles, mutate_json, everyday=0),
    Target("assessment", _assessments, mutate_json, (ValueError,), everyday=0),
    Target("reference", _references, mutate_words, everyday=0),
)

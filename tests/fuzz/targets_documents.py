"""Documents of every kind, through the handlers that take them: changed, and signed again as any partner can sign."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from fuzz.mutate_json import change, mutate_json, write
from fuzz.scenes import OPERATOR, Scene, scenes
from fuzz.target import Mutate, Ready, Target
from mutuals.canonical import canonical_json
from mutuals.documents import HANDLERS
from mutuals.framing import Context, digest, frame
from mutuals.obligations.revocation_document import revocation_id

_Signs = Callable[[random.Random, Any, Scene], None]


def _of(kind: str) -> Callable[[], Ready]:
    """The first byte of an input says in which scene it comes."""

    def prepare() -> Ready:
        played = scenes()[kind]

        def parse(data: bytes) -> None:
            played[data[0] % len(played)].take(data[1:]) if data else None

        return Ready([bytes([number]) + scene.body for number, scene in enumerate(played)], parse)

    return prepare


def _signed(kind: str) -> Mutate:
    """Change what a document says, and sign it again; one in ten keeps the signatures that it had."""

    def mutate(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
        number, bodies = data[:1], [one[1:] for one in others]
        if chance.random() < 0.1:
            return number + mutate_json(chance, data[1:], bodies)
        scene = scenes()[kind][number[0]]
        value = change(chance, _opened(data[1:]), [_opened(body) for body in bodies[:4]])
        value = json.loads(json.dumps(value))  # nothing in it stands in two places any more
        if isinstance(value, dict):
            with suppress(Exception):  # where it is no longer what could be signed
                _SIGNS.get(kind, _sign_act)(chance, value, scene)
            if isinstance(value.get("act"), dict):
                value["act"] = json.dumps(value["act"], sort_keys=True, separators=(",", ":"))
        return number + write(chance, value)

    return mutate


def _opened(body: bytes) -> Any:
    """The document, with the act in it as an object."""
    value = json.loads(body)
    if isinstance(value.get("act"), str):
        value["act"] = json.loads(value["act"])
    return value


def _sign_act(chance: random.Random, value: dict[str, Any], scene: Scene) -> None:
    """The act says what the document says, and is signed by an operator; an attestation's also by the peer."""
    act = value["act"]
    facts = act["facts"]
    if chance.random() < 0.8:
        facts.update({key: value[key] for key in facts.keys() & value.keys() - {"act"}})
        subjects = [value.get("digest"), facts.get("agreement"), facts.get("breach_id")]
        act["subject"] = next((one for one in subjects if one is not None), act["subject"])
    if chance.random() < 0.95:
        act["public_key"] = OPERATOR.public.raw.hex()
    body = canonical_json(act)
    value["act"] = body.decode()
    value["act_signature"] = OPERATOR.sign(frame(Context.ACT, body)).hex()
    if "signature" in value:
        value["signature"] = scene.sender.sign(frame(Context.ACT, body)).hex()


def _sign_statement(chance: random.Random, value: dict[str, Any], scene: Scene) -> None:
    statement = value["statement"]
    if "agreement" in value and chance.random() < 0.95:
        statement["digest"] = digest(Context.AGREEMENT, canonical_json(value["agreement"])).hex()
        statement["organisation"] = value["agreement"]["parties"][statement["side"]]["organisation"]
    for operator in statement["operators"]:
        assessed = bytes.fromhex(statement["assessment"]) if statement["assessment"] else b""
        signed = (statement["side"], operator["name"], operator["role"], assessed)
        operator["public_key"] = OPERATOR.public.raw.hex()
        operator["signature"] = OPERATOR.sign(
            frame(Context.OPERATOR_STATEMENT, bytes.fromhex(statement["digest"]), *signed)
        ).hex()
    value["signature"] = scene.sender.sign(frame(Context.STATEMENT, canonical_json(statement))).hex()


def _sign_rejection(chance: random.Random, value: dict[str, Any], scene: Scene) -> None:
    operator = value["operator"]
    operator["public_key"] = OPERATOR.public.raw.hex()
    signed = frame(
        Context.REJECTION, bytes.fromhex(value["digest"]), operator["name"], operator["role"], value["reason"]
    )
    operator["signature"] = OPERATOR.sign(signed).hex()


def _sign_certificate(chance: random.Random, value: dict[str, Any], scene: Scene) -> None:
    signed = frame(Context.CERTIFICATE, canonical_json(value["certificate"]))
    value["signature"] = scene.sender.sign(signed).hex()


def _name_revocation(chance: random.Random, value: dict[str, Any], scene: Scene) -> None:
    sender = scene.sender.public.fingerprint
    at = datetime.fromisoformat(value["at"])
    value["id"] = revocation_id(sender, bytes.fromhex(value["sid"]), value["ranks"], value["reason"], at)


def _sign_card(chance: random.Random, value: dict[str, Any], scene: Scene) -> None:
    value["signature"] = scene.sender.sign(frame(Context.CARD, canonical_json(value["card"]))).hex()


def _sign_nothing(chance: random.Random, value: dict[str, Any], scene: Scene) -> None:
    """Nothing in it is signed but the whole, and that by the transport."""


_SIGNS: dict[str, _Signs] = {
    "proposal": _sign_statement,
    "acceptance": _sign_statement,
    "rejection": _sign_rejection,
    "deletion-certificate": _sign_certificate,
    "revocation": _name_revocation,
    "card": _sign_card,
    "revocation-done": _sign_nothing,
    "run-ended": _sign_nothing,
    "certificate-reminder": _sign_nothing,
}

TARGETS = tuple(Target(f"document.{kind}", _of(kind), _signed(kind), everyday=0) for kind in HANDLERS)

"""Vectors of what is signed besides runs: agreements, statements, documents, receipts, authorisations."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

from mutuals.agreement.document import agreement_bytes, agreement_digest, agreement_id, parse_agreement
from mutuals.agreement.rejection import make_rejection, verify_rejection
from mutuals.agreement.statements import make_statement, verify_statement
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.crypto.signing import SigningKey
from mutuals.documents import make_receipt
from mutuals.identity.operators import OperatorKeys
from mutuals.models.agreement import Agreement, Side
from mutuals.rotation import CARD, CardDocument
from mutuals.runs.authorisation import authorise_exchange, authorise_reveal, grant_mandate
from mutuals.signed_documents import document_id, sign_document, verify_document
from support.parties import agreement
from support.vectors import Case, Json, VectorFile
from support.vectors.documents import Payload, later_documents

SEEDS = {"proposer": "01" * 32, "partner": "02" * 32, "anna": "03" * 32, "bert": "04" * 32}
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def signing(seed: str) -> SigningKey:
    return SigningKey(bytes.fromhex(seed))


def example() -> Agreement:
    """A made-up agreement whose parties have the vectors' keys; the proposer sends one field."""
    parties = agreement().parties.model_dump()
    for side in Side:
        parties[side.value]["fingerprint"] = signing(SEEDS[side.value]).public.fingerprint.hex()
    field = {"name": "plan", "departments": ("marketing",), "retention_days": 30}
    return agreement(title="Frühjahrsaktion", parties=parties, proposer_sends=(field,))


# --- agreement ----------------------------------------------------------------------------------------------------


def _make_agreement(inputs: Json) -> Json:
    data = canonical_json(inputs["agreement"])
    assert agreement_bytes(parse_agreement(data)) == data
    digest = agreement_digest(data)
    return {"canonical": data.hex(), "digest": digest, "id": agreement_id(digest)}


def _agreement_cases() -> list[Case]:
    return [
        (
            "one way",
            "Accepted: canonical JSON with every key present, its digest and its short name.",
            {"agreement": example().model_dump(mode="json")},
        )
    ]


# --- statements ---------------------------------------------------------------------------------------------------


def _make_statement(inputs: Json) -> Json:
    document = parse_agreement(canonical_json(inputs["agreement"]))
    digest = agreement_digest(agreement_bytes(document))
    operators = [(one["name"], one["role"], signing(one["seed"])) for one in inputs["operators"]]
    body, signature = make_statement(
        document,
        digest,
        Side(inputs["side"]),
        signing(inputs["seed"]),
        operators,
        datetime.fromisoformat(inputs["signed_at"]),
    )
    verify_statement(body, signature, document, digest, Side(inputs["side"]))
    return {"statement": parse_canonical(body), "body": body.hex(), "signature": signature.hex()}


def _statement_cases() -> list[Case]:
    return [
        (
            side.value,
            "Verifies under the party's key and the operator's.",
            {
                "agreement": example().model_dump(mode="json"),
                "side": side.value,
                "seed": SEEDS[side.value],
                "operators": [{"name": operator, "role": "steward", "seed": SEEDS[operator]}],
                "signed_at": NOW.isoformat(),
            },
        )
        for side, operator in zip(Side, ("anna", "bert"), strict=True)
    ]


# --- documents ----------------------------------------------------------------------------------------------------


def _make_document(inputs: Json) -> Json:
    sender: Any = SimpleNamespace(signing_key=signing(inputs["seed"]))
    document = sign_document(sender, inputs["kind"], inputs["payload"])
    verify_document(sender.signing_key.public, document)
    identity = document_id(document.kind, document.body)
    receipts = {}
    for name, reason in (("accepted", ""), ("refused", "BAD_MESSAGE")):
        receipt = make_receipt(
            signing(inputs["recipient_seed"]), bytes.fromhex(identity), accepted=not reason, reason=reason
        )
        receipts[name] = {"reason": receipt.reason, "signature": receipt.signature.hex()}
    return {
        "body": document.body.hex(),
        "signature": document.signature.hex(),
        "document_id": identity,
        "receipts": receipts,
    }


def _document_cases() -> list[Case]:
    document = example()
    digest = agreement_digest(agreement_bytes(document))
    proposed, accepted = (_make_statement(inputs) for _, _, inputs in _statement_cases())
    rejection = make_rejection(
        digest, "Retention is too long for us.", "bert", "steward", signing(SEEDS["bert"]), NOW
    )
    verify_rejection(canonical_json(rejection))
    accepting = {"digest": digest, "statement": accepted["statement"], "signature": accepted["signature"]}
    proposing = {
        "agreement": document.model_dump(mode="json"),
        "statement": proposed["statement"],
        "signature": proposed["signature"],
    }
    payloads: dict[str, list[Payload]] = {
        "proposal": [("proposal", "proposer", proposing)],
        "acceptance": [("acceptance", "partner", accepting)],
        "rejection": [("rejection", "partner", rejection.model_dump(mode="json"))],
        **later_documents(digest, {name: signing(seed) for name, seed in SEEDS.items()}),
    }
    return [
        (
            name,
            "Verifies under the sender's key; both receipts verify under the recipient's.",
            {
                "kind": kind,
                "payload": payload,
                "seed": SEEDS[sender],
                "recipient_seed": SEEDS[Side(sender).other.value],
            },
        )
        for kind, cases in payloads.items()
        for name, sender, payload in cases
    ] + [_card_case()]


def _card_case() -> Case:
    """The card of ``card.json``, which has a key of its own: its certificate cannot be made twice."""
    card = json.loads((Path(__file__).parents[2] / "vectors" / "card.json").read_text("utf-8"))
    to = signing(SEEDS["partner"]).public.fingerprint.hex()
    payload = {**card["signed_card"], "to": to, "until": (NOW + timedelta(days=7)).isoformat()}
    document = CardDocument.model_validate_json(json.dumps(payload), strict=True)
    return (
        "card",
        "Verifies under the sender's key, which the card in it names; both receipts verify under the recipient's.",
        {
            "kind": CARD,
            "payload": document.model_dump(mode="json"),
            "seed": card["signing_seed"],
            "recipient_seed": SEEDS["partner"],
        },
    )


# --- authorisations -----------------------------------------------------------------------------------------------


def _make_authorisation(inputs: Json) -> Json:
    peer = MagicMock()  # a store that takes everything, knows the operator and has no policy
    tx = peer.store.transaction().__enter__()
    tx.policies.current.return_value = None
    tx.operators.get.return_value = SimpleNamespace(
        disabled_at=None, signing_public=signing(inputs["seed"]).public.raw
    )
    peer.clock.return_value = datetime.fromisoformat(inputs["now"])
    keys = OperatorKeys("anna", signing(inputs["seed"]), b"", ("steward",))
    run: Any = SimpleNamespace(
        sid=bytes.fromhex(inputs["sid"]), agreement=inputs["agreement"], run_id="R-00000000", reveal_by=None
    )
    match inputs["act"]:
        case "reveal":
            authorise_reveal(peer, run, keys)
        case "exchange":
            authorise_exchange(peer, run, inputs["fields"], bytes.fromhex(inputs["preview"]), keys)
        case _:
            grant_mandate(
                peer,
                inputs["agreement"],
                keys,
                acts=inputs["acts"],
                max_runs=inputs["max_runs"],
                expires_at=datetime.fromisoformat(inputs["expires_at"]),
            )
    ((row,), _) = peer.store.transaction().__enter__().authorisations.put.call_args
    return {
        "statement": parse_canonical(row.statement),
        "body": row.statement.hex(),
        "signature": row.signature.hex(),
    }


def _authorisation_cases() -> list[Case]:
    common = {"now": NOW.isoformat(), "seed": SEEDS["anna"], "agreement": "aa" * 32, "sid": "cc" * 32}
    mandate = {"acts": ["reveal", "exchange"], "max_runs": 4, "expires_at": "2026-12-31T00:00:00+00:00"}
    return [
        ("reveal", "Permits the reveal of one run, for 14 days.", {"act": "reveal", **common}),
        (
            "exchange",
            "Permits sending what this preview shows, for 7 days.",
            {"act": "exchange", **common, "fields": ["plan"], "preview": "dd" * 32},
        ),
        ("mandate", "Permits both acts for four runs.", {"act": "mandate", **common, **mandate}),
    ]


FILES = [
    VectorFile("agreement", "Canonical form, digest and short name.", _agreement_cases, _make_agreement),
    VectorFile("statement", "A side's signature under an agreement.", _statement_cases, _make_statement),
    VectorFile(
        "document",
        "Each kind of document with its signature and id, and receipts for it.",
        _document_cases,
        _make_document,
    ),
    VectorFile(
        "authorisation",
        "An operator's signed permission. It stays in the store of its side.",
        _authorisation_cases,
        _make_authorisation,
    ),
]

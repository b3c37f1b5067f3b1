"""A body of every kind of document, as it follows on the agreement and the run of the other vectors.

Each is made as the product makes it, and read as its receiver reads it before the store is asked.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from mutuals.agreement.acts import Note, act_fields, check_act, read_note
from mutuals.agreement.answers import Withdrawal
from mutuals.agreement.ending import TERMINATION, Termination
from mutuals.agreement.lifecycle import WITHDRAWAL
from mutuals.agreement.suspension import RESUMPTION, SUSPENSION, Resumption, Suspension
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.crypto.signing import SigningKey
from mutuals.framing import Context, frame
from mutuals.identity.acts import sign_act, verify_act
from mutuals.identity.operators import OperatorKeys
from mutuals.models.agreement import Side
from mutuals.models.attestation import Attestation
from mutuals.models.breach import BreachKind, BreachReport, BreachState
from mutuals.models.certificate import Certificate, ExportedFile, Search
from mutuals.obligations.attestation import ATTEST_ACT, ATTESTATION
from mutuals.obligations.breach_report import BREACH_CLOSED, BREACH_NOTICE, BREACH_UPDATE, REPORT_ACT
from mutuals.obligations.certificates import CERTIFICATE, STATEMENT, sign_certificate, verify_certificate
from mutuals.obligations.certificates_due import REMINDER, Reminder
from mutuals.obligations.revocation_document import (
    REVOCATION,
    REVOCATION_DONE,
    RevocationDone,
    make_revocation,
    parse_done,
    parse_revocation,
)
from mutuals.runs.lifecycle import RUN_ENDED
from support.vectors import Json

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SID = bytes.fromhex("cc" * 32)
BREACH = "B-00000001"
REASON = "We look into a complaint."

Payload = tuple[str, str, Json]
"""Name of the case, the side that sends it, and the body."""


def later_documents(digest: str, keys: dict[str, SigningKey]) -> dict[str, list[Payload]]:
    """By kind, what may follow on the agreement ``digest``; ``keys`` by side and operator."""
    anna = OperatorKeys("anna", keys["anna"], b"", ("steward", "privacy_officer"), "marketing")
    return {
        **_about_the_agreement(digest, anna),
        **_about_a_breach(digest, anna),
        **_about_a_run(keys["proposer"].public.fingerprint),
        ATTESTATION: [("attestation", "proposer", _attestation(digest, anna, keys["proposer"]))],
        CERTIFICATE: [("deletion-certificate", "proposer", _certificate(digest, keys["proposer"]))],
        REMINDER: [
            (
                "certificate-reminder",
                "partner",
                Reminder(
                    digest=digest, due_at=NOW + timedelta(days=14), asked_at=NOW + timedelta(days=20)
                ).model_dump(mode="json"),
            )
        ],
    }


def _about_the_agreement(digest: str, anna: OperatorKeys) -> dict[str, list[Payload]]:
    halt = {"suspension": "11" * 16}
    end: Json = {"reason": REASON, "cause": False, "ends_at": "2026-05-31T12:00:00Z"}
    unsigned: Json = {"reason": "The agreement had ended.", "cause": True, "ends_at": "2026-05-01T12:00:00Z"}
    made: dict[str, list[tuple[str, type[Note], str | None, Json]]] = {
        WITHDRAWAL: [("withdrawal", Withdrawal, "agreement.withdraw", {"reason": REASON})],
        SUSPENSION: [
            (
                "suspension",
                Suspension,
                "agreement.suspend",
                {**halt, "reason": REASON, "breach": None},
            )
        ],
        RESUMPTION: [("resumption", Resumption, "agreement.resume", halt)],
        TERMINATION: [
            ("termination", Termination, "agreement.terminate", end),
            ("termination without an act", Termination, None, unsigned),
        ],
    }
    return {
        kind: [
            (name, "proposer", _note(digest, anna, model, act, facts)) for name, model, act, facts in cases
        ]
        for kind, cases in made.items()
    }


def _note(digest: str, anna: OperatorKeys, model: type[Note], act: str | None, facts: Json) -> Json:
    signed = None if act is None else sign_act(anna, act, digest, facts, NOW)
    payload: Json = {"digest": digest, **facts, **act_fields(signed)}
    note = read_note(model, canonical_json(payload))
    if act is not None:
        check_act(note, act, facts)
    return payload


def _about_a_breach(digest: str, anna: OperatorKeys) -> dict[str, list[Payload]]:
    def report(revision: int, state: BreachState, news: str) -> Json:
        facts = BreachReport(
            breach_id=BREACH,
            what="A notebook was stolen from a car.",
            kinds=(BreachKind.CONFIDENTIALITY,),
            aware_at=NOW,
            began_at=NOW - timedelta(days=1),
            whose=("received",),
            agreements=(digest,),
            runs=("R-00000001",),
            data_categories=("contact",),
            person_categories=("customers",),
            received_records=12,
            consequences="Letters in our name.",
            measures="The disk was encrypted.",
            contact="dpo@company.example",
            revision=revision,
            state=state,
            news=news,
        ).model_dump(mode="json")
        signed = sign_act(anna, REPORT_ACT, BREACH, facts, NOW)
        act = verify_act(signed.body, signed.signature)
        BreachReport.model_validate_json(canonical_json(act.facts), strict=True)
        return dict(signed.evidence())

    return {
        BREACH_NOTICE: [(BREACH_NOTICE, "partner", report(0, BreachState.OPEN, ""))],
        BREACH_UPDATE: [(BREACH_UPDATE, "partner", report(1, BreachState.OPEN, "The notebook is back."))],
        BREACH_CLOSED: [(BREACH_CLOSED, "partner", report(2, BreachState.CLOSED, "Nobody had opened it."))],
    }


def _about_a_run(sender: bytes) -> dict[str, list[Payload]]:
    revocation = make_revocation(sender, SID, [0, 3], "withdrawal", NOW)
    done = RevocationDone(id=revocation.id, deleted=2, exports=1)
    bodies = revocation.model_dump(mode="json"), done.model_dump(mode="json")
    parse_revocation(canonical_json(bodies[0]), sender)
    parse_done(canonical_json(bodies[1]))
    return {
        RUN_ENDED: [("run-ended", "partner", {"sid": SID.hex(), "state": "stale"})],
        REVOCATION: [("revocation", "proposer", bodies[0])],
        REVOCATION_DONE: [("revocation-done", "partner", bodies[1])],
    }


def _attestation(digest: str, anna: OperatorKeys, key: SigningKey) -> Json:
    facts = Attestation(
        agreement=digest,
        period_from=NOW,
        period_until=NOW + timedelta(days=90),
        departments=("marketing",),
        exports=2,
        breaches=(BREACH,),
        about_breaches="The notebook is back.",
    ).model_dump(mode="json")
    signed = sign_act(anna, ATTEST_ACT, digest, facts, NOW + timedelta(days=91))
    act = verify_act(signed.body, signed.signature)
    Attestation.model_validate_json(canonical_json(act.facts), strict=True)
    signature = key.sign(frame(Context.ACT, signed.body))
    return {**signed.evidence(), "signature": signature.hex()}


def _certificate(digest: str, key: SigningKey) -> Json:
    exported = ExportedFile(
        file="campaign.csv", operator="anna", rows=12, fields=("plan",), at=NOW - timedelta(days=3)
    )
    certificate = Certificate(
        agreement=digest,
        versions=(digest,),
        side=Side.PROPOSER,
        organisation="Acme Ltd",
        fingerprint=key.public.fingerprint.hex(),
        ended_at=NOW,
        ended_by="own termination",
        operator="anna",
        triggered_by="command",
        runs=1,
        records_received=12,
        records_at_end=12,
        method=("The records were deleted.",),
        search=Search(files=9, size_bytes=400_000, slices=36, found=0),
        backups_expire_on=date(2026, 5, 31),
        exports=(exported,),
        exports_in_all=1,
        statement=STATEMENT,
        certified_at=NOW,
    )
    body, signature = sign_certificate(certificate, key)
    verify_certificate(body, signature, key.public)
    parsed: Any = parse_canonical(body)
    return {"certificate": parsed, "signature": signature.hex()}

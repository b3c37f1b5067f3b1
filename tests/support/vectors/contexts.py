"""Vectors of every context string: the fields that go behind it, the framed bytes, and what is made of them.

Each case is computed twice, from the fields by ``frame`` and by the function of the product that uses the context.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from mutuals import documents
from mutuals.agreement.assessed import assessment_digest, field_subject
from mutuals.agreement.document import agreement_digest, terms_digest
from mutuals.agreement.rejection import make_rejection
from mutuals.audit import tree as audit_tree
from mutuals.canonical import canonical_json
from mutuals.consent import Suppressor
from mutuals.crypto.signing import SigningKey, VerifyKey
from mutuals.framing import Context, frame
from mutuals.identity import accountability, operators
from mutuals.identity.acts import sign_act
from mutuals.identity.cards import parse_card
from mutuals.models.agreement import Side
from mutuals.models.certificate import Certificate, ExportedFile, Search
from mutuals.models.run import Role
from mutuals.normalisation import get_profile
from mutuals.obligations.certificates import sign_certificate, verify_certificate
from mutuals.obligations.revocation_document import revocation_id
from mutuals.policy.document import policy_bytes, policy_digest
from mutuals.protocol import envelopes, transcript
from mutuals.protocol.items import as_rows, items_for
from mutuals.protocol.messages import Hello, SealedRecord
from mutuals.protocol.outcome import MatchOutcome
from mutuals.protocol.sealing import RecordKeys
from mutuals.runs import keys as run_keys
from mutuals.runs import spool
from mutuals.runs.records import PlainRecord, preview_digest
from mutuals.signed_documents import document_id
from support.policies import policy
from support.vectors import Case, Json, VectorFile
from support.vectors.papers import FILES as PAPERS
from support.vectors.papers import NOW, SEEDS, example

SEED, KEY, SECRET = b"\x01" * 32, b"\x4b" * 32, b"\x53" * 32
INITIATOR, RESPONDER = Role
AGREEMENT, SID, TH = b"\xaa" * 32, b"\xcc" * 32, b"\x74" * 32
B_I, B_R, C_I, C_R = (bytes([n]) * 32 for n in (0xB1, 0xB2, 0xC1, 0xC2))
FP_I, FP_R = (SigningKey(bytes([n]) * 32).public.fingerprint for n in (1, 2))
NONCE, TAGS = b"\x4e" * 32, b"\x11" * 16 + b"\x22" * 16
ITEM = b"\x69" * 32
RECEIVING = b"\x52" * 1216
VERSIONS = {"phonenumbers": "9.0.1", "email-validator": "2.2.0", "idna": "3.10"}
RECORDS = (SealedRecord(0, (3, 5), 30, b"\x77" * 20), SealedRecord(2, (), 90, b"\x78" * 16))
PLAIN = (PlainRecord(0, (3, 5), 30, b'{"plan":"gold"}'), PlainRecord(2, (), 90, b"{}"))
RECORD_BYTES = (
    bytes.fromhex("000000000000000200000003000000050000001e") + b"\x77" * 20,
    bytes.fromhex("00000002000000000000005a") + b"\x78" * 16,
)
PLAIN_BYTES = (
    bytes.fromhex("000000000000001e000000020000000300000005") + b'{"plan":"gold"}',
    bytes.fromhex("000000020000005a00000000") + b"{}",
)
CARD = json.loads((Path(__file__).parents[2] / "vectors" / "card.json").read_text("utf-8"))

Field = bytes | str | int | tuple[bytes, ...]
Product = Callable[[bytes], bytes | None]
"""Gets what the fields say the result is; gives the product's, or nothing where no function alone makes it."""


def _hello(role: Role) -> Hello:
    return Hello(
        role=role,
        agreement=AGREEMENT,
        engine="openmined",
        profile="strict-v1",
        profile_digest=b"\xbb" * 32,
        set_size=5,
        initiator=FP_I,
        responder=FP_R,
        nonce=NONCE,
        receiving_key=RECEIVING,
        sent_at=1_777_636_800,
    )


def _hello_fields(role: Role) -> tuple[Field, ...]:
    same: tuple[Field, ...] = (AGREEMENT, "openmined", "strict-v1", b"\xbb" * 32, 5, FP_I, FP_R)
    return (1, role.value, *same, NONCE, RECEIVING, 1_777_636_800, 0)


def _header() -> envelopes.EnvelopeHeader:
    return envelopes.EnvelopeHeader(
        agreement=AGREEMENT,
        sid=SID,
        direction=INITIATOR,
        sender=FP_I,
        recipient=FP_R,
        receiving_key=b"\x6b" * 16,
        number=1,
        last=True,
        total=5,
        start=2,
        count=3,
        previous=b"\x70" * 32,
        batch=b"\x62" * 32,
        plaintext=b"\x71" * 32,
    )


def _outcome() -> MatchOutcome:
    return MatchOutcome(
        role=INITIATOR,
        transcript=transcript.Transcript(SID, B_I, B_R, C_I, C_R, 1),
        initiator=FP_I,
        responder=FP_R,
        partner_size=3,
        counted_own=b"\x51" * 64,
        counted_partner=b"\x52" * 64,
        items=as_rows(ITEM + b"\x6a" * 32, 32),
        partner_positions=np.array([2], np.uint32),
    )


def _blinded(_: bytes) -> bytes:
    state = transcript.BlindedDigest(INITIATOR, 2)
    state.update(b"\x02" * 33)
    state.update(b"\x03" * 33)
    return state.digest()


def _profile_with_versions(_: bytes) -> bytes:
    with patch("mutuals.normalisation.profile.version", VERSIONS.__getitem__):
        return get_profile("strict-v1").digest()


def _card(result: bytes) -> bytes:
    signed = {"card": CARD["signed_card"]["card"], "signature": result.hex()}
    parse_card(json.dumps(signed).encode())
    return result


def _paper(file: str, case: int) -> Json:
    """A case of another file, as the product makes it."""
    (found,) = (paper for paper in PAPERS if paper.name == file)
    return found.make(found.cases()[case][2])


def _signature(file: str, case: int) -> Product:
    return lambda _: bytes.fromhex(_paper(file, case)["signature"])


def _operator_signature(_: bytes) -> bytes:
    return bytes.fromhex(_paper("statement", 0)["statement"]["operators"][0]["signature"])


def _rejection(_: bytes) -> bytes:
    key = SigningKey(bytes.fromhex(SEEDS["bert"]))
    made = make_rejection(AGREEMENT.hex(), "Too long.", "bert", "steward", key, NOW)
    return bytes.fromhex(made.operator.signature)


def _run(**values: Any) -> Any:
    return SimpleNamespace(sid=SID, **values)


_RULES = canonical_json(get_profile("strict-v1").rules.as_json())
_RECORD_KEYS = RecordKeys(SID, INITIATOR, SECRET)
_DOCUMENT_ID = bytes.fromhex(document_id("acceptance", b"{}"))
_AGREEMENT_BYTES = canonical_json(example())
_TERMS_BYTES = canonical_json(
    {
        key: value
        for key, value in example().model_dump(mode="json").items()
        if key not in {"nonce", "version", "replaces"}
    }
)
_CERTIFICATE = Certificate(
    agreement="aa" * 32,
    versions=("ab" * 32, "aa" * 32),
    side=Side.PARTNER,
    organisation="Right SA",
    fingerprint=SigningKey(SEED).public.fingerprint.hex(),
    ended_at=NOW,
    ended_by="own termination",
    operator="bert",
    triggered_by="server",
    runs=2,
    records_received=120,
    records_at_end=80,
    method=("The rows were deleted.",),
    search=Search(files=9, size_bytes=500_000, slices=366, found=0),
    backups_expire_on=NOW.date(),
    exports=(ExportedFile(file="campaign.csv", operator="anna", rows=40, fields=("plan",), at=NOW),),
    exports_in_all=1,
    statement="A claim, signed.",
    certified_at=NOW,
)
_CERTIFICATE_BYTES = canonical_json(_CERTIFICATE)
_STATEMENT = bytes.fromhex(_paper("statement", 0)["body"])
_AUTHORISATION = bytes.fromhex(_paper("authorisation", 0)["body"])
_POLICY_BYTES = policy_bytes(policy())
_ACT_KEYS = operators.OperatorKeys(
    "anna", SigningKey(bytes.fromhex(SEEDS["anna"])), b"", ("admin",), "marketing"
)
_ACT = sign_act(_ACT_KEYS, "policy.approve", policy_digest(_POLICY_BYTES), {"version": 1}, NOW)
_CARD_BYTES = canonical_json(CARD["signed_card"]["card"])
_HELLO_BYTES = tuple(_hello(role).signed_bytes() for role in Role)
_SEALED = _RECORD_KEYS.seal(4, 30, b"{}")


def _record(result: bytes) -> bytes:
    """The associated data opens the record that the product sealed."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = _hkdf(frame(Context.RECORD_KEY, SID, "initiator", 4, 30))
    assert AESGCM(key).decrypt(bytes(12), _SEALED, result) == b"{}"
    return result


def _deletion_certificate(_: bytes) -> bytes:
    body, signature = sign_certificate(_CERTIFICATE, SigningKey(SEED))
    assert verify_certificate(body, signature, SigningKey(SEED).public) == _CERTIFICATE
    return signature


def _outer_key(_: bytes) -> bytes:
    return run_keys._outer_key(SECRET, "R-7Q3K2M9X")


def _hkdf(info: bytes) -> bytes:
    """HKDF-SHA256 of the exchange secret without salt, written out."""
    extracted = hmac.digest(bytes(32), SECRET, "sha256")
    return HKDFExpand(SHA256(), 32, info).derive(extracted)


# Name: context, how the result is made of the frame, fields, parameters, and the product's own way to it.
_CASES: dict[str, tuple[Context, str, tuple[Field, ...], Json, Product | None]] = {
    "item": (
        Context.ITEM,
        "sha256",
        (AGREEMENT, "email:jane@example.com"),
        {},
        lambda _: items_for(AGREEMENT, ["email:jane@example.com"]).tobytes(),
    ),
    "open": (
        Context.OPEN,
        "ed25519",
        _hello_fields(INITIATOR),
        {},
        lambda _: SigningKey(SEED).sign(_hello(INITIATOR).signed_bytes()),
    ),
    "accept": (
        Context.ACCEPT,
        "ed25519",
        _hello_fields(RESPONDER),
        {},
        lambda _: SigningKey(SEED).sign(_hello(RESPONDER).signed_bytes()),
    ),
    "sid": (
        Context.SID,
        "sha256",
        _HELLO_BYTES,
        {},
        lambda _: transcript.session_id(_hello(INITIATOR), _hello(RESPONDER)),
    ),
    "blinded": (
        Context.BLINDED,
        "sha256 of frame and tail",
        ("initiator", 2),
        {"tail": (b"\x02" * 33 + b"\x03" * 33).hex()},
        _blinded,
    ),
    "tag": (
        Context.TAG,
        "sha256, first 16 bytes",
        (SID, b"\x02" + b"\x57" * 32),
        {},
        lambda _: transcript.tags_of(SID, b"\x02" + b"\x57" * 32, 33),
    ),
    "tags": (
        Context.TAGS,
        "sha256",
        (SID, "responder", B_I, B_R, NONCE, hashlib.sha256(TAGS).digest()),
        {},
        lambda _: transcript.tag_commitment(SID, RESPONDER, B_I, B_R, NONCE, hashlib.sha256(TAGS).digest()),
    ),
    "th": (
        Context.TH,
        "sha256",
        (SID, B_I, B_R, C_I, C_R, 3),
        {},
        lambda _: transcript.Transcript(SID, B_I, B_R, C_I, C_R, 3).th,
    ),
    "counted": (
        Context.COUNTED,
        "ed25519",
        ("initiator", TH),
        {},
        lambda _: SigningKey(SEED).sign(transcript.counted_bytes(INITIATOR, TH)),
    ),
    "approve": (
        Context.APPROVE,
        "ed25519",
        ("responder", TH),
        {},
        lambda _: SigningKey(SEED).sign(transcript.approve_bytes(RESPONDER, TH)),
    ),
    "pair": (
        Context.PAIR,
        "hmac-sha256",
        (SID,),
        {"key": ITEM.hex()},
        lambda _: transcript.pair_handles(SID, np.frombuffer(ITEM, "S32")).tobytes(),
    ),
    "confirm, password": (
        Context.CONFIRM,
        "sha256",
        (TH, b"\x01" * 32 + b"\x02" * 32),
        {},
        lambda _: transcript.confirm_password(TH, b"\x01" * 32 + b"\x02" * 32),
    ),
    "confirm-identity": (
        Context.CONFIRM_IDENTITY,
        "frame",
        ("responder", FP_R),
        {},
        lambda _: transcript.confirm_identity(RESPONDER, FP_R),
    ),
    "confirm-mac": (
        Context.CONFIRM_MAC,
        "hmac-sha256",
        ("initiator", TH, b"A" + b"\x31" * 32, b"B" + b"\x32" * 32),
        {"key": KEY.hex()},
        lambda _: transcript.confirm_mac(KEY, INITIATOR, TH, b"A" + b"\x31" * 32, b"B" + b"\x32" * 32),
    ),
    "fingerprint": (
        Context.FINGERPRINT,
        "sha256",
        (SigningKey(SEED).public.raw,),
        {},
        lambda _: VerifyKey(SigningKey(SEED).public.raw).fingerprint,
    ),
    "card": (Context.CARD, "ed25519", (_CARD_BYTES,), {"seed": CARD["signing_seed"]}, _card),
    "agreement": (
        Context.AGREEMENT,
        "sha256",
        (_AGREEMENT_BYTES,),
        {},
        lambda _: bytes.fromhex(agreement_digest(_AGREEMENT_BYTES)),
    ),
    "statement": (
        Context.STATEMENT,
        "ed25519",
        (_STATEMENT,),
        {"seed": SEEDS["proposer"]},
        _signature("statement", 0),
    ),
    "operator-statement": (
        Context.OPERATOR_STATEMENT,
        "ed25519",
        (bytes.fromhex(agreement_digest(_AGREEMENT_BYTES)), "proposer", "anna", "steward", b""),
        {"seed": SEEDS["anna"]},
        _operator_signature,
    ),
    "rejection": (
        Context.REJECTION,
        "ed25519",
        (AGREEMENT, "bert", "steward", "Too long."),
        {"seed": SEEDS["bert"]},
        _rejection,
    ),
    "deletion-certificate": (
        Context.CERTIFICATE,
        "ed25519",
        (_CERTIFICATE_BYTES,),
        {},
        _deletion_certificate,
    ),
    "document, id": (
        Context.DOCUMENT,
        "sha256",
        ("acceptance", b"{}"),
        {},
        lambda _: bytes.fromhex(document_id("acceptance", b"{}")),
    ),
    "document": (
        Context.DOCUMENT,
        "ed25519",
        ("rejection", bytes.fromhex(_paper("document", 2)["body"])),
        {"seed": SEEDS["partner"]},
        _signature("document", 2),
    ),
    "receipt": (
        Context.RECEIPT,
        "ed25519",
        (_DOCUMENT_ID, 0, "BAD_MESSAGE"),
        {},
        lambda _: (
            documents.make_receipt(
                SigningKey(SEED), _DOCUMENT_ID, accepted=False, reason="BAD_MESSAGE"
            ).signature
        ),
    ),
    "receipt, inbox": (
        Context.RECEIPT,
        "sha256",
        ("inbox", FP_I, _DOCUMENT_ID),
        {},
        lambda _: bytes.fromhex(documents._inbox_place(FP_I.hex(), _DOCUMENT_ID)),
    ),
    "authorisation": (
        Context.AUTHORISATION,
        "ed25519",
        (_AUTHORISATION,),
        {"seed": SEEDS["anna"]},
        _signature("authorisation", 0),
    ),
    "policy": (
        Context.POLICY,
        "sha256",
        (_POLICY_BYTES,),
        {},
        lambda _: bytes.fromhex(policy_digest(_POLICY_BYTES)),
    ),
    "act": (Context.ACT, "ed25519", (_ACT.body,), {"seed": SEEDS["anna"]}, lambda _: _ACT.signature),
    "preview": (
        Context.PREVIEW,
        "hmac-sha256",
        (SID, "initiator", PLAIN_BYTES),
        {"key": KEY.hex()},
        lambda _: preview_digest(KEY, SID, INITIATOR, PLAIN),
    ),
    "profile, rules": (
        Context.PROFILE,
        "sha256",
        (_RULES,),
        {},
        lambda _: get_profile("strict-v1").rules_digest(),
    ),
    "profile, rules and libraries": (
        Context.PROFILE,
        "sha256",
        (_RULES, canonical_json(dict(VERSIONS))),
        {},
        _profile_with_versions,
    ),
    "spool, associated data": (
        Context.SPOOL,
        "frame",
        (SID, "matched", 1, 1),
        {},
        lambda _: spool._associated(_run(), "matched", 1, True),
    ),
    "spool, outcome": (
        Context.SPOOL,
        "frame",
        (
            *("match-outcome-1", "initiator", SID, B_I, B_R, C_I, C_R, 1, FP_I, FP_R, 3),
            *(b"\x51" * 64, b"\x52" * 64, ITEM + b"\x6a" * 32, b"\x02\x00\x00\x00"),
        ),
        {},
        lambda _: _outcome().to_bytes(),
    ),
    "operator": (
        Context.OPERATOR,
        "frame",
        ("anna", SigningKey(SEED).public.raw, RECEIVING),
        {},
        lambda _: operators._associated("anna", (SigningKey(SEED).public.raw, RECEIVING)),
    ),
    "wrap, run": (
        Context.WRAP,
        "frame",
        ("run", RECEIVING, "anna"),
        {},
        lambda _: run_keys._info(RECEIVING, "anna"),
    ),
    "run-share, key": (
        Context.RUN_SHARE,
        "hkdf-sha256",
        ("R-7Q3K2M9X",),
        {"secret": SECRET.hex()},
        _outer_key,
    ),
    "run-share, associated data": (
        Context.RUN_SHARE,
        "frame",
        (RECEIVING, "anna"),
        {},
        lambda _: run_keys._associated(RECEIVING, "anna"),
    ),
    "wrap, accountability": (
        Context.WRAP,
        "frame",
        ("accountability", RECEIVING, "anna"),
        {},
        lambda _: accountability._info(RECEIVING, "anna"),
    ),
    "log-salt": (
        Context.LOG_SALT,
        "hmac-sha256",
        (AGREEMENT, 7),
        {"key": SEED.hex()},
        lambda _: bytes.fromhex(audit_tree.salt(SigningKey(SEED), AGREEMENT.hex(), 7)),
    ),
    "log-salt, own log": (
        Context.LOG_SALT,
        "hmac-sha256",
        (b"", 1),
        {"key": SEED.hex()},
        lambda _: bytes.fromhex(audit_tree.salt(SigningKey(SEED), None, 1)),
    ),
    "receiving-key": (
        Context.RECEIVING_KEY,
        "sha256, first 16 bytes",
        (RECEIVING,),
        {},
        lambda _: envelopes.receiving_key_id(RECEIVING),
    ),
    "exchange-secret": (Context.EXCHANGE_SECRET, "frame", (SID, "responder"), {}, None),
    "record-key": (
        Context.RECORD_KEY,
        "hkdf-sha256",
        (SID, "initiator", 4, 30),
        {"secret": SECRET.hex()},
        lambda _: _RECORD_KEYS._record_key(4, 30),
    ),
    "record": (Context.RECORD, "frame", (SID, "initiator", 4, 30), {}, _record),
    "envelope": (
        Context.ENVELOPE,
        "ed25519",
        (
            *(AGREEMENT, SID, "initiator", FP_I, FP_R, b"\x6b" * 16, 1, 1, 5, 2, 3),
            *(b"\x70" * 32, b"\x62" * 32, b"\x71" * 32, b""),
        ),
        {},
        lambda _: SigningKey(SEED).sign(_header().to_bytes()),
    ),
    "envelope-digest": (
        Context.ENVELOPE_DIGEST,
        "sha256",
        (b"header", RECORD_BYTES),
        {},
        lambda _: envelopes.envelope_digest(b"header", RECORDS),
    ),
    "envelope-batch": (
        Context.ENVELOPE_BATCH,
        "sha256",
        (RECORD_BYTES,),
        {},
        lambda _: envelopes.batch_digest(RECORDS),
    ),
    "envelope-salt": (
        Context.ENVELOPE_SALT,
        "hkdf-sha256",
        (1,),
        {"secret": SECRET.hex()},
        lambda _: _RECORD_KEYS._derive(frame(Context.ENVELOPE_SALT, 1)),
    ),
    "envelope-plaintext": (
        Context.ENVELOPE_PLAINTEXT,
        "sha256",
        (_hkdf(frame(Context.ENVELOPE_SALT, 1)), (b'{"plan":"gold"}', b"{}")),
        {},
        lambda _: _RECORD_KEYS.plaintext_digest(1, (b'{"plan":"gold"}', b"{}")),
    ),
    "envelope-ack": (
        Context.ENVELOPE_ACK,
        "ed25519",
        (SID, b"\x65" * 32),
        {},
        lambda _: SigningKey(SEED).sign(envelopes.ack_bytes(SID, b"\x65" * 32)),
    ),
    "terms": (
        Context.TERMS,
        "sha256",
        (_TERMS_BYTES,),
        {},
        lambda _: bytes.fromhex(terms_digest(example())),
    ),
    "terms, field": (
        Context.TERMS,
        "sha256",
        ("field", canonical_json(example().proposer_sends[0]), FP_R, "sharing"),
        {},
        lambda _: bytes.fromhex(field_subject(example().proposer_sends[0], FP_R.hex(), "sharing")),
    ),
    "assessment": (
        Context.ASSESSMENT,
        "sha256",
        (b"{}",),
        {},
        lambda _: bytes.fromhex(assessment_digest(b"{}")),
    ),
    "suppression, of one agreement": (
        Context.SUPPRESSION,
        "hmac-sha256",
        (AGREEMENT, "email", "janedoe@gmail.com"),
        {"key": KEY.hex()},
        lambda _: Suppressor(KEY).hashes(AGREEMENT, "email", ["janedoe@gmail.com"])[0],
    ),
    "suppression, of every agreement": (
        Context.SUPPRESSION,
        "hmac-sha256",
        (b"", "contact", "C-1001"),
        {"key": KEY.hex()},
        lambda _: Suppressor(KEY).hashes(b"", "contact", ["C-1001"])[0],
    ),
    "revocation": (
        Context.REVOCATION,
        "sha256",
        (SID, FP_I, "withdrawal", f"{NOW:%Y-%m-%dT%H:%M:%SZ}", (b"\0\0\0\3", b"\0\0\1\0")),
        {},
        lambda _: bytes.fromhex(revocation_id(FP_I, SID, (3, 256), "withdrawal", NOW)),
    ),
    "revocation, own contacts": (Context.REVOCATION, "frame", ("contacts", "log"), {}, None),
    "overlap": (Context.OVERLAP, "frame", (SID,), {}, None),
    "sent": (Context.SENT, "frame", (SID,), {}, None),
}


def _shown(value: Field) -> Json:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, str):
        return {"text": value}
    return {"number": value} if isinstance(value, int) else {"list": [member.hex() for member in value]}


def _read(value: Json) -> Field:
    ((kind, content),) = value.items()
    if kind == "bytes":
        return bytes.fromhex(content)
    return tuple(map(bytes.fromhex, content)) if kind == "list" else content


def _result(how: str, framed: bytes, inputs: Json) -> bytes:
    match how:
        case "frame":
            return framed
        case "sha256":
            return hashlib.sha256(framed).digest()
        case "sha256, first 16 bytes":
            return hashlib.sha256(framed).digest()[:16]
        case "sha256 of frame and tail":
            return hashlib.sha256(framed + bytes.fromhex(inputs["tail"])).digest()
        case "hmac-sha256":
            return hmac.digest(bytes.fromhex(inputs["key"]), framed, "sha256")
        case "ed25519":
            return SigningKey(bytes.fromhex(inputs["seed"])).sign(framed)
        case _:
            assert bytes.fromhex(inputs["secret"]) == SECRET
            return _hkdf(framed)


def _make(inputs: Json) -> Json:
    framed = frame(Context(inputs["context"]), *map(_read, inputs["fields"]))
    result = _result(inputs["how"], framed, inputs)
    product = _CASES[inputs["use"]][4]
    assert product is None or product(result) == result, inputs["use"]
    return {"frame": framed.hex(), "result": result.hex()}


def _cases() -> list[Case]:
    cases = []
    for name, (context, how, fields, parameters, _) in _CASES.items():
        seed = {"seed": SEED.hex()} if how == "ed25519" else {}
        inputs = {
            "use": name,
            "context": context.value,
            "fields": [_shown(value) for value in fields],
            "how": how,
            **seed,
            **parameters,
        }
        cases.append((name, "The result is made of the frame in the way that how says.", inputs))
    return cases


FILES = [
    VectorFile(
        "contexts",
        "Every context string in use: what is framed behind it, and what is made of it.",
        _cases,
        _make,
    )
]

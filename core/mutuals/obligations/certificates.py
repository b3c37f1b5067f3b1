"""Deletion certificates: making ours, taking the partner's, closing the agreement (DESIGN §8).

    certify(tx, peer, chain, search, trigger)      # after the destruction and the search; ours, into the outbox
    receive_certificate(tx, peer, partner, body)   # the partner's
    close_if_certified(tx, digest, now)            # both are in

A certificate covers all versions of an agreement and is filed under the last. It is signed by the peer, and says of
itself what it cannot prove.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from mutuals.agreement.active import tampered, utc_date
from mutuals.agreement.acts import fault, partners_agreement
from mutuals.agreement.chain import chain_of, newest_of
from mutuals.agreement.telling import CONCERNED, notify
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.crypto.signing import BadSignature, SigningKey, VerifyKey
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.partners import partner_key
from mutuals.identity.text import deceptive_character
from mutuals.models.agreement import AgreementState
from mutuals.models.certificate import MAX_EXPORTS, Certificate, ExportedFile, Search
from mutuals.obligations.destruction import runs_under
from mutuals.policy.current import current_policy
from mutuals.runs.ending import is_over
from mutuals.signed_documents import enqueue, sign_document
from mutuals.store.rows import AgreementRow, CertificateRow, ExportRow, PartnerRow
from mutuals.wording import counted

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

CERTIFICATE = "deletion-certificate"

Trigger = Literal["server", "command"]

CLOCKS_DIFFER = timedelta(days=1)
"""A certificate that comes so much before the end by our clock waits; one from later than that is no certificate."""

_OVER = frozenset({AgreementState.ENDED, AgreementState.CLOSED})

_METHOD = (
    "The wrapped keys of every run were deleted; their shares outside of the database were overwritten and removed.",
    "The received records, the own side of the overlap and the envelopes they came in were deleted.",
    "Sealed records of our own that had been kept for a retry were erased.",
)
_METHOD_FILE = "The database file was rewritten without them (SQLite VACUUM), with deleted pages overwritten."
_METHOD_SERVER = (
    "The rows were deleted on a database server, whose own files were not examined; its vacuum reclaims them."
)

STATEMENT = (
    "This certifies what this peer's software did and found, not the state of every disk: storage may keep old blocks "
    "for a while, backups expire on the day named here, and the files listed as exports were written by people, who "
    "were asked to delete them. It is a claim under the agreement, signed, and to be answered for."
)


def certify(
    tx: Transaction, peer: Peer, chain: Sequence[AgreementRow], search: Search, trigger: Trigger
) -> Certificate:
    """Sign the own certificate for the agreement whose versions ``chain`` are, send it, and tell the operators.

    The caller has made sure that nothing received is left. Raises MutualsError where policy or agreement in the
    store are not what was signed.
    """
    row, now = chain[-1], peer.clock()
    certificate = _certificate(tx, peer, chain, search, trigger, now)
    body, signature = sign_certificate(certificate, peer.signing_key)
    tx.certificates.put(CertificateRow(row.digest, row.own_side, body, signature, now))
    payload = {"certificate": parse_canonical(body), "signature": signature.hex()}
    enqueue(tx, peer, row.partner, sign_document(peer, CERTIFICATE, payload))
    tx.log.append(
        row.digest, "certificate.signed", {"certificate": body.decode(), "signature": signature.hex()}, now
    )
    _tell_of_destruction(tx, row, certificate, _exports(tx, chain), now)
    return certificate


def sign_certificate(certificate: Certificate, key: SigningKey) -> tuple[bytes, bytes]:
    """Its canonical form, and the peer's signature over ``frame(CERTIFICATE, form)`` (64 bytes)."""
    body = canonical_json(certificate)
    return body, key.sign(frame(Context.CERTIFICATE, body))


def verify_certificate(body: bytes, signature: bytes, key: VerifyKey) -> Certificate:
    """The certificate in ``body``, signed with ``key``, whose fingerprint it must name. Raises ValueError."""
    try:
        parse_canonical(body)
        certificate = Certificate.model_validate_json(body, strict=True)
        if canonical_json(certificate) != body:
            raise ValueError("not in its one byte form")
        if any(deceptive_character(text, lines=False) for text in _texts(certificate)):
            raise ValueError("a text holds a control or invisible character")
        if certificate.fingerprint != key.fingerprint.hex():
            raise ValueError("it names another peer")
        key.verify(frame(Context.CERTIFICATE, body), signature)
    except BadSignature as error:
        raise ValueError("the signature does not fit") from error
    except RecursionError as error:
        raise ValueError("not a certificate") from error
    return certificate


def receive_certificate(tx: Transaction, peer: Peer, partner: PartnerRow, body: bytes) -> None:
    """Keep the partner's certificate; with ours there, the agreement is closed. Raises PartnerFault.

    1. Its form, its signature, that it is this partner's.
    2. Every version is of one agreement with this partner; the side is the partner's.
    3. The agreement has ended here, or does by our clock. Where that is less than a day off, no PartnerFault but
       MutualsError (AGREEMENT_NOT_ACTIVE): the document comes again.
    4. It is the first of that side; the very same again changes nothing.
    """
    now = peer.clock()
    try:
        document = parse_canonical(body)
        if document.keys() != {"certificate", "signature"}:
            raise ValueError("other keys")
        signed = canonical_json(document["certificate"])
        signature = bytes.fromhex(document["signature"])
        certificate = verify_certificate(signed, signature, partner_key(partner))
        if document["signature"] != signature.hex() or certificate.certified_at > now + CLOCKS_DIFFER:
            raise ValueError("not in its one byte form, or from the future")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise fault("A deletion certificate is not in the form it must have, or not signed.") from error
    chain = chain_of(tx, partners_agreement(tx, partner, certificate.agreement).digest)
    head = newest_of(chain)
    if not set(certificate.versions) <= {row.digest for row in chain}:
        raise fault("A deletion certificate names versions that are not of one agreement.")
    if certificate.side is not head.own_side.other:
        raise fault("A deletion certificate is for the other side than its sender's.")
    check_over(head, now)
    held = [row for version in chain if (row := tx.certificates.get(version.digest, certificate.side))]
    if held:
        if held[0].body != signed:
            raise fault("A second, different deletion certificate came for one agreement.")
        return
    tx.certificates.put(
        CertificateRow(certificate.agreement, certificate.side, signed, signature, certificate.certified_at)
    )
    tx.log.append(
        head.digest,
        "certificate.received",
        {"certificate": signed.decode(), "signature": signature.hex()},
        now,
    )
    files = (
        f" and names {counted(certificate.exports_in_all, 'exported file')}"
        if certificate.exports_in_all
        else ""
    )
    received = counted(certificate.records_received, "record")
    what = f"is certified as deleted by {partner.name}: {received} received{files}."
    notify(tx, head, what, CONCERNED, now)
    close_if_certified(tx, head.digest, now)


def certificate_of(tx: Transaction, chain: Sequence[AgreementRow], *, own: bool) -> CertificateRow | None:
    """Our certificate, or the partner's, for the agreement whose versions ``chain`` are."""
    for row in chain:
        held = tx.certificates.get(row.digest, row.own_side if own else row.own_side.other)
        if held is not None:
            return held
    return None


def close_if_certified(tx: Transaction, digest: str, now: datetime) -> bool:
    """Close all versions of the agreement once both certificates are in; whether it is closed now."""
    chain = chain_of(tx, digest)
    if newest_of(chain).state is not AgreementState.ENDED:
        return False
    if certificate_of(tx, chain, own=True) is None or certificate_of(tx, chain, own=False) is None:
        return False
    for row in chain:
        if row.state is AgreementState.ENDED:
            tx.agreements.set_state(row.digest, AgreementState.CLOSED, now, row.reason)
            tx.log.append(row.digest, "agreement.closed", {}, now)
    notify(tx, newest_of(chain), "is closed: both deletion certificates are in.", CONCERNED, now)
    return True


def ended_chains(tx: Transaction) -> list[list[AgreementRow]]:
    """The agreements that have ended and are not closed, each as its versions that ever bound, oldest first."""
    chains: dict[str, list[AgreementRow]] = {}
    for row in tx.agreements.list():
        if row.state is AgreementState.ENDED:
            chain = chain_of(tx, row.digest)
            head = newest_of(chain)
            if head.state is AgreementState.ENDED:
                chains[head.digest] = chain[: chain.index(head) + 1]
    return list(chains.values())


def _certificate(
    tx: Transaction,
    peer: Peer,
    chain: Sequence[AgreementRow],
    search: Search,
    trigger: Trigger,
    now: datetime,
) -> Certificate:
    row = chain[-1]
    if row.ended_at is None:
        raise tampered(row)
    policy = current_policy(tx)
    expiry = utc_date(now) + timedelta(days=policy.backups_expire_days) if policy is not None else None
    exports = _exports(tx, chain)
    ended_by, operator = _how_it_ended(tx, chain)
    entries = [entry for version in chain for entry in tx.log.entries(version.digest)]
    return Certificate(
        agreement=row.digest,
        versions=tuple(version.digest for version in chain),
        side=row.own_side,
        organisation=peer.name,
        fingerprint=peer.fingerprint.hex(),
        ended_at=whole_seconds(row.ended_at),
        ended_by=ended_by,
        operator=operator,
        triggered_by=trigger,
        runs=len(runs_under(tx, chain)),
        records_received=_sum(
            entry.body.get("records_received") for entry in entries if entry.event == "run.exchanged"
        ),
        records_at_end=_sum(
            entry.body.get("records_destroyed")
            for entry in entries
            if entry.event == "run.destroyed" and entry.body.get("why") == "end"
        ),
        method=(*_METHOD, _METHOD_SERVER if peer.store.path is None else _METHOD_FILE),
        search=search,
        backups_expire_on=expiry,
        exports=tuple(_exported(export) for export in exports[-MAX_EXPORTS:]),
        exports_in_all=len(exports),
        statement=STATEMENT,
        certified_at=whole_seconds(now),
    )


def _how_it_ended(
    tx: Transaction, chain: Sequence[AgreementRow]
) -> tuple[Literal["expiry", "own termination", "partner's termination"], str | None]:
    """What ended the agreement, and who of ours signed for it."""
    head = chain[-1]
    if head.ends_at is None or head.ended_at is None or head.ended_at < head.ends_at:
        return "expiry", None
    for entry in reversed([entry for row in chain for entry in tx.log.entries(row.digest)]):
        if entry.event == "agreement.terminated" and _moment(entry.body.get("ends_at")) == whole_seconds(
            head.ends_at
        ):
            operators = entry.body.get("operators")
            return "own termination", str(operators[-1]) if isinstance(
                operators, list
            ) and operators else None
    return "partner's termination", None


def _exports(tx: Transaction, chain: Sequence[AgreementRow]) -> list[ExportRow]:
    runs = {run.run_id for run in runs_under(tx, chain)}
    return [export for export in tx.exports.list() if export.run_id in runs]


def _exported(row: ExportRow) -> ExportedFile:
    """An export as the partner may know of it: without the folders, which are nobody else's business."""
    name = "".join(
        "?" if deceptive_character(character) else character for character in PurePath(row.file).name
    )
    return ExportedFile(
        file=name.strip()[:200] or "?",
        operator=row.operator,
        rows=row.rows,
        fields=row.fields,
        at=whole_seconds(row.at),
    )


def _tell_of_destruction(
    tx: Transaction, row: AgreementRow, certificate: Certificate, exports: Sequence[ExportRow], now: datetime
) -> None:
    what = (
        "is over: what was received is destroyed "
        f"({counted(certificate.records_at_end, 'record was', 'records were')} still held), "
        "and the deletion certificate is signed."
    )
    notify(tx, row, what, CONCERNED, now)
    if exports:
        shown = "; ".join(
            f"{export.file} ({export.operator}, {counted(export.rows, 'row')})" for export in exports[-20:]
        )
        more = f" and {len(exports) - 20:,} more" if len(exports) > 20 else ""
        notify(
            tx, row, f"is over: delete the files exported from it, and every copy: {shown}{more}.", (), now
        )


def check_over(head: AgreementRow, now: datetime) -> None:
    """Raise unless the agreement has ended, here or by our clock; see ``receive_certificate``."""
    if head.state in _OVER or is_over(head, now):
        return
    if is_over(head, now + CLOCKS_DIFFER) and head.state is not AgreementState.REJECTED:
        raise MutualsError(
            ErrorCode.AGREEMENT_NOT_ACTIVE,
            f"Agreement {head.agreement_id} has not ended here yet.",
            hint="It will.",
        )
    raise fault("A document about the end of an agreement came that has not ended.")


def _texts(certificate: Certificate) -> list[str]:
    value: dict[str, Any] = certificate.model_dump(mode="json")
    texts = [text for text in value.values() if isinstance(text, str)] + list(certificate.method)
    for export in certificate.exports:
        texts += [export.file, export.operator, *export.fields]
    return texts


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def whole_seconds(moment: datetime) -> datetime:
    """The moment as documents write it: UTC, whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0)


def _sum(values: Any) -> int:
    return sum(value for value in values if isinstance(value, int))

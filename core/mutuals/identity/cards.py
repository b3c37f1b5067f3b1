"""Cards: issuing one's own, and checking a stranger's before anything of it is believed (DESIGN §4).

signed = issue_card(config, signing_key, log_key.public, certificate_pem, serial=1, now=now)
data = card_bytes(signed)
signed = parse_card(data, now=now)
fingerprint_of(signed.card)
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from pydantic import ValidationError

from mutuals.canonical import canonical_json
from mutuals.crypto.signing import BadKey, BadSignature, SigningKey, VerifyKey
from mutuals.crypto.tls import BadCertificate, certificate_pin, check_certificate
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.home import Config, deceptive_text
from mutuals.identity.text import valid_endpoint
from mutuals.models.card import Card, SignedCard

MAX_CARD_BYTES = 64 * 1024
_ASK_AGAIN = "Ask them for the file again, as they wrote it: mutuals card > FILE"
_ASK_FOR_CARD = "Ask your partner for the file that they write with: mutuals card > FILE"


def issue_card(
    config: Config,
    signing_key: SigningKey,
    log_key: VerifyKey,
    tls_certificate_pem: bytes,
    serial: int,
    now: datetime,
) -> SignedCard:
    """A card with what ``config`` says about the company, signed by ``signing_key``.

    ``log_key`` verifies the heads of its logs and never changes. ``serial`` is one for the first card and grows with
    each; ``now`` is aware.
    """
    card = Card(
        organisation=config.organisation,
        introduction=config.introduction,
        privacy_policy=config.privacy_policy,
        data_handling=config.data_handling,
        contacts=config.contacts,
        endpoint=config.endpoint,
        signing_key=signing_key.public.raw.hex(),
        log_key=log_key.raw.hex(),
        tls_certificate=tls_certificate_pem.decode(),
        serial=serial,
        issued_at=now.astimezone(UTC).replace(microsecond=0),
    )
    return SignedCard(card=card, signature=signing_key.sign(_signed_bytes(card)).hex())


def card_bytes(signed: SignedCard) -> bytes:
    """The card as the file that partners exchange: JSON, indented for people to read."""
    return (json.dumps(signed.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n").encode()


def parse_card(data: bytes, *, now: datetime | None = None) -> SignedCard:
    """Read and check a card; whether its certificate is still valid only where ``now`` (aware) is given.

    In this order: size, JSON, keys and their types, texts, endpoint, signing key, log key, signature, certificate.
    Raises MutualsError (PEER_IDENTITY) with a sentence for the first thing that is wrong.
    """
    if len(data) > MAX_CARD_BYTES:
        raise _refused(f"is larger than {MAX_CARD_BYTES // 1024} KiB, which no card is", _ASK_FOR_CARD)
    try:
        signed = SignedCard.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise _refused(*_fault(error)) from None  # the error holds the stranger's input
    card = signed.card
    fault = deceptive_text(card)
    if fault:
        raise _refused(f"is misleading: {fault}", "Talk to them before you trust it.")
    if card.endpoint is not None and not valid_endpoint(card.endpoint):
        raise _refused("names an endpoint that is not host:port", _ASK_AGAIN)
    if card.issued_at.utcoffset() is None:
        raise _refused("gives its time of issue without a time zone", _ASK_AGAIN)
    key = _trusted(card.signing_key, "signing key")
    _trusted(card.log_key, "log key")
    if card.log_key == card.signing_key:
        raise _refused("has one key for signing and for its logs, which must be two", _ASK_AGAIN)
    try:
        key.verify(_signed_bytes(card), bytes.fromhex(signed.signature))
    except BadSignature as error:
        raise _refused(
            "is not signed by its own key, so it was changed on the way or is a forgery",
            _ASK_AGAIN,
        ) from error
    try:
        check_certificate(card.tls_certificate.encode(), key.fingerprint, now)
    except BadCertificate as error:
        raise _refused(f"is refused: {error}", "Ask them for a fresh one: mutuals card --renew") from error
    return signed


def fingerprint_of(card: Card) -> bytes:
    """What the peer is known by: SHA-256 of its framed signing key; 32 bytes."""
    return VerifyKey(bytes.fromhex(card.signing_key)).fingerprint


def tls_pin(certificate_pem: str) -> bytes:
    """SHA-256 of the certificate's SubjectPublicKeyInfo; 32 bytes. Raises BadCertificate (a ValueError)."""
    return certificate_pin(certificate_pem.encode())


def _trusted(raw: str, name: str) -> VerifyKey:
    try:
        return VerifyKey(bytes.fromhex(raw))
    except BadKey as error:
        raise _refused(f"has a {name} that cannot be trusted: {error}", _ASK_AGAIN) from error
    except ValueError as error:
        raise _refused(f"has a {name} that cannot be trusted", _ASK_AGAIN) from error


def _signed_bytes(card: Card) -> bytes:
    return frame(Context.CARD, canonical_json(card))


def _refused(clause: str, hint: str | None = None) -> MutualsError:
    return MutualsError(ErrorCode.PEER_IDENTITY, f"The card {clause}.", hint=hint)


def _fault(error: ValidationError) -> tuple[str, str]:
    """What is wrong with the file's shape, as a clause after “The card”, and what to do."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # Part of the location may be a key the stranger chose.
    key = re.sub(r"[^A-Za-z0-9_.]", "?", ".".join(str(part) for part in first["loc"]))[:80]
    whole = len(first["loc"]) < 2  # not even the two parts every card has
    match first["type"]:
        case "extra_forbidden" if not whole:
            return f"has an unknown key, {key}", "It may come from a newer release of mutuals; use the same."
        case "missing" if not whole:
            return f"is incomplete: the key {key} is missing", _ASK_AGAIN
        case _ if not whole:
            return f"has a value that is not allowed under {key}", _ASK_AGAIN
    return "cannot be read: the file holds something else than a card", _ASK_FOR_CARD

"""Steps 1 and 2: what each side commits to before the first point, and how the other side checks it.

    opened = make_hello(Role.INITIATOR, terms, set_size, nonce, receiving_key, now, signing_key)
    check_hello(opened, Role.INITIATOR, terms, initiator_key, now)

Both sides derive their terms from the signed agreement; a Hello that names anything else is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from mutuals.crypto import hpke
from mutuals.crypto.signing import BadSignature, SigningKey, VerifyKey
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.models.run import Role
from mutuals.protocol.messages import VERSION, Hello

MAX_SKEW_SECONDS = 300
NONCE_SIZE = 32
RECEIVING_KEY_SIZE = 1216


@dataclass(frozen=True)
class MatchTerms:
    """What both sides hold to be agreed, before a run.

    ``agreement``, ``profile_digest`` and the fingerprints ``initiator`` and ``responder`` are 32 bytes. The bounds
    apply to the sizes that both sides announce, in items.
    """

    agreement: bytes
    engine: str
    profile: str
    profile_digest: bytes
    initiator: bytes
    responder: bytes
    min_set_size: int
    max_set_size: int
    count_only: bool = False


def make_hello(
    role: Role,
    terms: MatchTerms,
    set_size: int,
    nonce: bytes,
    receiving_key: bytes,
    now: datetime,
    signing_key: SigningKey,
) -> Hello:
    """The signed Open or Accept of ``role``."""
    hello = Hello(
        role=role,
        agreement=terms.agreement,
        engine=terms.engine,
        profile=terms.profile,
        profile_digest=terms.profile_digest,
        set_size=set_size,
        initiator=terms.initiator,
        responder=terms.responder,
        nonce=nonce,
        receiving_key=receiving_key,
        sent_at=int(now.timestamp()),
        count_only=terms.count_only,
    )
    return replace(hello, signature=signing_key.sign(hello.signed_bytes()))


def check_own_size(size: int, terms: MatchTerms) -> None:
    """Raise MutualsError (SET_TOO_SMALL, SET_TOO_LARGE) where the own list may not enter the match."""
    _check_size(MutualsError, "Our list", size, terms)


def check_hello(hello: Hello, role: Role, terms: MatchTerms, key: VerifyKey, now: datetime) -> None:
    """Check the Hello that arrived at ``now`` from the partner, whose role is ``role`` and whose key is ``key``.

    Raises PartnerFault with the most telling code: VERSION, BAD_MESSAGE (role, signature, sizes of fields, a receiving
    key that is none), PEER_IDENTITY, AGREEMENT_UNKNOWN, ENGINE_MISMATCH, PROFILE_MISMATCH, AGREEMENT_FORBIDS (count
    only), CLOCK_SKEW, SET_TOO_SMALL or SET_TOO_LARGE.
    """
    if hello.version != VERSION:
        raise PartnerFault(
            ErrorCode.VERSION,
            f"The partner speaks protocol version {hello.version}, this release version {VERSION}.",
            hint="Install the same major release on both sides.",
        )
    if hello.role is not role:
        raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner's greeting names the wrong role.")
    try:
        key.verify(hello.signed_bytes(), hello.signature)
    except BadSignature as error:
        raise PartnerFault(
            ErrorCode.BAD_MESSAGE, "The partner's greeting is not signed by the key on its card."
        ) from error
    if (hello.initiator, hello.responder) != (terms.initiator, terms.responder):
        raise PartnerFault(
            ErrorCode.PEER_IDENTITY, "The partner's greeting names other peers than the two of us."
        )
    if hello.agreement != terms.agreement:
        raise PartnerFault(ErrorCode.AGREEMENT_UNKNOWN, "The partner's greeting names another agreement.")
    if hello.engine != terms.engine:
        raise PartnerFault(
            ErrorCode.ENGINE_MISMATCH, "The partner's greeting names another engine than agreed."
        )
    if (hello.profile, hello.profile_digest) != (terms.profile, terms.profile_digest):
        raise PartnerFault(
            ErrorCode.PROFILE_MISMATCH,
            "The partner normalises identifiers by other rules or with other library versions.",
            hint="Install the same release of mutuals and of its dependencies on both sides.",
        )
    if hello.count_only is not terms.count_only:
        raise PartnerFault(
            ErrorCode.AGREEMENT_FORBIDS, "The two sides differ on whether this run ends with the count."
        )
    if len(hello.nonce) != NONCE_SIZE or len(hello.receiving_key) != RECEIVING_KEY_SIZE:
        raise PartnerFault(ErrorCode.BAD_MESSAGE, "A field of the partner's greeting has a wrong size.")
    # Now, because after the reveal it would be too late: the overlap is known, and no record could be sealed.
    if not hpke.usable(hello.receiving_key):
        raise PartnerFault(
            ErrorCode.BAD_MESSAGE, "Nothing can be sealed to the receiving key of the partner."
        )
    _check_clock(hello.sent_at, now)
    _check_size(PartnerFault, "The partner's list", hello.set_size, terms)


def _check_clock(sent_at: int, now: datetime) -> None:
    skew = abs(sent_at - now.timestamp())
    if skew > MAX_SKEW_SECONDS:
        raise PartnerFault(
            ErrorCode.CLOCK_SKEW,
            f"The two clocks differ by {skew / 60:.0f} minutes; {MAX_SKEW_SECONDS // 60} are allowed.",
            hint="Let both machines take their time from a time server.",
        )


def _check_size(kind: type[MutualsError], whose: str, size: int, terms: MatchTerms) -> None:
    if size > terms.max_set_size:
        raise kind(
            ErrorCode.SET_TOO_LARGE,
            f"{whose} has {size:,} items; the agreement allows at most {terms.max_set_size:,}.",
        )
    if size < terms.min_set_size:
        raise kind(
            ErrorCode.SET_TOO_SMALL,
            f"{whose} has {size:,} items; the agreement asks for at least {terms.min_set_size:,}.",
        )

"""Checks that call partners: whether each answers, and whether the two sides have alike what they must.

What a partner says of itself is compared, never believed: it decides a warning about that partner and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from shlex import quote
from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted
from mutuals_client.doctor.finding import Finding, Patient, Verdict

if TYPE_CHECKING:
    from mutuals.models.card import Card
    from mutuals.peer import Peer
    from mutuals.store.rows import PartnerRow
    from mutuals.transport.connection import PingReply

CALL_SECONDS = 10.0
CLOCK_WARNING_SECONDS = 60
RENEW_DAYS = 14


def partners(patient: Patient) -> Iterator[Finding]:
    """The partner that was named, or each: what its card says, and what it answers."""
    from mutuals.identity.partners import partner_card

    peer = patient.peer
    if peer is None or patient.offline:
        return
    rows = patient.partners
    if rows is None:
        with peer.store.transaction() as tx:
            rows = tx.partners.list()
    if not rows:
        yield Finding(Verdict.OK, "No partner is known yet.", "Import a card: mutuals partner add FILE")
    for row in rows:
        card = partner_card(row)
        yield from _certificate(row, card, peer.clock())
        if card.endpoint is None:
            yield _has_to_call(peer, row)
        else:
            yield from _call(patient, peer, row, card, named=patient.partners is not None)


def _facts(row: PartnerRow, **more: object) -> dict[str, object]:
    return {"partner": row.name, "fingerprint": row.fingerprint, **more}


def _certificate(row: PartnerRow, card: Card, now: datetime) -> Iterator[Finding]:
    from mutuals.crypto.tls import valid_until

    until = valid_until(card.tls_certificate.encode())
    days = (until - now).days
    advice = f"Ask {row.name} for its renewed card: mutuals partner add FILE"
    facts = _facts(row, valid_until=until)
    if until <= now:
        yield Finding(
            Verdict.FAIL,
            f"The certificate on the card of {row.name} ran out on {until:%Y-%m-%d}.",
            advice,
            facts,
        )
    elif days < RENEW_DAYS:
        sentence = f"The certificate on the card of {row.name} runs out in {counted(days, 'day')}."
        yield Finding(Verdict.WARN, sentence, advice, facts)


def _has_to_call(peer: Peer, row: PartnerRow) -> Finding:
    if peer.card.card.endpoint is None:
        return Finding(
            Verdict.FAIL,
            f"Neither you nor {row.name} can be called: no card has an endpoint.",
            "One of you needs one: set endpoint in config.toml, then mutuals card --renew",
            _facts(row, endpoint=None),
        )
    return Finding(
        Verdict.OK,
        f"{row.name} has no endpoint: it calls you.",
        "Whether it gets through can be seen from its side alone: mutuals doctor, run there.",
        _facts(row, endpoint=None),
    )


def _call(patient: Patient, peer: Peer, row: PartnerRow, card: Card, *, named: bool) -> Iterator[Finding]:
    from mutuals.transport.connection import connect
    from mutuals.transport.options import DEFAULT_LIMITS

    facts = _facts(row, endpoint=card.endpoint)
    try:
        with connect(peer, row, replace(DEFAULT_LIMITS, unary=CALL_SECONDS)) as connection:
            before = peer.clock()
            reply = connection.ping()
            after = peer.clock()
    except MutualsError as error:
        down = error.code is ErrorCode.UNREACHABLE and not named
        verdict = Verdict.WARN if down else Verdict.FAIL  # a partner may be down while this peer is fit
        yield Finding(verdict, error.message, error.hint, facts | {"code": error.code.value})
        return
    milliseconds = round(reply.seconds * 1000)
    yield Finding(
        Verdict.OK,
        f"{row.name} answers at {card.endpoint} in {milliseconds} ms, with the certificate of its card.",
        facts=facts | {"milliseconds": milliseconds},
    )
    yield from _version(row, reply)
    yield _clock(row, before, reply.now, after)
    yield from _cards(peer, row, card, reply)
    yield _profiles(patient, row, reply)


def _version(row: PartnerRow, reply: PingReply) -> Iterator[Finding]:
    from mutuals.protocol.messages import VERSION

    if reply.version != VERSION:
        yield Finding(
            Verdict.FAIL,
            f"{row.name} speaks version {reply.version} of the protocol, you speak {VERSION}.",
            "Install the same release on both sides.",
            _facts(row, own=VERSION, theirs=reply.version),
        )


def _clock(row: PartnerRow, before: datetime, theirs: datetime, after: datetime) -> Finding:
    """How far the two clocks are apart at least: the partner's is in whole seconds, and the answer took its time."""
    from mutuals.protocol.hello import MAX_SKEW_SECONDS

    ahead = (theirs - after).total_seconds()
    behind = (before - theirs).total_seconds() - 1
    apart = max(ahead, behind, 0.0)
    facts = _facts(row, seconds=round(apart), theirs=theirs)
    sentence = f"The clocks of {row.name} and yours differ by {counted(round(apart), 'second')}"
    advice = "Turn time synchronisation on, on both machines."
    if apart > MAX_SKEW_SECONDS:
        return Finding(Verdict.FAIL, f"{sentence}; {MAX_SKEW_SECONDS} are allowed.", advice, facts)
    if apart > CLOCK_WARNING_SECONDS:
        return Finding(Verdict.WARN, f"{sentence}.", advice, facts)
    return Finding(Verdict.OK, f"The clock of {row.name} agrees with yours.", facts=facts)


def _cards(peer: Peer, row: PartnerRow, card: Card, reply: PingReply) -> Iterator[Finding]:
    own, pong = peer.card.card.serial, reply.pong
    facts = _facts(row, theirs_here=card.serial, theirs=pong.card, own_there=pong.your_card, own=own)
    if pong.card > card.serial:
        yield Finding(
            Verdict.WARN,
            f"{row.name} has a newer card: number {pong.card}, and you have number {card.serial}.",
            f"Fetch it: mutuals sync {quote(row.name)}. If that does not bring it: mutuals partner add FILE",
            facts,
        )
    if 0 < pong.your_card < own:
        yield Finding(
            Verdict.WARN,
            f"{row.name} has your card number {pong.your_card}, and yours is number {own} now.",
            f"Deliver it: mutuals sync {quote(row.name)}. If that does not help, give it by hand: mutuals card",
            facts,
        )


def _profiles(patient: Patient, row: PartnerRow, reply: PingReply) -> Finding:
    from mutuals.normalisation.profile import profile_digests

    theirs = reply.pong.profiles
    if not theirs:
        return Finding(
            Verdict.WARN,
            f"{row.name} does not say which profiles it has; its release is older.",
            "Before the first match: install the same release on both sides.",
            _facts(row),
        )
    own = profile_digests()
    other = sorted(name for name in own if theirs.get(name) != own[name])
    facts = _facts(row, differ=other, theirs={name: digest.hex() for name, digest in theirs.items()})
    agreed = {
        active.agreement.matching.profile
        for active in patient.active()
        if active.partner_fingerprint == row.fingerprint
    }
    advice = "Install the same release on both sides, with the versions in its constraints.txt."
    if broken := sorted(agreed.intersection(other)):
        return Finding(
            Verdict.FAIL,
            f"{row.name} and you carry out profile {', '.join(broken)} differently, which you agreed on.",
            advice,
            facts,
        )
    if other:
        sentence = (
            f"{row.name} and you do not have the same {', '.join(other)}; no agreement in force needs it."
        )
        return Finding(Verdict.WARN, sentence, advice, facts)
    return Finding(Verdict.OK, f"The profiles of {row.name} are the same as yours.", facts=facts)

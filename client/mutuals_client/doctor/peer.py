"""Checks of the peer: its home, store, certificate, port and clock, and the profiles it shares with partners."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from mutuals.peer import Peer
from mutuals.wording import counted
from mutuals_client.doctor.finding import Finding, Patient, Verdict

RENEW_DAYS = 30
"""How many days before its end a certificate should be renewed, because partners have to get the new card."""

LAST_DAYS = 2
"""How many days before the end of a rotation every partner should have the new card."""

CLOCK_SLACK = timedelta(minutes=5)
"""How far the log may be ahead of the clock before somebody must have turned it back."""

_CONNECT_SECONDS = 2.0


def home(patient: Patient) -> Iterator[Finding]:
    """There is a peer, its files are whole, and nobody else can read its keys."""
    facts = {"home": str(patient.home.root)}
    if patient.fault is not None:
        yield Finding(Verdict.FAIL, patient.fault.message, patient.fault.hint, facts)
    elif patient.peer is not None:
        sentence = f"{patient.peer.name} in {patient.home.root}; its keys are for its owner alone."
        yield Finding(Verdict.OK, sentence, facts=facts | {"organisation": patient.peer.name})


def store(patient: Patient) -> Iterator[Finding]:
    """The store opens and has this release's tables."""
    if patient.peer is None:
        return
    from mutuals.store.schema import REVISIONS

    with patient.peer.store.transaction() as tx:
        partners, runs = len(tx.partners.list()), len(tx.runs.list())
    database = patient.peer.home.store_url(patient.peer.config).partition(":")[0].partition("+")[0]
    yield Finding(
        Verdict.OK,
        f"The store answers ({database}, schema {REVISIONS[-1]}): "
        f"{counted(partners, 'partner')}, {counted(runs, 'run')}.",
        facts={"database": database, "schema": REVISIONS[-1], "partners": partners, "runs": runs},
    )


def certificate(patient: Patient) -> Iterator[Finding]:
    """The TLS certificate on the card has not run out, nor will it before partners can have the next one."""
    if patient.peer is None:
        return
    from mutuals.crypto.tls import valid_until

    until = valid_until(patient.peer.tls_certificate)
    days = (until - patient.peer.clock()).days
    facts = {"valid_until": until, "days": days}
    advice = "Renew it: mutuals card --renew. It goes to your partners by itself."
    if days < 0:
        yield Finding(Verdict.FAIL, f"The TLS certificate ran out on {until:%Y-%m-%d}.", advice, facts)
    elif days < RENEW_DAYS:
        sentence = f"The TLS certificate runs out in {counted(days, 'day')}, on {until:%Y-%m-%d}."
        yield Finding(Verdict.WARN, sentence, advice, facts)
    else:
        yield Finding(
            Verdict.OK, f"The TLS certificate is good for {counted(days, 'day')} more.", facts=facts
        )


def rotation(patient: Patient) -> Iterator[Finding]:
    """A rotation of the certificate that is under way: who has the new card, and how long the others have time."""
    if patient.peer is None:
        return
    from mutuals.rotation import rotation as standing_of
    from mutuals_client.rotation_words import rotation_facts, rotation_sentences

    with patient.peer.store.transaction() as tx:
        standing = standing_of(tx, patient.peer)
    if standing is None:
        return
    first, *others = rotation_sentences(standing)
    pressing = standing.stolen or standing.until - patient.peer.clock() < timedelta(days=LAST_DAYS)
    late = standing.arrived < len(standing.partners) and pressing
    yield Finding(
        Verdict.WARN if late else Verdict.OK,
        f"Card number {standing.serial} is being introduced: {first}",
        " ".join(others) or None,
        facts={"rotation": rotation_facts(standing)},
    )


def port(patient: Patient) -> Iterator[Finding]:
    """The server can listen where it should, or does."""
    if patient.peer is None:
        return
    listen = patient.peer.config.listen
    host, _, number = listen.rpartition(":")
    address = (host.strip("[]"), int(number))
    facts = {"listen": listen}
    try:
        with socket.create_server(
            address, family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET, reuse_port=False
        ):
            pass
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            yield _occupied(patient.peer, address, facts)
            return
        advice = "Set listen in config.toml to an address of this machine and a port above 1023."
        yield Finding(Verdict.FAIL, f"Nothing can listen on {listen}: {error.strerror}.", advice, facts)
        return
    sentence = f"{listen} is free; the server does not run."
    if patient.peer.card.card.endpoint is None:
        yield Finding(Verdict.OK, f"{sentence} The card names no endpoint, so nobody calls.", facts=facts)
    else:
        advice = f"Partners call {patient.peer.card.card.endpoint}. Start it: mutuals serve"
        yield Finding(Verdict.WARN, sentence, advice, facts)


def _occupied(peer: Peer, address: tuple[str, int], facts: dict[str, str]) -> Finding:
    """Whether it is this very peer's server that answers, by the key of the certificate it shows."""
    from mutuals.identity.cards import tls_pin

    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])  # noqa: S104 - compared, not bound
    own = False
    with suppress(OSError, ValueError):
        shown = ssl.get_server_certificate((host, address[1]), timeout=_CONNECT_SECONDS)
        good = (peer.card.card.tls_certificate, *(pair.certificate for pair in peer.earlier))
        own = tls_pin(shown) in {tls_pin(certificate) for certificate in good}
    if own:
        return Finding(Verdict.OK, f"The server answers on {facts['listen']}.", facts=facts)
    return Finding(
        Verdict.FAIL,
        f"Another program listens on {facts['listen']}.",
        "Stop it, or set another port: listen in config.toml",
        facts,
    )


def clock(patient: Patient) -> Iterator[Finding]:
    """The clock is not behind what this peer has already logged."""
    if patient.peer is None:
        return
    now = patient.peer.clock()
    with patient.peer.store.transaction() as tx:
        latest = tx.log.latest()
    facts = {"now": now, "latest_entry": latest.at if latest is not None else None}
    if latest is not None and latest.at > now + CLOCK_SLACK:
        yield Finding(
            Verdict.FAIL,
            f"The clock says {now:%Y-%m-%d %H:%M} UTC, and the log was already written to on "
            f"{latest.at:%Y-%m-%d %H:%M} UTC.",
            "Set the clock, and turn time synchronisation on.",
            facts,
        )
    else:
        yield Finding(Verdict.OK, f"The clock says {now:%Y-%m-%d %H:%M} UTC.", facts=facts)


def profiles(patient: Patient) -> Iterator[Finding]:
    """The normalisation profiles, and that those in active agreements are the ones of this release."""
    from mutuals.normalisation import get_profile
    from mutuals.normalisation.profile import profile_digests

    digests = {name: digest.hex() for name, digest in profile_digests().items()}
    told = ", ".join(f"{name} {digest[:8]}" for name, digest in digests.items())
    yield Finding(Verdict.OK, f"Profiles: {told}.", facts={"digests": digests})
    for active in patient.active():
        matching = active.agreement.matching
        if get_profile(matching.profile).rules_digest().hex() != matching.profile_digest:
            yield Finding(
                Verdict.FAIL,
                f"Agreement {active.agreement_id} was signed over other rules of profile {matching.profile}.",
                "Run the release it was signed with, or amend it: mutuals agreement amend",
                {"agreement": active.agreement_id},
            )

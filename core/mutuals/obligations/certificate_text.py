"""A deletion certificate as a page for people: for the other company, a data-protection officer, an authority.

blocks = describe_certificate(Held(certificate, digest, own=True), "Spring campaign", "A-7Q3K2M9X")
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from mutuals.agreement.blocks import Block, Clause, Grid, Heading
from mutuals.agreement.chain import chain_of
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.partners import partner_key
from mutuals.models.certificate import Certificate
from mutuals.obligations.certificates import verify_certificate

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction
    from mutuals.store.rows import CertificateRow

_ENDS = {
    "expiry": "expiry of its term",
    "own termination": "a termination of this side",
    "partner's termination": "a termination of the other side",
}
_TRIGGERS = {"server": "server's timer", "command": "command on its machine"}


@dataclass(frozen=True)
class Held:
    """A certificate as it lies in the store, verified just now; ``digest`` is SHA-256 over what was signed (hex)."""

    certificate: Certificate
    digest: str
    own: bool


def held_certificates(tx: Transaction, peer: Peer, agreement: str) -> list[Held]:
    """The certificates about the agreement with this digest, own first; MutualsError (LOCAL) where one was edited."""
    found = []
    for version in chain_of(tx, agreement):
        partner = tx.partners.get(version.partner)
        for side in (version.own_side, version.own_side.other):
            row = tx.certificates.get(version.digest, side)
            if row is None:
                continue
            own = side is version.own_side
            key = peer.signing_key.public if own else partner_key(partner) if partner else None
            try:
                if key is None:
                    raise ValueError("the partner is not known")
                certificate = verify_certificate(row.body, row.signature, key)
                if (certificate.agreement, certificate.side) != (version.digest, side):
                    raise ValueError("it is about something else")
            except ValueError as error:
                raise _edited(row, version.agreement_id) from error
            found.append(Held(certificate, sha256(row.body).hexdigest(), own))
    return found


def describe_certificate(held: Held, title: str, agreement_id: str) -> Iterator[Block]:
    """One certificate as blocks under a heading with the name of who gave it."""
    made = held.certificate
    yield Heading(f"Certificate of {made.organisation}")
    yield Clause(f"{agreement_id}, “{title}”", None, "Agreement")
    yield Clause(f"{made.ended_at:%Y-%m-%d %H:%M} UTC by {_end(made)}", None, "Ended")
    yield Clause(
        f"{made.certified_at:%Y-%m-%d %H:%M} UTC, {_after(made)} the end; destroyed by a run of the "
        f"{_TRIGGERS[made.triggered_by]}",
        None,
        "Certified",
    )
    yield Clause(
        f"{made.records_at_end:,} were held at the end, of {made.records_received:,} received in "
        f"{_count(made.runs, 'run')}",
        None,
        "Records",
    )
    for step in made.method:
        yield Clause(step, None, "How")
    yield Clause(
        f"{_count(made.search.files, 'file')} of the home ({made.search.size_bytes:,} bytes) were read for "
        f"{_count(made.search.slices, 'piece')} of what was destroyed; found in none",
        None,
        "Searched",
    )
    yield Clause(
        f"can hold it no longer from {made.backups_expire_on}"
        if made.backups_expire_on
        else "no day is named by which they expire",
        None,
        "Backups",
    )
    if made.exports_in_all:
        yield Clause(
            f"{_count(made.exports_in_all, 'file')} had been written; people were asked to delete them",
            None,
            "Exports",
        )
        yield Grid(
            ("File", "By", "On", "Rows", "Fields"),
            tuple(
                (one.file, one.operator, f"{one.at:%Y-%m-%d}", f"{one.rows:,}", ", ".join(one.fields))
                for one in made.exports
            ),
        )
    else:
        yield Clause("no file was ever written", None, "Exports")
    yield Clause(made.statement)
    yield Clause(f"by the key of {made.organisation} ({made.fingerprint}); verified", None, "Signed")
    yield Clause(held.digest, None, "Digest (SHA-256)")


def _end(made: Certificate) -> str:
    ended = _ENDS[made.ended_by]
    return f"{ended}, signed by {made.operator}" if made.operator else ended


def _after(made: Certificate) -> str:
    days = (made.certified_at - made.ended_at).days
    return _count(days, "day") + " after" if days else "less than a day after"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _edited(row: CertificateRow, agreement_id: str) -> MutualsError:
    return MutualsError(
        ErrorCode.LOCAL,
        f"The deletion certificate of the {row.side.value} for agreement {agreement_id} is not what was signed.",
        hint="Restore the store from a backup, and find out who changed it: mutuals audit verify",
    )

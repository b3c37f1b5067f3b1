"""What the test itself knows of the agreements, the operators and their permissions, and what it would let leave.

Nothing here asks the product whether something is allowed. A side's knowledge grows by its own acts and by the
documents it has taken; signatures are checked with the keys that were on the cards at the beginning.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lifecycle.people import CATEGORY, Listing
from mutuals.models.agreement import Side

AUTHORISE = frozenset({"steward", "privacy_officer", "service"})
MANDATE = frozenset({"steward", "privacy_officer"})
SIGN = frozenset({"admin", "steward", "privacy_officer"})
READ = frozenset({"steward", "privacy_officer", "analyst"})
EXCHANGE_LASTS = timedelta(days=7)


@dataclass(frozen=True)
class Person:
    """An operator: roles and department never change, but they can be disabled."""

    name: str
    roles: frozenset[str]
    department: str
    public_key: bytes


@dataclass(frozen=True)
class Rules:
    """A company's policy, as far as it decides here; an access is departments and roles, empty for any."""

    version: int
    four_eyes: frozenset[str]
    share: dict[str, tuple[frozenset[str], frozenset[str]] | None]
    export: dict[str, tuple[frozenset[str], frozenset[str]] | None]

    def allows(self, action: str, category: str, person: Person) -> bool:
        """Whether the person may; nobody may where no access is given."""
        access = (self.share if action == "share" else self.export)[category]
        if access is None:
            return False
        departments, roles = access
        return (not departments or person.department in departments) and (
            not roles or bool(roles & person.roles)
        )


@dataclass(frozen=True)
class Deal:
    """One version of an agreement: its document, the digest of the first version of its chain, which company wrote it.

    Sides are companies everywhere here; in a document the one that wrote it is the proposer.
    """

    digest: str
    document: bytes
    terms: dict[str, Any]
    chain: str
    by: Side

    def part(self, side: Side) -> str:
        """What the document calls the company."""
        return (Side.PROPOSER if side is self.by else Side.PARTNER).value

    def fields(self, side: Side) -> dict[str, dict[str, Any]]:
        """The fields that the company sends, by name."""
        return {item["name"]: item for item in self.terms[f"{self.part(side)}_sends"]}

    def in_force(self, today: date) -> bool:
        """Whether the day is in the term."""
        begins, ends = (date.fromisoformat(self.terms[name]) for name in ("valid_from", "valid_until"))
        return begins <= today <= ends


@dataclass(frozen=True)
class Grant:
    """An operator's permission: of a run (id), or as a mandate of a version (digest).

    ``shown`` is what an exchange was permitted to send: fields by person.
    """

    act: str
    subject: str
    operator: str
    at: datetime
    expires: datetime
    policy: int | None
    shown: dict[int, frozenset[str]] = field(default_factory=dict)


@dataclass
class House:
    """What one company knows and has permitted."""

    side: Side
    public_key: bytes
    listing: Listing
    staff: dict[str, Person] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    rules: Rules | None = None
    bound: set[str] = field(default_factory=set)
    ends: dict[str, datetime] = field(default_factory=dict)
    halts: dict[str, set[str]] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    must_delete: set[tuple[str, int]] = field(default_factory=set)
    """Run and person of the partner's contacts whose withdrawal has arrived here."""

    @property
    def fingerprint(self) -> str:
        """docs/protocol.md §2, in hex."""
        return hashlib.sha256(frame("mutuals/v1/fingerprint", self.public_key)).hexdigest()


@dataclass
class RunTruth:
    """What the test noted of a run before it began: who was on both lists and eligible, and what arrived when."""

    digest: str
    initiator: Side
    people: frozenset[int]
    received_at: dict[Side, datetime] = field(default_factory=dict)


@dataclass
class Truth:
    """Everything the test knows."""

    houses: dict[Side, House]
    deals: dict[str, Deal] = field(default_factory=dict)
    runs: dict[str, RunTruth] = field(default_factory=dict)

    def add_deal(self, document: bytes) -> Deal:
        """Note a version that somebody wrote; its digest is computed here."""
        terms = json.loads(document)
        digest = hashlib.sha256(frame("mutuals/v1/agreement", document)).hexdigest()
        before = self.deals.get(terms["replaces"] or "")
        writer = terms["parties"]["proposer"]["fingerprint"]
        (by,) = (side for side, house in self.houses.items() if house.fingerprint == writer)
        deal = Deal(digest, document, terms, before.chain if before else digest, by)
        self.deals[digest] = deal
        return deal

    def later(self, house: House, deal: Deal) -> list[Deal]:
        """The versions that replaced this one, as far as the house knows, the next first."""
        found: list[Deal] = []
        current = deal
        while True:
            following = [
                other
                for other in map(self.deals.__getitem__, house.bound)
                if other.terms["replaces"] == current.digest
            ]
            if not following:
                return found
            current = min(
                following, key=lambda other: other.digest
            )  # of two that crossed, as the protocol says
            found.append(current)

    def why_not(self, house: House, digest: str, now: datetime, *, new: bool = False) -> str | None:
        """Why nothing may leave under this version, as far as this house knows; nothing where it may.

        ``new`` for a run that begins now, which needs the version that binds now.
        """
        deal = self.deals[digest]
        if digest not in house.bound:
            return "not signed by both"
        if not deal.in_force(now.date()):
            return "not in force"
        if deal.chain in house.ends and house.ends[deal.chain] <= now:
            return "terminated"
        if house.halts.get(deal.chain):
            return "suspended"
        later = self.later(house, deal)
        if later and (new or any(other.terms["runs_of_replaced"] != "finish" for other in later)):
            return "superseded"
        if later and not later[-1].in_force(now.date()):
            return "the later version is not in force"
        return None

    def over(self, house: House, chain: str, now: datetime) -> bool:
        """Whether the whole agreement has ended, as far as the house knows."""
        bound = [self.deals[digest] for digest in house.bound if self.deals[digest].chain == chain]
        if not bound:
            return False
        if chain in house.ends and house.ends[chain] <= now:
            return True
        newest = max(bound, key=lambda deal: deal.terms["version"])
        return now.date() > date.fromisoformat(newest.terms["valid_until"])

    def why_not_permitted(
        self,
        house: House,
        act: str,
        run: str,
        digest: str,
        now: datetime,
        leaving: dict[int, frozenset[str]] | None = None,
    ) -> str | None:
        """Why no entitled operator of the house permits ``act`` now; ``leaving`` are the fields by person."""
        needed = 2 if house.rules and act in house.rules.four_eyes else 1
        version = house.rules.version if house.rules else None
        names = set()
        for grant in house.grants:
            person = house.staff[grant.operator]
            if grant.operator in house.disabled or grant.expires <= now:
                continue
            if needed > 1 and "service" in person.roles:
                continue
            by_mandate = grant.act == "mandate" and grant.subject == digest
            if by_mandate:
                good = self.deals[digest].terms["permission"][act] == "mandate" and bool(
                    person.roles & MANDATE
                )
            else:
                good = (
                    (grant.act, grant.subject) == (act, run)
                    and bool(person.roles & AUTHORISE)
                    and grant.policy == version
                    and _within(leaving or {}, grant.shown)
                )
            if good and all(
                self._may_share(house, person, name) for fields in (leaving or {}).values() for name in fields
            ):
                names.add(grant.operator)
        return None if len(names) >= needed else f"{len(names)} of {needed} permissions for the {act}"

    def why_not_approved(self, house: House, run: str, exporter: str) -> str | None:
        """Why nobody else has approved the export, where the policy asks for that; an approval is used up here."""
        if house.rules is None or "export" not in house.rules.four_eyes:
            return None
        for grant in house.grants:
            person = house.staff[grant.operator]
            if (
                (grant.act, grant.subject, grant.policy)
                == (f"export by {exporter}", run, house.rules.version)
                and grant.operator not in house.disabled | {exporter}
                and person.roles & MANDATE
            ):
                used = [other for other in house.grants if other.act.startswith("export by ")]
                house.grants = [other for other in house.grants if other not in used or other.subject != run]
                return None
        return "no approval of a second operator"

    def _may_share(self, house: House, person: Person, name: str) -> bool:
        return house.rules is None or house.rules.allows("share", CATEGORY[name], person)

    def why_not_signed(self, deal: Deal, statements: Iterable[tuple[str, bytes, bytes]]) -> str | None:
        """Why the stored statements (part, body, signature) are not both companies' signatures over this digest."""
        by_part = {part: (body, signature) for part, body, signature in statements}
        for side, house in self.houses.items():
            part = deal.part(side)
            if part not in by_part:
                return f"no statement of the {side}"
            body, signature = by_part[part]
            said = json.loads(body)
            if (said["digest"], said["side"]) != (deal.digest, part):
                return f"the {side} signed something else"
            if not verifies(house.public_key, frame("mutuals/v1/statement", body), signature):
                return f"the signature of the {side} is not its key's"
            if deal.terms["parties"][part]["fingerprint"] != house.fingerprint:
                return f"the {side} is not the party that the agreement names"
            if not said["operators"] or not all(
                self._operator_signed(house, deal, said, one) for one in said["operators"]
            ):
                return f"no entitled operator of the {side} signed"
        return None

    def _operator_signed(self, house: House, deal: Deal, said: dict[str, Any], one: dict[str, str]) -> bool:
        person = house.staff.get(one["name"])
        if person is None or one["role"] not in person.roles & SIGN:
            return False
        assessment = bytes.fromhex(said["assessment"] or "")
        signed = frame(
            "mutuals/v1/operator-statement",
            bytes.fromhex(deal.digest),
            said["side"].encode(),
            one["name"].encode(),
            one["role"].encode(),
            assessment,
        )
        return verifies(person.public_key, signed, bytes.fromhex(one["signature"]))


def frame(context: str, *parts: bytes) -> bytes:
    """docs/protocol.md §1, for byte fields."""
    return b"".join(struct.pack(">I", len(part)) + part for part in (context.encode(), *parts))


def verifies(public_key: bytes, data: bytes, signature: bytes) -> bool:
    """Ed25519, RFC 8032."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _within(leaving: dict[int, frozenset[str]], shown: dict[int, frozenset[str]]) -> bool:
    return all(fields <= shown.get(person, frozenset()) for person, fields in leaving.items())

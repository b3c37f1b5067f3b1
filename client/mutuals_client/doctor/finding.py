"""What checks are given, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from mutuals.errors import MutualsError
from mutuals.identity.home import Config, Home, load_config
from mutuals.peer import Peer

if TYPE_CHECKING:
    from mutuals.agreement.active import ActiveAgreement
    from mutuals.store.rows import PartnerRow


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One sentence about what was found, one about what to do, and the same as facts for programs."""

    verdict: Verdict
    sentence: str
    advice: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class Patient:
    """The peer that is looked at, as far as it can be opened. Use it as a context manager.

    ``partner`` (name or fingerprint) is the one to call, instead of all; with ``offline`` none is called. Raises
    MutualsError (USAGE) where there is no such partner.
    """

    def __init__(self, home: Home, *, partner: str | None = None, offline: bool = False) -> None:
        self.home = home
        self.offline = offline
        self.partners: list[PartnerRow] | None = None
        self.config: Config | None = None
        self.peer: Peer | None = None
        self.fault: MutualsError | None = None
        try:
            self.config = load_config(home)
            self.peer = Peer.open(home.root)
        except MutualsError as error:
            self.fault = error
        if partner is not None and self.peer is not None:
            from mutuals.identity.partners import find_partner

            with self.peer.store.transaction() as tx:
                self.partners = [find_partner(tx, partner)]

    def active(self) -> list[ActiveAgreement]:
        """The agreements that can be matched under; none where peer or store cannot be opened."""
        from mutuals.agreement.active import load_active

        if self.peer is None:
            return []
        found = []
        try:
            with self.peer.store.transaction() as tx:
                for row in tx.agreements.list():
                    try:
                        found.append(
                            load_active(tx, row.digest, self.peer.clock(), own=self.peer.fingerprint.hex())
                        )
                    except MutualsError:
                        continue
        except MutualsError:  # of the store, which has a check of its own
            return []
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.peer is not None:
            self.peer.close()


Check = Callable[[Patient], Iterable[Finding]]

"""What ``mutuals doctor`` looks at: a list of checks, each of which says what it found and what to do about it.

    for finding in examine(home): ...

A check is a function in ``CHECKS`` that takes a ``Patient``; what it raises becomes a finding as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from mutuals.errors import MutualsError, place_of
from mutuals.identity.home import Home
from mutuals_client.doctor import machine, peer, privacy
from mutuals_client.doctor import partner as partner_checks
from mutuals_client.doctor.finding import Check, Finding, Patient, Verdict

__all__ = ["CHECKS", "Finding", "Verdict", "examine"]

CHECKS: dict[str, Check] = {
    "versions": machine.versions,
    "home": peer.home,
    "files": privacy.files,
    "memory": privacy.memory,
    "engines": machine.engines,
    "x25519": machine.x25519,
    "workers": machine.workers,
    "cluster": machine.cluster,
    "limits": machine.limits,
    "store": peer.store,
    "certificate": peer.certificate,
    "rotation": peer.rotation,
    "port": peer.port,
    "clock": peer.clock,
    "profiles": peer.profiles,
    "partners": partner_checks.partners,  # last: no process may be started after a call (DESIGN §11)
}
"""The checks by name, in the order in which they are told."""


def examine(
    home: Home, *, partner: str | None = None, offline: bool = False
) -> Iterator[tuple[str, Finding]]:
    """Every finding with the name of its check. Raises nothing that a check raises; else as ``Patient`` does."""
    with Patient(home, partner=partner, offline=offline) as patient:
        for name, check in CHECKS.items():
            try:
                for finding in check(patient):
                    yield name, finding
            except MutualsError as error:
                yield name, Finding(Verdict.FAIL, error.message, error.hint)
            except Exception as error:
                sentence = f"This check itself failed ({type(error).__name__} at {place_of(error)})."
                yield name, Finding(Verdict.FAIL, sentence, "Please report this.")

"""What was promised of speed, memory and bytes, and what this run says to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LARGE = 1_000_000


@dataclass(frozen=True)
class Verdict:
    """One promise: ``measured`` may be at most ``limit``."""

    promise: str
    limit: float
    measured: float
    unit: str

    @property
    def kept(self) -> bool:
        """True where it was kept in this run."""
        return self.measured <= self.limit


def verdicts(found: dict[str, Any]) -> list[Verdict]:
    """Those that the sizes of this run can say something about."""
    curve = {(one["row"], one["items"]): one for one in found["curve"]}
    match = {
        one["items"]: one for one in found["whole"] if (one["command"], one["engine"]) == ("match", "x25519")
    }
    cores = {one["items"]: one["wall"] for one in found["all_cores"] if one["engine"] == "x25519"}
    said = []
    for backend, limit in (("cryptography", 3 / 5), ("crypto_mb", 1 / 7)):
        for items in sorted({items for _, items in curve if items >= 100_000}):
            if one := curve.get((f"engine x25519, {backend}", items)):
                promise = f"curve work with {backend}, {items:,} a side, CPU of openmined-psi's own protocol"
                said.append(Verdict(promise, limit, one["ratio"], ""))
    for items, one in sorted(match.items()):
        each = (one["there"] + one["back"]) / (2 * items)
        if items >= 10_000:
            said.append(Verdict(f"bytes an item of both lists, {items:,} a side", 52, each, ""))
        if items >= LARGE and items in cores:
            promise = f"whole match, {items:,} a side, wall of the curve work's on all cores"
            said.append(Verdict(promise, 1.5, one["wall"] / cores[items], "x"))
        if items == LARGE:
            peak = max(one["client_mb"], one["server_mb"])
            said.append(Verdict(f"peak memory of a peer, {items:,} a side", 700, peak, " MB"))
    if LARGE in match and 100_000 in match:
        growth = (match[LARGE]["wall"] / LARGE) / (match[100_000]["wall"] / 100_000)
        said.append(Verdict("time an item, 1,000,000 a side against 100,000", 1.15, growth, "x"))
    return said

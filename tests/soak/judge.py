"""What a soak came to: rates and how fair they were, how long a match took, whether the server grew."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from soak.watch import Sample, slope

FAIREST_INDEX = 0.95
FAIREST_RATIO = 0.7
"""Jain's index, and the least rate by the greatest, that count as fair shares."""
KEPT = 0.5
"""The part of its rate that an honest partner keeps beside a flood."""
GROWTH = 0.1
SLACK_BYTES, SLACK_THREADS, SLACK_FILES = 16 * 1024 * 1024, 16, 16
"""How much more the last quarter may have than the second: a tenth, and this, for what comes and goes."""


@dataclass(frozen=True)
class Match:
    """One match that ended ``at`` a time, after so many ``seconds``."""

    partner: str
    at: float
    seconds: float


def rates(matches: Sequence[Match], partners: Sequence[str], start: float, end: float) -> dict[str, float]:
    """Matches a minute of each partner in a stretch of time."""
    minutes = (end - start) / 60
    return {
        name: sum(match.partner == name and start <= match.at < end for match in matches) / minutes
        for name in partners
    }


def fairness(values: Sequence[float]) -> tuple[float, float]:
    """Jain's index (R. Jain, D. Chiu, W. Hawe, DEC-TR-301, 1984), 1 for equal shares, and the least by the greatest."""
    if not any(values):
        return 0.0, 0.0
    index = sum(values) ** 2 / (len(values) * sum(value * value for value in values))
    return index, min(values) / max(values)


def unfair(values: Mapping[str, float]) -> list[str]:
    """What is wrong with the shares."""
    index, ratio = fairness(list(values.values()))
    if index < FAIREST_INDEX or ratio < FAIREST_RATIO:
        return [f"unfair: Jain's index {index:.3f}, least by greatest {ratio:.2f}"]
    return []


def starved(before: Mapping[str, float], during: Mapping[str, float]) -> list[str]:
    """Who kept less than half of its rate."""
    return [
        f"{name} had {before[name]:.1f} matches a minute, and {during[name]:.1f} beside the flood"
        for name in during
        if during[name] < KEPT * before[name]
    ]


def grown(samples: Sequence[Sample]) -> list[str]:
    """What the server has more of at the end than it had once it was warm."""
    quarter = len(samples) // 4
    if quarter == 0:
        return []
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    found = []
    for name, slack in (("memory", SLACK_BYTES), ("threads", SLACK_THREADS), ("files", SLACK_FILES)):
        was = statistics.median(getattr(one, name) for one in early)
        now = statistics.median(getattr(one, name) for one in late)
        if now > was * (1 + GROWTH) + slack:
            found.append(f"{name} grew from {was:,.0f} to {now:,.0f}")
    return found


def growth(samples: Sequence[Sample]) -> str:
    """The slopes after the first quarter, in words."""
    warm = samples[len(samples) // 4 :]

    def of(name: str, unit: float = 1) -> float:
        return slope([(one.at, getattr(one, name) / unit) for one in warm])

    return (
        f"memory {of('memory', 1e6):+.2f} MB, threads {of('threads'):+.2f}, files {of('files'):+.2f} a minute"
    )


def times(matches: Sequence[Match]) -> str:
    """How long matches took: the median, 95 of 100, the longest."""
    seconds = sorted(match.seconds for match in matches)
    if not seconds:
        return "none"
    late = seconds[min(len(seconds) - 1, int(len(seconds) * 0.95))]
    return f"{statistics.median(seconds):.1f} s, 95 % within {late:.1f} s, the longest {seconds[-1]:.1f} s"

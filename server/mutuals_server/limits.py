"""The limits of a server as ``config.toml`` sets them: docs/operations.md, Limits, says why these are the defaults."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from mutuals.identity.limits import OWN_FILES, LimitSettings
from mutuals.transport.options import Limits

_MB = 1_000_000
_UNKNOWN_MEMORY = 4_000 * _MB
"""What is taken for a machine that does not say."""
_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")


def limits_of(settings: LimitSettings) -> Limits:
    """What ``settings`` mean. Where they leave memory open, matches may hold half of the machine's, and those with one
    partner half of that.
    """
    memory = machine_memory() // 2 if settings.memory_mb is None else settings.memory_mb * _MB
    share = memory // 2 if settings.memory_mb_per_partner is None else settings.memory_mb_per_partner * _MB
    return Limits(
        runs=settings.runs,
        runs_per_partner=settings.runs_per_partner,
        # A command syncs before its run: whoever may have so many runs at a time calls as often at a time.
        unary_calls=settings.runs,
        unary_calls_per_partner=settings.runs_per_partner,
        calls_per_minute=settings.calls_per_minute_per_partner,
        matches_per_minute=settings.matches_per_minute_per_partner,
        bytes_per_second=settings.mb_per_second * _MB,
        bytes_per_second_per_partner=settings.mb_per_second_per_partner * _MB,
        memory=memory,
        memory_per_partner=share,
        spool=settings.spool_mb * _MB,
        spool_per_partner=settings.spool_mb_per_partner * _MB,
        free_disk=settings.free_disk_mb * _MB,
        connections=settings.connections,
    )


def within_open_files(limits: Limits) -> Limits:
    """``limits`` with no more connections than this process may have files open for, beside its own.

    What it may have is raised to what the system permits. Without a file for store or spool it would fail everybody; a
    connection that is one too many fails alone.
    """
    if sys.platform == "win32":  # which has no such number
        return limits
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + OWN_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return limits
    return replace(limits, connections=max(1, min(limits.connections, soft - OWN_FILES)))


def machine_memory() -> int:
    """Bytes of memory of this machine, or of the container (cgroup v2) that it is."""
    if sys.platform == "win32":
        return _UNKNOWN_MEMORY
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(whole, int(_CGROUP_MEMORY.read_text()))
    except (OSError, ValueError):  # there is none, or it says “max”
        return whole

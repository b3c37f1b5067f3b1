"""What keeps a process's memory and its new files to itself: no core files, nobody attaches, private modes.

    protect_process()      # first thing in every program and worker process

A core file is the memory of a process that died: contacts, keys, passphrases. Two switches are turned off, because
neither is enough: the limit ``RLIMIT_CORE`` stops files, not the pipe to a crash reporter (core(5));
``PR_SET_DUMPABLE`` (Linux, prctl(2)) stops both, keeps other processes of the same user from reading this one's memory
or attaching to it, and makes its /proc entries root's. A program that is started begins without the second, so each of
ours sees to itself.

Who needs a core file or a debugger sets ``MUTUALS_CORE_FILES`` to anything: then both stay as the system has them.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

CORE_FILES = "MUTUALS_CORE_FILES"
"""The environment variable that leaves core files and debuggers as the system has them."""

PRIVATE_UMASK = 0o077

_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4


@dataclass(frozen=True)
class Exposure:
    """How this process's memory could get out: ``limit`` is the largest core file in bytes (-1: any, None: not known),
    ``dumpable`` whether Linux would write one or let others attach (None: not Linux)."""

    limit: int | None
    dumpable: bool | None
    wanted: bool

    @property
    def none(self) -> bool:
        """Whether no core file can come of this process, as far as can be seen."""
        return self.dumpable is False or (self.dumpable is None and self.limit == 0)


def protect_process() -> None:
    """Switch core files and attaching off, and keep files made from now on private; raises nothing.

    Only for a process of our own: a notebook that imports us keeps its settings. Where a system refuses, work goes on,
    and ``mutuals doctor`` says so.
    """
    try:
        os.umask(PRIVATE_UMASK)
        if not os.environ.get(CORE_FILES):
            _no_core_files()
            _prctl(_PR_SET_DUMPABLE, 0)
    except Exception:  # noqa: S110 - see above
        pass


def _no_core_files() -> None:
    if sys.platform != "win32":
        import resource

        # The hard limit stays: whoever may run code here has no need of a core file.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def exposure() -> Exposure:
    """What is in force in this process."""
    limit: int | None = None
    if sys.platform != "win32":
        import resource

        limit = resource.getrlimit(resource.RLIMIT_CORE)[0]
    dumpable = _prctl(_PR_GET_DUMPABLE)
    return Exposure(
        limit=limit,
        dumpable=None if dumpable is None or dumpable < 0 else dumpable != 0,
        wanted=bool(os.environ.get(CORE_FILES)),
    )


def _prctl(option: int, value: int = 0) -> int | None:
    """prctl(2); below zero where the system refuses, nothing where there is none."""
    if sys.platform != "linux":
        return None
    import ctypes

    try:
        call = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    zero = ctypes.c_ulong(0)
    return int(call(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero))

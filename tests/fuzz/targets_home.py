"""Files of a home after its disk was damaged: the journal of a match in flight, the spool of a counted one."""

from __future__ import annotations

from fuzz.target import Target

TARGETS: tuple[Target, ...] = ()

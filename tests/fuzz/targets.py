"""Every target there is."""

from __future__ import annotations

from fuzz import (
    bad,
    targets_documents,
    targets_files,
    targets_home,
    targets_signed,
    targets_tables,
    targets_wire,
)
from fuzz.target import Target

TARGETS: tuple[Target, ...] = (
    *targets_wire.TARGETS,
    *targets_documents.TARGETS,
    *targets_files.TARGETS,
    *targets_signed.TARGETS,
    *targets_tables.TARGETS,
    *targets_home.TARGETS,
)
BY_NAME = {target.name: target for target in (*TARGETS, *bad.TARGETS)}
assert len(BY_NAME) == len(TARGETS) + len(bad.TARGETS)

"""What partners may take of this peer: the table ``[limits]`` of config.toml."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

OWN_FILES = 512
"""Open files of a server that are no connections: store, spool, log, workers. 64 runs on PostgreSQL have fewer."""

_SHARED = ("runs", "mb_per_second", "memory_mb", "spool_mb")


class LimitSettings(BaseModel):
    """Limits of ``mutuals serve``, in all and for one partner; a megabyte is a million bytes.

    ``memory_mb`` is what matches at work may hold, by default half of the machine's memory, and for one partner half of
    that. What each is for: docs/operations.md, Limits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runs: int = Field(default=16, ge=1, le=1024)
    runs_per_partner: int = Field(default=4, ge=1, le=1024)
    calls_per_minute_per_partner: int = Field(default=300, ge=10, le=1_000_000)
    matches_per_minute_per_partner: int = Field(default=30, ge=1, le=1_000_000)
    mb_per_second: int = Field(default=128, ge=1, le=100_000)
    mb_per_second_per_partner: int = Field(default=32, ge=1, le=100_000)
    memory_mb: int | None = Field(default=None, ge=10, le=100_000_000)
    memory_mb_per_partner: int | None = Field(default=None, ge=10, le=100_000_000)
    spool_mb: int = Field(default=50_000, ge=10, le=1_000_000_000)
    spool_mb_per_partner: int = Field(default=20_000, ge=10, le=1_000_000_000)
    free_disk_mb: int = Field(default=1_000, ge=0, le=1_000_000_000)
    connections: int = Field(default=5_000, ge=10, le=1_000_000)

    @model_validator(mode="after")
    def _shares_are_parts(self) -> Self:
        for key in _SHARED:
            total, share = getattr(self, key), getattr(self, f"{key}_per_partner")
            if total is not None and share is not None and share > total:
                raise ValueError(f"{key}_per_partner is more than {key}")
        return self

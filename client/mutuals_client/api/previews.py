"""A preview of an exchange as frames of counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mutuals_client.api.values import Frame, Preview

if TYPE_CHECKING:
    import polars as pl

    from mutuals.runs import preview as runs_preview


def preview_view(shown: runs_preview.Preview, frame: Callable[[pl.DataFrame], Frame]) -> Preview[Frame]:
    """The view of a preview, its frames made by ``frame``."""
    import polars as pl

    outgoing = shown.outgoing
    fields = pl.DataFrame(
        [
            (
                item.shared.name,
                item.shared.transform,
                item.shared.retention_days,
                list(item.shared.departments),
                item.values,
                item.empty,
                sum(item.withheld.values()),
            )
            for item in outgoing.fields
        ],
        schema={
            "field": pl.String,
            "transform": pl.String,
            "retention_days": pl.Int64,
            "departments": pl.List(pl.String),
            "values": pl.Int64,
            "empty": pl.Int64,
            "withheld": pl.Int64,
        },
        orient="row",
    )
    withheld = pl.DataFrame(
        [(None, reason, count) for reason, count in sorted(outgoing.withheld.items())]
        + [
            (item.shared.name, reason, count)
            for item in outgoing.fields
            for reason, count in sorted(item.withheld.items())
        ],
        schema={"field": pl.String, "reason": pl.String, "count": pl.Int64},
        orient="row",
    )
    kept_back = pl.DataFrame(
        [(item.field, item.rule, item.changes) for item in shown.kept_back],
        schema={"field": pl.String, "rule": pl.String, "changes": pl.String},
        orient="row",
    )
    return Preview(
        run=shown.run.run_id,
        id=shown.id,
        overlap=shown.run.contacts or 0,
        contacts=len(outgoing.sent),
        records=len(outgoing.records),
        fields=frame(fields),
        withheld=frame(withheld),
        kept_back=frame(kept_back),
        shown=shown,
    )

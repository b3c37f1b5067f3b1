"""Whether a contact id occurs twice in a source that is read in batches, found without a table of all of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from mutuals.sources.blocks import input_fault


class ContactIds:
    """The contact ids of a source, as they come.

    Kept are the ids and 12 bytes each: a hash and the row. Only ids whose hashes are equal are compared.
    """

    def __init__(self) -> None:
        self._ids: list[pl.Series] = []
        self._rows: list[npt.NDArray[np.uint32]] = []
        self._hashes: list[npt.NDArray[np.uint64]] = []

    def add(self, ids: pl.Series, rows: pl.Series) -> None:
        """More ids (strings, trimmed; an empty one is none) and their rows (u32)."""
        self._ids.append(ids)
        self._rows.append(rows.to_numpy())
        self._hashes.append(ids.hash().to_numpy())

    def refuse_repeated(self, name: str) -> None:
        """Raise MutualsError (INPUT_QUALITY), naming the first two rows, where an id occurs twice in file ``name``."""
        repeated = self.repeated()
        if repeated.is_empty():
            return
        first, second = repeated["row"][0][:2]
        others = len(repeated) - 1
        more = f" {others:,} more contact id{' is' if others == 1 else 's are'} repeated, too."
        raise input_fault(
            f"{name} has the same contact_id in rows {first} and {second}.{more if others else ''}",
            "Every contact needs an id of its own; merge or remove the repeated rows. Of a CRM's export, "
            "mutuals source add --duplicates merge (or leave-out) does.",
        )

    def repeated(self) -> pl.DataFrame:
        """The ids that are in several rows: ``contact_id`` and ``row``, a list of u32; in the order of first rows."""
        suspicious = _repeated(np.concatenate(self._hashes)) if self._hashes else np.empty(0, np.uint64)
        found = [pl.DataFrame(schema={"contact_id": pl.String(), "row": pl.UInt32()})]
        for ids, rows, hashes in zip(self._ids, self._rows, self._hashes, strict=True):
            chosen = np.isin(hashes, suspicious)
            if chosen.any():
                frame = pl.DataFrame({"contact_id": ids, "row": rows})
                found.append(frame.filter(pl.Series(chosen) & (ids != "")))
        by_id = pl.concat(found).group_by("contact_id", maintain_order=True).agg("row")
        return by_id.filter(pl.col("row").list.len() > 1)


def _repeated(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    hashes.sort()
    return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])

"""Tables from a CRM: CSV in every encoding, workbooks, Parquet; and registers of consent, which are tables as well."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import polars as pl

from fuzz.folder import in_file
from fuzz.mutate_text import mutate_csv
from fuzz.mutate_workbook import mutate_parquet, mutate_workbook
from fuzz.target import Ready, Target
from mutuals.sources import SourceDefinition, define_source, read_source
from mutuals.sources.consent_file import read_register, register_dates
from mutuals.sources.detect import Wishes, understand
from mutuals.sources.formats import extent
from mutuals.sources.mapping import ConsentFile

WIDEST_SECONDS = 20.0
"""What a sheet of all 16,384 columns may take, each of which costs something, however few the rows are."""

EXPORTS = Path(__file__).parent.parent / "data" / "exports"
NATIVE = (
    "contact_id,email,phone,consent,consent_at,notified_at,suppressed,city\n"
    "C1,jane@example.com,+49 30 901820,sharing,2026-01-31,2026-02-01,false,Bremen\n"
    'C2,"joe@example.com;joe@example.org",,"sharing@2026-01-02;news",2026-01-31,,true,"Ulm, Donau"\n'
    "C3,,0171 5555555,,,,,\n"
)
REGISTER = """\
Id,Purpose,State,Day,Proof
C1,sharing,yes,2026-01-31,form 7
C1,sharing,no,2026-02-01,
C2,news,yes,31.01.2026,x
"""


def _read(path: Path) -> object:
    """As ``source add`` does it: what the file is, then all of it."""
    found = understand(SourceDefinition(name="crm", path=str(path), format="csv"), Wishes())
    return read_source(found.definition.model_copy(update={"default_country": "DE"}))


def _native() -> Ready:
    texts = (NATIVE, NATIVE.replace("\n", "\r\n"), NATIVE.split("\n", 1)[0] + "\n")
    return Ready(
        [text.encode() for text in texts],
        in_file("native.csv", lambda path: read_source(define_source("crm", str(path), {}, "DE"))),
    )


def _exports(*names: str) -> Callable[[], Ready]:
    suffix = Path(names[0]).suffix
    return lambda: Ready([(EXPORTS / name).read_bytes() for name in names], in_file(f"export{suffix}", _read))


def _workbooks() -> Ready:
    """With the bound on a workbook's cells at a five-hundredth, since what lies below it may take its time."""
    ready = _exports("dynamics365.xlsx")()

    def parse(data: bytes) -> None:
        with patch.object(extent, "MOST_CELLS", 300_000):
            ready.parse(data)

    return Ready(ready.seeds, parse)


def _parquet() -> Ready:
    frame = pl.read_csv(io.StringIO(NATIVE))
    typed = frame.with_columns(
        pl.col("consent_at").str.to_date(strict=False),
        score=pl.Series([1, 2, None]),
        list=pl.Series([["a"], [], None]),
    )
    seeds = []
    for one, packed in ((frame, "uncompressed"), (typed, "uncompressed"), (frame, "zstd")):
        written = io.BytesIO()
        one.write_parquet(written, compression=packed, statistics=False)  # type: ignore[arg-type]
        seeds.append(written.getvalue())
    return Ready(seeds, in_file("export.parquet", _read))


def _registers() -> Ready:
    def read(path: Path) -> object:
        register = ConsentFile(
            path=str(path),
            contact_id="Id",
            purpose="Purpose",
            status="State",
            granted=("yes",),
            date="Day",
            evidence="Proof",
        )
        dates = register_dates(str(path), "Day", None)
        return read_register(register.model_copy(update={"dates": dates}))

    return Ready(
        [REGISTER.encode(), REGISTER.replace(",", ";").encode("cp1252")], in_file("register.csv", read)
    )


_CSV = (
    "hubspot.csv",
    "salesforce-api.csv",
    "salesforce-report.csv",
    "zoho.csv",
    "pipedrive.csv",
    "generic.txt",
)

TARGETS = (
    Target("csv.native", _native, mutate_csv, everyday=6),
    Target("csv.export", _exports(*_CSV), mutate_csv, everyday=5),
    Target("xlsx", _workbooks, mutate_workbook, everyday=4, seconds=WIDEST_SECONDS),
    Target("parquet", _parquet, mutate_parquet, count=1_000, everyday=0),
    Target("register", _registers, mutate_csv, everyday=5),
)

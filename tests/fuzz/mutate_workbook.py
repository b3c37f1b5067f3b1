"""Workbooks (a zip of XML parts) and Parquet files (pages, then a footer in Thrift): changed inside, kept openable."""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Sequence

from fuzz.mutate_bytes import mutate_bytes
from fuzz.mutate_json import TEXTS

_TAG = re.compile(rb"<[^<>]{1,200}>")
_VALUE = re.compile(rb'(?<==")[^"]{0,60}(?=")|(?<=>)[^<>]{1,60}(?=<)')
_VALUES = (
    b"",
    b"0",
    b"-1",
    b"99999999999999999999",
    b"1048577",
    b"A1",
    b"XFD1048576",
    b"ZZZZ1",
    b"A0",
    b"A1:XFD1048576",
    b"e",
    b"s",
    b"d",
    b"b",
    b"inlineStr",
    b"1e308",
    b"NaN",
    b"2958466",
    b"-0.5",
    b"&amp;",
    b"&#0;",
    b"&lol;",
    b"rId99",
    b"../../../etc/passwd",
    b"\xff\xfe",
    b"x" * 40_000,
)


def mutate_workbook(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One or two parts changed as XML, the zip written anew; or the bytes of the zip itself."""
    if chance.random() < 0.25:
        return mutate_bytes(chance, data, others)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    names = sorted(parts)
    sheets = [name for name in names if "sheet" in name or "Strings" in name or "workbook" in name]
    for _ in range(1 + min(int(chance.expovariate(1.0)), 3)):
        name = chance.choice(sheets if chance.random() < 0.75 else names)
        if chance.random() < 0.04:
            parts.pop(name, None)
        elif name in parts:
            parts[name] = _change(chance, parts[name], others)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            archive.writestr(zipfile.ZipInfo(name), part)
    return written.getvalue()


def _change(chance: random.Random, part: bytes, others: Sequence[bytes]) -> bytes:
    if chance.random() < 0.1:
        return mutate_bytes(chance, part, others)
    found = list((_TAG if chance.random() < 0.4 else _VALUE).finditer(part))
    if not found:
        return part
    here = chance.choice(found)
    start, end = here.span()
    match chance.randrange(6):
        case 0:
            new = b""
        case 1:
            new = here[0] * chance.choice((2, 2, 100))
        case 2:
            new = chance.choice(found)[0]
        case 3 if here[0][:1] != b"<":
            new = chance.choice(TEXTS[:-2]).encode("utf-8", "replace")
        case _:
            new = chance.choice(_VALUES) if here[0][:1] != b"<" else here[0].replace(b"/", b"", 1)
    return part[:start] + new + part[end:]


def mutate_parquet(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """The footer in two cases out of three, with a length that fits; else any bytes."""
    if chance.random() < 0.33:
        return mutate_bytes(chance, data, others)
    size = int.from_bytes(data[-8:-4], "little")
    footer = bytearray(data[-8 - size : -8])
    for _ in range(1 + min(int(chance.expovariate(0.8)), 5)):
        at = chance.randrange(max(len(footer), 1))
        match chance.randrange(4):
            case 0 | 1 if footer:
                footer[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, footer[at] ^ (1 << chance.randrange(8))))
            case 2:
                del footer[at : at + chance.randint(1, 8)]
            case _:
                footer[at:at] = chance.choice(
                    (b"\xff" * 9, b"\x80" * 9 + b"\1", footer[at : at + 16], b"\x15\x02")
                )
    length = (
        len(footer) if chance.random() < 0.9 else chance.choice((0, 2**31 - 1, 2**32 - 1, len(footer) + 1))
    )
    return data[: -8 - size] + bytes(footer) + length.to_bytes(4, "little") + b"PAR1"

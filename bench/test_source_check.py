"""`mutuals source check` of an export against `phonenumbers` alone, one thread, over its phone column: ``make bench``.

    python bench/test_source_check.py 1000000        # wall and CPU time of both, and their ratio; minutes

The promise is a third, with identical results: every number of the file is compared. As a test it runs with a few
thousand contacts, where the program's start decides, so the ratio is only printed.
"""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import phonenumbers
import polars as pl
from phonenumbers import PhoneNumberFormat
from support.homes import make_peer

from mutuals.normalisation import get_profile
from mutuals.sources import SourceDefinition, read_source
from mutuals.sources.detect import Wishes, understand
from mutuals.sources.identifiers import collect_identifiers

CONTACTS = 3_000
COUNTRY = "DE"
PROFILE = "strict-v1"  # asks of every number what the library's is_valid_number asks
SHARES = {"DE": 40, "US": 20, "GB": 12, "FR": 8, "NL": 5, "CA": 4, "IT": 4, "ES": 3, "CH": 2, "AT": 2}
HEADINGS = (
    "Record ID",
    "First Name",
    "Last Name",
    "Email",
    "Phone Number",
    "Country/Region",
    "Associated Company",
    "Contact owner",
    "Lifecycle Stage",
    "Unsubscribed from all email",
    "Legal basis for processing contact's data",
    "Consent day",
)
_DIGITS_DRAWN = 6


@dataclass(frozen=True)
class Spent:
    """Seconds of one of the two."""

    wall: float
    cpu: float


def spellings(region: str) -> list[str]:
    """How numbers of a region stand in a CRM in Germany, as patterns: ``#`` is a digit to be drawn."""
    found = []
    for kind in range(3):
        number = phonenumbers.example_number_for_type(region, kind)
        if number is None:
            continue
        plain, spaced, at_home = (
            phonenumbers.format_number(number, form)
            for form in (PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.NATIONAL)
        )
        written = [plain] * 6 + [spaced] * 5 + [f"00{plain[1:]}", spaced.replace(" ", "-")]
        if region in {"DE", "GB"}:
            written += [spaced.replace(" ", " (0)", 1)] * 2
        if region == COUNTRY:
            written += [at_home] * 8 + [at_home.replace(" ", "/", 1), at_home.replace(" ", "")]
        found += [_drawn(text) for text in written]
    return found


def _drawn(text: str) -> str:
    left, out = _DIGITS_DRAWN, []
    for character in reversed(text):
        drawn = character.isdigit() and left > 0
        left -= drawn
        out.append("#" if drawn else character)
    return "".join(reversed(out))


def write_export(path: Path, contacts: int) -> None:
    """As HubSpot writes it. 2 numbers in 100 have an extension, 1 is a word, 5 cells are empty."""
    dice = random.Random(6)
    patterns = {region: spellings(region) for region in SHARES}
    regions = dice.choices(list(SHARES), list(SHARES.values()), k=contacts)
    with path.open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream, quoting=csv.QUOTE_ALL)
        lines.writerow(HEADINGS)
        for number, region in enumerate(regions):
            cell = dice.choice(patterns[region])
            for digit in f"{dice.randrange(10**_DIGITS_DRAWN):06d}":
                cell = cell.replace("#", digit, 1)
            kind = dice.randrange(100)
            cell = "" if kind < 5 else "ask Ann" if kind == 5 else f"{cell} ext. 12" if kind < 8 else cell
            mail = f"P.{number}@Gmail.com" if kind < 20 else f"p{number}@company{number % 5000}.example.com"
            lines.writerow(
                (
                    100_000 + number,
                    "Ann",
                    "O'Hara",
                    mail,
                    cell,
                    region,
                    'Müller, "Söhne" & Co' if kind == 50 else "Plain Ltd",
                    "Sam",
                    "lead",
                    "true" if kind == 60 else "",
                    "Freely given consent from contact" if kind % 2 else "Not applicable",
                    "2026-03-31 09:30" if kind % 2 else "",
                )
            )


def alone(texts: list[str]) -> list[str | None]:
    """What `phonenumbers` makes of each: parse, judge, write. An extension has no place in E.164."""
    done: list[str | None] = []
    for text in texts:
        try:
            number = phonenumbers.parse(text, COUNTRY)
        except phonenumbers.NumberParseException:
            done.append(None)
            continue
        valid = phonenumbers.is_valid_number(number) and not number.extension
        done.append(phonenumbers.format_number(number, PhoneNumberFormat.E164) if valid else None)
    return done


def measure(folder: Path, contacts: int) -> tuple[Spent, Spent]:
    """The command and the library over the same file, one after the other; raises AssertionError where they differ."""
    file = folder / "hubspot.csv"
    write_export(file, contacts)
    home = make_peer(folder / "home")
    _mutuals(home, "source", "add", "crm", "--path", str(file), "--default-country", COUNTRY)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    report = json.loads(_mutuals(home, "source", "check", "crm", "--profile", PROFILE, "--json"))
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    ours = Spent(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    with file.open(encoding="utf-8", newline="") as stream:
        texts = [row[4] for row in csv.reader(stream)][1:]
    texts = [text for text in texts if text]
    start, cpu = time.perf_counter(), time.process_time()
    theirs = alone(texts)
    library = Spent(time.perf_counter() - start, time.process_time() - cpu)

    expected = Counter(number for number in theirs if number is not None)
    figures = report["identifiers"]["phone"]
    assert (figures["written"], figures["usable"]) == (len(texts), expected.total())
    assert figures["distinct"] == len(expected)
    assert sum(refusal["count"] for refusal in figures["refused"]) == len(texts) - expected.total()
    assert figures["shared"] == sum(held > 1 for held in expected.values())
    definition = understand(
        SourceDefinition(name="crm", path=str(file), format="csv", default_country=COUNTRY), Wishes()
    ).definition
    collected = collect_identifiers(
        read_source(definition, fields=()), ("phone",), get_profile(PROFILE), COUNTRY
    )
    assert collected["value"].equals(pl.Series(theirs, dtype=pl.String), null_equal=True), (
        "numbers differ from those of phonenumbers"
    )
    return ours, library


def _mutuals(home: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "mutuals_client.main", *arguments, "--home", str(home)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def tell(contacts: int, ours: Spent, library: Spent) -> str:
    """One line for each, and the ratios."""
    return (
        f"\n{contacts:,} contacts, {os.cpu_count()} cores\n"
        f"mutuals source check       wall {ours.wall:8.2f} s   CPU {ours.cpu:8.2f} s\n"
        f"phonenumbers, one thread   wall {library.wall:8.2f} s   CPU {library.cpu:8.2f} s\n"
        f"ratio                      wall {ours.wall / library.wall:8.3f}     CPU {ours.cpu / library.cpu:8.3f}"
    )


def test_the_report_says_of_every_number_what_phonenumbers_says(tmp_path: Path) -> None:
    """Small, for the results; the ratio of a million is in docs/benchmarks.md."""
    print(tell(CONTACTS, *measure(tmp_path, CONTACTS)))


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as place:
        print(tell(size, *measure(Path(place), size)))

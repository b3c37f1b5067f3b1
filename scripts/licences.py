"""The licences of everything that a release installs: read from the packages, held against a list of what we accept.

python scripts/licences.py --write FOLDER   # read them in an environment with all of the lock; writes docs/licences.md
python scripts/licences.py                  # check, without a network: the table is the lock's, every licence on it
                                            # is accepted, and what is installed here says the same as the table
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from lock import CORE, EXTRAS, load

TABLE = Path(__file__).resolve().parent.parent / "docs" / "licences.md"

_PERMISSIVE = "asks for its notice to be kept"
_LIBRARY = "weak copyleft: used as a library of its own, unchanged, which anybody may replace; nothing of it is in ours"
ACCEPTED = {
    "0BSD": "asks for nothing",
    "Apache-2.0": f"{_PERMISSIVE}; grants patents",
    "BSD-2-Clause": _PERMISSIVE,
    "BSD-3-Clause": _PERMISSIVE,
    "CC0-1.0": "asks for nothing",
    "ISC": _PERMISSIVE,
    "LGPL-3.0-only": _LIBRARY,
    "LGPL-3.0-or-later": _LIBRARY,
    "LicenseRef-Intel-EULA-Developer-Tools": (
        "not open source: may be used and passed on unchanged; only in the extra `fast`, which nobody needs"
    ),
    "MIT": _PERMISSIVE,
    "MIT-0": "asks for nothing",
    "PSF-2.0": _PERMISSIVE,
    "Unlicense": "asks for nothing",
    "Zlib": _PERMISSIVE,
}
"""What may come with a release, by SPDX identifier, and why. Anything else is for a person to decide."""

READ_BY_HAND = {
    "intel-cmplr-lib-rt": ("LicenseRef-Intel-EULA-Developer-Tools", "its LICENSE.txt, of August 2024"),
    "ipp-crypto": ("Apache-2.0", "its field License; the classifier says proprietary"),
    "partd": ("BSD-3-Clause", "its repository's LICENSE.txt"),
    "polars": ("MIT", "its LICENSE, of which the field holds the text"),
    "pywin32-ctypes": ("BSD-3-Clause", "its LICENSE.txt; for Windows alone, so not read by this script"),
    "jinja2": ("BSD-3-Clause", "its LICENSE.txt; the classifier says BSD"),
    "zict": ("BSD-3-Clause", "its LICENSE.txt; the field says BSD"),
}
"""Packages whose metadata names no licence clearly: which it is, and where that was read."""

_SPDX = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "isc license": "ISC",
    "mit license": "MIT",
}

_HEAD = """# Licences

What a release of mutuals installs, and under which licence, as each package's metadata says. `make licences` writes
this page from an environment with everything in the [lock](../lock); `make check` holds it against the lock, against
what is installed, and against the list below. mutuals itself is under Apache-2.0. Development tools are in
[ADR 1](adr/0001-dependencies.md); they are not part of a release.

Wheels carry compiled libraries of others, under licences of theirs, which stand in the wheels: OpenSSL in
`cryptography`, BoringSSL in `grpcio`, GMP, MPFR and MPC in `gmpy2`, OpenBLAS and GCC's libgfortran in `numpy`; libpq,
OpenSSL, Kerberos, LDAP and SASL in `psycopg-binary`; Arrow's in `pyarrow`. An SBOM made of Python's metadata
(`make sbom`) does not list these.

## Accepted

| licence | why |
|---|---|
"""


@dataclass(frozen=True)
class Row:
    """One package of the table."""

    name: str
    version: str
    licence: str
    needed_by: str
    read: str

    def __str__(self) -> str:
        return f"| {self.name} | {self.version} | {self.licence} | {self.needed_by} | {self.read} |"


def locked() -> dict[str, tuple[str, str]]:
    """Version and parts of the lock, by package."""
    found: dict[str, tuple[str, str]] = {}
    for part in (CORE, *EXTRAS):
        for one in load(part):
            before = found.get(one.name, ("", ""))[1]
            found[one.name] = (one.version, f"{before}, {part}" if before else part)
    return dict(sorted(found.items()))


def licence_of(package: Distribution) -> str | None:
    """Its licence as an SPDX expression, if its metadata says clearly."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    told = [str(metadata.get("License") or "")]
    told += [
        text.rpartition(" :: ")[2]
        for text in metadata.get_all("Classifier") or ()
        if text.startswith("License")
    ]
    for text in told:
        name = re.sub(r"\s*\([^)]*\)$", "", text.strip())
        if name in ACCEPTED:
            return name
        if name.lower() in _SPDX:
            return _SPDX[name.lower()]
    return None


def installed(folder: Path | None) -> dict[str, Distribution]:
    """The packages in an environment (its folder), or in this one."""
    paths = [str(path) for path in folder.glob("lib/python*/site-packages")] if folder else sys.path
    return {canonicalize_name(package.metadata["Name"]): package for package in distributions(path=paths)}


def rows(folder: Path | None) -> Iterator[Row]:
    """What can be said of the locked packages from what is installed, and by hand."""
    here = installed(folder)
    for name, (version, needed_by) in locked().items():
        package = here.get(name)
        if name in READ_BY_HAND:
            licence, where = READ_BY_HAND[name]
            yield Row(name, version, licence, needed_by, where)
        elif package is not None and package.version == version:
            yield Row(name, version, licence_of(package) or "unknown", needed_by, "metadata")


def table() -> dict[str, str]:
    """The rows of the page, by package."""
    lines = TABLE.read_text(encoding="utf-8").splitlines() if TABLE.is_file() else []
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.count(" | ") == 4}


def faults() -> Iterator[str]:
    """Where page, lock, installed packages and accepted licences do not agree."""
    written, wanted = table(), locked()
    for name in sorted(wanted.keys() - written.keys()):
        yield f"{name} is in the lock and not in docs/licences.md"
    for name in sorted(written.keys() - wanted.keys() - {"package"}):
        yield f"{name} is in docs/licences.md and not in the lock"
    for name, (version, _) in wanted.items():
        if name in written and f"| {name} | {version} | " not in written[name]:
            yield f"{name}: docs/licences.md has another version than the lock, {version}"
    for row in rows(None):
        if written.get(row.name) not in (None, str(row)):
            yield f"{row.name}: installed here, it says {row.licence}, which docs/licences.md does not"
    for line in written.values():
        name, _, licence = line.removeprefix("| ").split(" | ")[:3]
        if name != "package":
            yield from (f"{name}: {one} is not accepted" for one in _unaccepted(licence))


def _unaccepted(expression: str) -> list[str]:
    """The licences of an SPDX expression that are not on the list: all of them must be, whether joined by AND or OR."""
    return [one for one in re.split(r"\s+(?:AND|OR)\s+|[()]", expression) if one and one not in ACCEPTED]


def write(folder: Path) -> list[str]:
    """Write the page from an environment; what is wrong with it."""
    found = list(rows(folder))
    text = _HEAD + "".join(f"| {name} | {why} |\n" for name, why in ACCEPTED.items())
    text += (
        "\n## Packages\n\n| package | version | licence | needed by | read from |\n|---|---|---|---|---|\n"
    )
    TABLE.write_text(text + "".join(f"{row}\n" for row in found), encoding="utf-8")
    return list(faults())


def main() -> int:
    """Write or check; the exit code."""
    parser = argparse.ArgumentParser(description="Write or check docs/licences.md.")
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER", help="an environment with everything in the lock"
    )
    folder = parser.parse_args().write
    found = write(folder) if folder else list(faults())
    for fault in found:
        print(fault)
    if found:
        return 1
    licences = {line.split(" | ")[2] for line in table().values()} - {"licence"}
    print(f"licences: {len(locked())} packages, {len(licences)} licences or combinations, all accepted")
    return 0


if __name__ == "__main__":
    sys.exit(main())

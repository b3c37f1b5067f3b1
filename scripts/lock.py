"""The release lock: every package that a release installs, for all platforms, with the hashes of its files.

    python scripts/lock.py --write      # resolve again, within constraints.txt; needs uv and a package index
    python scripts/lock.py              # check, without a network, that the lock agrees with what it is made of

``lock/core.txt`` holds what mutuals itself needs, ``lock/EXTRA.txt`` what an extra needs besides, ``lock/release.txt``
the tools that make a release. pip refuses whatever is not in them, byte for byte:

    pip install --require-hashes --only-binary :all: -r lock/core.txt -r lock/postgres.txt

Versions come from ``constraints.txt``, so the lock adds hashes, never another choice. No file names a package index.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "lock"
CORE = "core"
EXTRAS = ("cluster", "excel", "fast", "keyring", "pandas", "postgres")
"""The extras that somebody may install with a release; the others are for development."""
TOOLS = "release"
PARTS = (CORE, *EXTRAS, TOOLS)
OLDEST_PYTHON = "3.11"

HEADER = "# Written by make lock from pyproject.toml and constraints.txt; see docs/release.md. Do not edit.\n"
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Locked:
    """A package of the lock: the pin and its condition, and the SHA-256 of each of its files."""

    requirement: Requirement
    hashes: tuple[str, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """Its name, as indexes compare names."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The one version."""
        return next(iter(self.requirement.specifier)).version

    @property
    def text(self) -> str:
        """Its lines in a lock file."""
        marker = f" ; {self.requirement.marker}" if self.requirement.marker else ""
        return " \\\n    ".join([f"{self.name}=={self.version}{marker}", *self.hashes]) + "\n"


def read(text: str) -> list[Locked]:
    """The packages of a lock file. Raises ValueError for a line that is neither a pinned package nor a hash."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pinned, *rest = re.split(r"\s+(?=--)", line.strip())
        requirement = Requirement(pinned)
        if len(requirement.specifier) != 1 or next(iter(requirement.specifier)).operator != "==":
            raise ValueError(f"{pinned} is not pinned to one version")
        if not rest or not all(_HASH.fullmatch(part.strip()) for part in rest):
            raise ValueError(f"{pinned} has no hashes, or something else")
        found.append(Locked(requirement, tuple(sorted(part.strip() for part in rest))))
    return found


def load(part: str) -> list[Locked]:
    """The packages of one part of the lock."""
    return read((LOCK / f"{part}.txt").read_text(encoding="utf-8"))


def constraints() -> dict[str, str]:
    """The versions of ``constraints.txt`` by package."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.partition("==") for line in lines if "==" in line and not line.startswith("#")]
    return {canonicalize_name(name): version.strip() for name, _, version in pins}


def declared(part: str) -> list[Requirement]:
    """What pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = project["dependencies"] if part == CORE else project["optional-dependencies"][part]
    return [Requirement(text) for text in texts]


def write() -> list[str]:
    """Resolve every part; the faults that are left."""
    LOCK.mkdir(exist_ok=True)
    core = _resolve(None)
    (LOCK / f"{CORE}.txt").write_text(HEADER + "".join(one.text for one in core), encoding="utf-8")
    known = {one.text for one in core}
    for part in PARTS[1:]:
        more = [one for one in _resolve(part) if one.text not in known]
        (LOCK / f"{part}.txt").write_text(HEADER + "".join(one.text for one in more), encoding="utf-8")
    return list(faults())


def _resolve(extra: str | None) -> list[Locked]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "lock.txt"
        command = [
            str(Path(sysconfig.get_path("scripts")) / "uv"), "pip", "compile", "pyproject.toml", "--quiet",
            "--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes", "--no-header",
            "--no-annotate", "--no-emit-index-url", "--constraints", "constraints.txt", "--output-file", str(out),
        ]  # fmt: skip
        command += ["--extra", extra] if extra else []
        subprocess.run(
            command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"}
        )
        return read(out.read_text(encoding="utf-8"))


def faults() -> Iterator[str]:
    """Where the lock does not agree with pyproject.toml, constraints.txt or what is installed here."""
    pins = constraints()
    core = {one.name: one for one in load(CORE)}
    for part in PARTS:
        held = core | {one.name: one for one in load(part)}
        for one in load(part):
            if pins.get(one.name) != one.version:
                yield f"lock/{part}.txt: {one.name}=={one.version}, but constraints.txt has {pins.get(one.name)}"
        for wanted in declared(part):
            found = held.get(canonicalize_name(wanted.name))
            if found is None or not wanted.specifier.contains(found.version):
                yield f"lock/{part}.txt: does not hold {wanted}"
        yield from _incomplete(part, held)


def _incomplete(part: str, held: dict[str, Locked]) -> Iterator[str]:
    """What locked packages need, by the metadata of those that are installed here, and the lock does not hold."""
    for one in held.values():
        try:
            installed = distribution(one.name)
        except PackageNotFoundError:
            continue
        if installed.version != one.version:
            continue
        for text in installed.requires or ():
            wanted = Requirement(text)
            applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
            if applies and canonicalize_name(wanted.name) not in held:
                yield f"lock/{part}.txt: {one.name} needs {wanted.name}, which is not in it"


def main() -> int:
    """Write or check; the exit code."""
    parser = argparse.ArgumentParser(description="Write or check the release lock.")
    parser.add_argument("--write", action="store_true", help="resolve again; needs uv and a package index")
    found = write() if parser.parse_args().write else list(faults())
    for fault in found:
        print(fault)
    if found:
        print("Put these versions into constraints.txt, then: make lock")
        return 1
    packages = {one.name: len(one.hashes) for part in PARTS for one in load(part)}
    print(
        f"lock: {len(packages)} packages, {sum(packages.values())} hashes, in agreement with constraints.txt"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

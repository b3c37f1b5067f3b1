"""What a release consists of, made from the last commit into dist/. The whole order: docs/release.md.

    python scripts/release.py wheel         # the wheel and the source, built twice, byte for byte the same
    python scripts/release.py environment   # .venv-release: everything in the lock, hashes checked, and the wheel
    python scripts/release.py install       # the wheel of dist/ in the place of an earlier one there
    python scripts/release.py sbom          # dist/mutuals-VERSION.cdx.json, of that environment
    python scripts/release.py sums          # dist/SHA256SUMS

Whoever repeats it with the same commit, tools and platform gets the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import licences
from packaging.utils import canonicalize_name

from lock import CORE, EXTRAS, LOCK, ROOT

DIST = ROOT / "dist"
ENVIRONMENT = ROOT / ".venv-release"
UMASKS = (0o022, 0o077)
"""One for each build: a difference between machines that must not show."""


def git(*arguments: str) -> bytes:
    """What git says."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


def epoch() -> str:
    """When the last commit was made, as SOURCE_DATE_EPOCH (seconds since 1970)."""
    return git("log", "-1", "--format=%ct").decode().strip()


def version() -> str:
    """The version that is released."""
    lines = (ROOT / "core/mutuals/__init__.py").read_text(encoding="utf-8").splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("__version__"))


def wheel() -> None:
    """Build twice from the last commit, in folders of other names and under other umasks, and compare."""
    source = git("archive", "HEAD")
    built = []
    with tempfile.TemporaryDirectory() as folder:
        for number, umask in enumerate(UMASKS):
            place = Path(folder) / ("a" * (number + 1))
            before = os.umask(umask)
            try:
                with tarfile.open(fileobj=BytesIO(source)) as archive:
                    archive.extractall(place, filter="tar")
                subprocess.run(
                    [
                        sys.executable,
                        "-m",
                        "build",
                        "--no-isolation",
                        "--quiet",
                        "--outdir",
                        place / "out",
                        place,
                    ],
                    check=True,
                    stdout=subprocess.DEVNULL,
                    env={**os.environ, "SOURCE_DATE_EPOCH": epoch()},
                )
            finally:
                os.umask(before)
            built.append({path.name: path.read_bytes() for path in sorted((place / "out").iterdir())})
    if built[0] != built[1]:
        raise SystemExit("Two builds of one commit differ: " + ", ".join(built[0].keys() | built[1].keys()))
    DIST.mkdir(exist_ok=True)
    for name, data in built[0].items():
        (DIST / name).write_bytes(data)
        print(
            f"built twice, the same: {name}, {len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"
        )


def environment() -> None:
    """An environment with the lock and the wheel and nothing else, so not even pip."""
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ENVIRONMENT], check=True)
    parts = [text for part in (CORE, *EXTRAS) for text in ("-r", str(LOCK / f"{part}.txt"))]
    _pip("--require-hashes", "--only-binary", ":all:", *parts)
    install()


def install() -> None:
    """Put the wheel of dist/ into that environment, in the place of an earlier one."""
    wheel_file = DIST / f"mutuals-{version()}-py3-none-any.whl"
    _pip("--no-deps", "--no-index", "--force-reinstall", str(wheel_file))
    told = subprocess.run(
        [_program("mutuals"), "--version"], check=True, capture_output=True, text=True
    ).stdout
    number = len(licences.installed(ENVIRONMENT)) - 1
    print(
        f"installed by hash: {number} packages of {len(licences.locked())} in the lock; then {told.strip()}"
    )


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(ENVIRONMENT), "install", "-qq"]
    subprocess.run([*command, "--disable-pip-version-check", *arguments], check=True)


def _program(name: str) -> str:
    return str(ENVIRONMENT / "bin" / name)


def sbom() -> None:
    """CycloneDX 1.6, checked against its schema; the licences are those of docs/licences.md."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    command = [Path(sys.executable).parent / "cyclonedx-py", "environment", "--output-reproducible"]
    command += ["--pyproject", ROOT / "pyproject.toml", "--mc-type", "application", "--spec-version", "1.6"]
    told = subprocess.run(
        [*command, "--output-file", "-", _program("python")],
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": epoch()},
    ).stdout
    bom = json.loads(told)
    bom["metadata"]["component"]["version"] = version()
    rows = {row.name: row for row in licences.rows(ENVIRONMENT)}
    for component in bom["components"]:
        row = rows[canonicalize_name(component["name"])]
        component["licenses"] = [{"expression": row.licence, "acknowledgement": "concluded"}]
    text = json.dumps(bom, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"The SBOM is not what its schema asks for: {fault}")
    path = DIST / f"mutuals-{version()}.cdx.json"
    path.write_text(text, encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    print(f"SBOM: {path.name}, {len(bom['components'])} components, valid CycloneDX 1.6, SHA-256 {digest}")


def sums() -> None:
    """The SHA-256 of everything in dist/, as sha256sum --check reads it; this is the file to sign."""
    shutil.copytree(LOCK, DIST / "lock", dirs_exist_ok=True)
    names = sorted(
        path for path in DIST.rglob("*") if path.is_file() and not path.name.startswith("SHA256SUMS")
    )
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(DIST)}\n" for path in names]
    (DIST / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    print(f"SHA256SUMS: {len(names)} files")


STEPS: dict[str, Callable[[], None]] = {
    "wheel": wheel,
    "environment": environment,
    "install": install,
    "sbom": sbom,
    "sums": sums,
}

if __name__ == "__main__":
    for step in sys.argv[1:]:
        STEPS[step]()

"""Generate core/mutuals/v1 from proto/, or check that it is up to date.

    python scripts/generate_proto.py            generate
    python scripts/generate_proto.py --check    compare, and say what differs

The compiler of grpcio-tools 1.72.2 writes code for protobuf 6.30.0, which the pinned runtime (6.30.2) still loads;
that of 1.73 does not (docs/adr/0008-transport.md). It needs another protobuf than the project, so it lives in an
environment of its own, made on first use under .venv or in a temporary folder. No code for gRPC is generated:
``mutuals.transport.wire`` names the methods.
"""

from __future__ import annotations

import argparse
import filecmp
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
OUTPUT = ROOT / "core"
PACKAGE = Path("mutuals/v1")
COMPILER = "grpcio-tools==1.72.2"
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


def compiler(folder: Path) -> Path:
    """The Python of an environment in ``folder`` that has the compiler; made where it is not there yet."""
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    ready = folder / f".{COMPILER}"
    if not ready.exists():
        venv.create(folder, clear=True, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", COMPILER]
        subprocess.run(install, check=True, stdout=sys.stderr)
        ready.touch()
    return python


def generate(python: Path, output: Path) -> None:
    """Compile all of proto/ into ``output``, which is where ``mutuals`` lies."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    command = [python, "-m", "grpc_tools.protoc", f"--proto_path={PROTO}"]
    command += [f"--python_out={output}", f"--pyi_out={output}", *sources]
    subprocess.run(command, check=True)


def generated(folder: Path) -> set[str]:
    """The names of generated files in ``folder``."""
    return {path.name for pattern in GENERATED for path in folder.glob(pattern)}


def differences(fresh: Path, present: Path) -> list[str]:
    """What is missing, left over or different in ``present``."""
    wanted, found = generated(fresh), generated(present)
    changed = {
        name for name in wanted & found if not filecmp.cmp(fresh / name, present / name, shallow=False)
    }
    return [
        *(f"{name} is missing" for name in sorted(wanted - found)),
        *(f"{name} is left over" for name in sorted(found - wanted)),
        *(f"{name} is out of date" for name in sorted(changed)),
    ]


def main() -> int:
    """Generate or compare; the exit code."""
    parser = argparse.ArgumentParser(description="Generate core/mutuals/v1 from proto/.")
    parser.add_argument("--check", action="store_true", help="compare with what is there; change nothing")
    parser.add_argument("--environment", type=Path, help="where the compiler's environment lies or is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        kept = ROOT / ".venv"
        default = kept / "proto" if kept.is_dir() else Path(temporary) / "environment"
        fresh = Path(temporary) / "fresh"
        fresh.mkdir()
        generate(compiler(arguments.environment or default), fresh)
        found = differences(fresh / PACKAGE, OUTPUT / PACKAGE)
        if arguments.check:
            for line in found:
                print(f"core/{PACKAGE / line}; run: make proto")
            return 1 if found else 0
        present = OUTPUT / PACKAGE
        for name in generated(present):
            (present / name).unlink()
        for name in generated(fresh / PACKAGE):
            (present / name).write_bytes((fresh / PACKAGE / name).read_bytes())
    print(f"core/{PACKAGE}: {len(found)} files changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""SecretFlow's PSI (the package ``spu``) from two CSV files to the overlap, both sides told: what we are measured by.

    PYTHON -m compare.secretflow PROTOCOL ITEMS      in a PYTHON that has spu; JSON on standard output

The two parties are processes on this machine that talk over plain TCP; SecretFlow neither encrypts that nor asks who
calls. ``ecdh`` is its Diffie-Hellman protocol on Curve25519, of the same kind as ours. ``rr22`` is its fastest
(Rindal and Raghuraman, CCS 2022), built on oblivious transfer: far cheaper, and sound only while both sides follow it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROTOCOLS = {"ecdh": "SecretFlow ECDH", "rr22": "SecretFlow RR22"}


def measure(protocol: str, items: int) -> dict[str, float]:
    """Wall seconds, CPU seconds of both parties, and the larger one's peak memory in MB."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="secretflow-") as name:
        folder = Path(name)
        for rank, first in ((0, 0), (1, items - items // 10)):
            lines = (f"person{i}@example.com\n" for i in range(first, first + items))
            (folder / f"{rank}.csv").write_text("id\n" + "".join(lines))
        ports = [_free_port() for _ in range(2)]
        with context.Pool(2) as pool:
            sides = pool.starmap(_party, [(rank, protocol, folder, ports) for rank in range(2)], chunksize=1)
    for side in sides:
        if side["found"] != items // 10:
            raise SystemExit(f"SecretFlow found {side['found']} where {items // 10} are shared")
    return {
        "wall": max(side["wall"] for side in sides),
        "cpu": sum(side["cpu"] for side in sides),
        "peak_mb": max(side["peak_mb"] for side in sides),
    }


def _party(rank: int, protocol: str, folder: Path, ports: list[int]) -> dict[str, Any]:
    os.dup2(2, 1)  # it logs on standard output, where the figures go
    from spu import psi
    from spu.libspu import link

    description = link.Desc()
    for number, port in enumerate(ports):
        description.add_party(f"party{number}", f"127.0.0.1:{port}")
    description.recv_timeout_ms = 3_600_000
    connection = link.create_brpc(description, rank)
    curve = psi.EcdhParams(curve=psi.EllipticCurveType.CURVE_25519)
    wanted = {
        "ecdh": {"protocol": psi.PsiProtocol.PROTOCOL_ECDH, "ecdh_params": curve},
        "rr22": {"protocol": psi.PsiProtocol.PROTOCOL_RR22},
    }
    files = psi.SourceType.SOURCE_TYPE_FILE_CSV
    config = psi.PsiExecuteConfig(
        protocol_conf=psi.PsiProtocolConfig(receiver_rank=0, broadcast_result=True, **wanted[protocol]),
        input_params=psi.InputParams(
            type=files, path=str(folder / f"{rank}.csv"), selected_keys=["id"], keys_unique=True
        ),
        output_params=psi.OutputParams(type=files, path=str(folder / f"found{rank}.csv")),
    )
    wall, cpu = time.perf_counter(), _cpu_seconds()
    report = psi.psi_execute(config, connection)
    measured = {
        "found": report.intersection_count,
        "wall": time.perf_counter() - wall,
        "cpu": _cpu_seconds() - cpu,
        "peak_mb": _peak_mb(),
    }
    connection.stop_link()
    return measured


def _cpu_seconds() -> float:
    """Of this process and of the programs that it called and that have ended (it sorts with one)."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    figures = os.dup(1)
    os.dup2(2, 1)
    os.write(figures, json.dumps(measure(sys.argv[1], int(sys.argv[2]))).encode())

"""A dask cluster of real processes on loopback, under TLS with an authority of its own.

with dask_cluster(tmp_path, workers=2) as cluster:
    pool = ClusterPool(Cluster(cluster.address, cluster.files("peer")))
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mutuals.engines.cluster import TlsFiles

_PEM = serialization.Encoding.PEM


@dataclass
class Authority:
    """Signs certificates for one cluster."""

    folder: Path
    name: x509.Name = field(default_factory=lambda: _named("cluster"))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "ca.pem").write_bytes(self._certificate(self.name, self.key, ca=True))

    def issue(self, name: str) -> TlsFiles:
        """A certificate and key called ``name``."""
        key = ec.generate_private_key(ec.SECP256R1())
        files = TlsFiles(*(self.folder / part for part in ("ca.pem", f"{name}.pem", f"{name}.key")))
        files.certificate.write_bytes(self._certificate(_named(name), key, ca=False))
        files.key.touch(0o600)
        files.key.write_bytes(
            key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return files

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> bytes:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self.name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(_PEM)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass
class Processes:
    """The scheduler's address, its process, the workers', and the folder of their logs."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]
    folder: Path

    def logs(self) -> str:
        """Everything that any of them has printed."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


@contextmanager
def dask_cluster(folder: Path, authority: Authority, workers: int) -> Iterator[Processes]:
    """Start them, wait until the scheduler listens, and end them all."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(program: str, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        files = authority.issue(name)
        common = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")
        tls = ("--tls-ca-file", files.ca, "--tls-cert", files.certificate, "--tls-key", files.key)
        with (folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{program}", *arguments, *common, *tls],
                stdout=log,
                stderr=log,
                cwd=folder,
                env=os.environ | {"DASK_TEMPORARY_DIRECTORY": str(folder)},
            )
        processes.append(process)
        return process

    try:
        scheduler = start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0", "--protocol", "tls")
        address = _address(folder / "scheduler.log", scheduler)
        started = [
            start("worker", f"worker{number}", address, "--nthreads", "1", "--no-nanny")
            for number in range(workers)
        ]
        yield Processes(address, scheduler, started, folder)
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def _address(log: Path, scheduler: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end and scheduler.poll() is None:
        found = re.search(r"Scheduler at:\s+(tls://\S+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"the scheduler did not start: {log.read_text()}")

"""Checks of the machine: what is installed, what it can compute, and with how much."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from mutuals import __version__
from mutuals.errors import MutualsError
from mutuals.wording import counted
from mutuals_client.doctor.finding import Finding, Patient, Verdict

_LIBRARIES = (
    "cryptography",
    "grpcio",
    "protobuf",
    "openmined-psi",
    "gmpy2",
    "numpy",
    "polars",
    "phonenumbers",
    "email-validator",
    "idna",
    "SQLAlchemy",
    "distributed",
    "ipp-crypto",
)


def versions(_: Patient) -> Iterator[Finding]:
    """What is installed."""
    found: dict[str, str | None] = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    facts = {
        "mutuals": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "libraries": found,
    }
    yield Finding(
        Verdict.OK,
        f"mutuals {__version__} under Python {facts['python']} on {facts['system']}.",
        facts=facts,
    )
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Finding(
            Verdict.FAIL, "mutuals is made for Python 3.11 to 3.13.", "Install it under one of these."
        )


def engines(patient: Patient) -> Iterator[Finding]:
    """Which engines run here; one that an active agreement names has to."""
    from mutuals.engines import engine_names, get_engine

    needed = {active.agreement.matching.engine: active.agreement_id for active in patient.active()}
    for name in engine_names():
        try:
            get_engine(name)
        except MutualsError as error:
            wanted = name in needed
            advice = f"Agreement {needed[name]} needs it. {error.hint}" if wanted else error.hint
            verdict = Verdict.FAIL if wanted else Verdict.WARN
            yield Finding(verdict, error.message, advice, {"engine": name, "runs": False})
        else:
            yield Finding(Verdict.OK, f"The engine {name} runs here.", facts={"engine": name, "runs": True})


def x25519(patient: Patient) -> Iterator[Finding]:
    """Which backend computes X25519, and why not the faster one."""
    from mutuals.engines.montgomery import backend_names, choose_backend

    forced = patient.config.x25519_backend if patient.config is not None else None
    fastest = backend_names()[0]
    chosen = choose_backend(forced).name
    why = None
    if chosen != fastest:
        try:
            choose_backend(fastest)
            why = f"So config.toml says, though {fastest} runs here."
        except MutualsError as error:
            why = error.message
    yield Finding(
        Verdict.OK,
        f"X25519 is computed by {chosen}" + (f". {why}" if why else ", the fastest there is."),
        facts={"backend": chosen, "forced": forced is not None, "why_not_faster": why},
    )


def workers(patient: Patient) -> Iterator[Finding]:
    """Cores, and processes to use them."""
    from mutuals.engines.workers import usable_cores

    cores = usable_cores()
    configured = patient.config.workers if patient.config is not None else None
    number = configured or cores
    facts = {"cores": cores, "workers": number}
    sentence = f"{counted(number, 'worker process', 'worker processes')} for {counted(cores, 'usable core')}."
    if number > cores:
        yield Finding(
            Verdict.WARN, sentence, "More workers than cores only cost memory: lower workers.", facts
        )
    else:
        yield Finding(Verdict.OK, sentence, facts=facts)


def limits(patient: Patient) -> Iterator[Finding]:
    """The machine has what the limits in config.toml take for granted; nothing is said where it has."""
    if patient.config is None or patient.peer is None:
        return
    import resource
    import shutil

    from mutuals.identity.limits import OWN_FILES

    limits = patient.config.limits
    free = shutil.disk_usage(patient.peer.home.root).free // 1_000_000
    if free < limits.free_disk_mb:
        yield Finding(
            Verdict.WARN,
            f"The disk of {patient.peer.home.root} has {free:,} MB free, of which {limits.free_disk_mb:,} are kept: "
            "the server refuses every match.",
            "Make room there, or lower free_disk_mb in config.toml.",
            {"free_mb": free, "free_disk_mb": limits.free_disk_mb},
        )
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < limits.connections + OWN_FILES:
        yield Finding(
            Verdict.WARN,
            f"The server can have {files:,} files open, so that it takes fewer than the {limits.connections:,} "
            "connections that config.toml permits.",
            f"Raise the limit (systemd: LimitNOFILE={limits.connections + OWN_FILES}), or lower connections.",
            {"open_files": files, "connections": limits.connections},
        )


def cluster(patient: Patient) -> Iterator[Finding]:
    """Where a cluster is configured: it answers, its workers have this release, and all compute alike."""
    from mutuals.engines.cluster import ClusterPool

    if patient.peer is None or patient.config is None or patient.config.executor is None:
        return
    with patient.peer.open_pool() as pool:
        if not isinstance(pool, ClusterPool):
            raise TypeError("an executor is configured, and the pool is no cluster")
        backends = pool.worker_backends()
        facts = {"address": pool.executor, "threads": pool.processes, "workers": backends}
        number = counted(len(backends), "worker")
        sentence = f"The cluster {pool.executor} answers: {number}, {counted(pool.processes, 'thread')}"
        told = f"{sentence}, X25519 by {pool.backend('x25519') or 'none'}."
    if len(set(backends.values())) > 1:
        advice = "The slower workers hold up the others: install mutuals[fast] on all whose CPU can use it."
        yield Finding(Verdict.WARN, told, advice, facts)
    else:
        yield Finding(Verdict.OK, told, facts=facts)

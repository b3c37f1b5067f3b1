"""``mutuals doctor``: one finding for each thing that is not as it should be, and what to do about it."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.homes import make_peer, renew

from mutuals.clock import utc_now
from mutuals.engines import montgomery, workers
from mutuals.errors import ErrorCode, MutualsError
from mutuals.peer import Peer
from mutuals.store.schema import REVISIONS
from mutuals_client import doctor, main
from mutuals_client.doctor import Verdict

CHECKED = {
    "versions",
    "home",
    "files",
    "memory",
    "engines",
    "x25519",
    "workers",
    "store",
    "certificate",
    "port",
    "clock",
    "profiles",
    "partners",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("doctor") / "home"
    make_peer(root, listen=f"127.0.0.1:{free_port()}")
    renew(root, utc_now())  # or its certificate would be of the day that other tests live in
    return root


@pytest.fixture
def home(fresh: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fresh, tmp_path / "home"))


class Doctor:
    """Runs the command on a home; ``of(check)`` are the findings of one check."""

    def __init__(self, home: Path, capture: pytest.CaptureFixture[str]) -> None:
        main.reset_settings()
        self.code = main.run(["doctor", "--json", "--home", str(home)])
        self.told: dict[str, Any] = json.loads(capture.readouterr().out)

    def of(self, check: str) -> list[tuple[str, str]]:
        """Verdicts and sentences."""
        return [(one["verdict"], one["sentence"]) for one in self.told["checks"] if one["check"] == check]

    def facts(self, check: str) -> dict[str, Any]:
        """The facts of its first finding."""
        found: dict[str, Any] = next(one["facts"] for one in self.told["checks"] if one["check"] == check)
        return found


def configure(home: Path, **values: str) -> None:
    """Put keys in front of what config.toml says."""
    path = home / "config.toml"
    path.write_text("".join(f'{key} = "{value}"\n' for key, value in values.items()) + path.read_text())


def test_a_sound_peer_is_fit(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = Doctor(home, capsys)
    assert found.code == 0
    assert found.told["fit"] is True
    assert {one["check"] for one in found.told["checks"]} == CHECKED
    assert found.facts("x25519")["backend"] == montgomery.choose_backend().name
    assert found.facts("workers")["cores"] == workers.usable_cores()
    assert found.facts("store")["schema"] == REVISIONS[-1]
    assert found.facts("certificate")["days"] > 300
    assert set(found.facts("profiles")["digests"]) >= {"uid2-v1", "strict-v1"}


def test_people_read_sentences_and_what_to_do(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "keys" / "signing.pem").chmod(0o644)
    main.reset_settings()
    assert main.run(["doctor", "--home", str(home)]) == 10
    out = " ".join(capsys.readouterr().out.split())
    assert "can be read or changed by other users" in out
    assert "Make it private: chmod 600" in out
    assert "The engine x25519 runs here." in out  # what needs no peer is checked all the same


def test_without_a_peer_the_machine_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = Doctor(tmp_path / "nothing", capsys)
    assert found.code == 10
    assert found.of("home")[0][0] == "fail"
    assert found.of("engines")
    assert found.of("store") == []


def test_why_the_faster_backend_is_not_used(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise MutualsError(ErrorCode.ENGINE_MISMATCH, "crypto_mb cannot run here: no reason.")

    monkeypatch.setitem(montgomery._BACKENDS, "crypto_mb", refuse)
    monkeypatch.setattr(montgomery, "CryptoMbBackend", refuse)
    montgomery.choose_backend.cache_clear()
    try:
        ((verdict, sentence),) = Doctor(home, capsys).of("x25519")
        assert verdict == "ok"
        assert sentence == "X25519 is computed by cryptography. crypto_mb cannot run here: no reason."
        configure(home, x25519_backend="crypto_mb")
        found = Doctor(home, capsys)
        assert (found.code, found.of("x25519")[0][0]) == (10, "fail")
    finally:
        montgomery.choose_backend.cache_clear()


@pytest.mark.parametrize(("days", "verdict"), [(380, "warn"), (500, "fail")])
def test_a_certificate_that_runs_out(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, days: int, verdict: str
) -> None:
    later = utc_now() + timedelta(days=days)
    monkeypatch.setattr(Peer.open.__func__, "__defaults__", (lambda: later,))  # type: ignore[attr-defined]
    assert Doctor(home, capsys).of("certificate")[0][0] == verdict


def test_a_clock_behind_the_log(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Peer.open(home) as peer, peer.store.transaction() as tx:
        tx.log.append(None, "test", {}, utc_now() + timedelta(hours=2))
    found = Doctor(home, capsys)
    assert (found.code, found.of("clock")[0][0]) == (10, "fail")


@pytest.fixture
def another_program(home: Path) -> Iterator[None]:
    with Peer.open(home) as peer:
        address = ("127.0.0.1", int(peer.config.listen.rpartition(":")[2]))
    with socket.create_server(address) as listening:

        def hang_up() -> None:
            listening.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        yield


def test_another_program_on_the_port(
    home: Path, another_program: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Doctor(home, capsys)
    assert found.of("port")[0][0] == "fail"
    assert "Another program" in found.of("port")[0][1]


def test_the_own_server_on_the_port(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Peer.open(home) as peer:
        address = ("127.0.0.1", int(peer.config.listen.rpartition(":")[2]))
        certificate = home / "certificate.pem"
        certificate.write_bytes(peer.tls_certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, home / "keys" / "tls.pem")
    with socket.create_server(address) as listening:
        thread = threading.Thread(target=lambda: context.wrap_socket(listening.accept()[0], server_side=True))
        thread.start()
        found = Doctor(home, capsys)
        thread.join()
    assert found.of("port")[0][0] == "ok"
    assert "The server answers" in found.of("port")[0][1]


def test_an_address_of_another_machine(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "config.toml"
    text = path.read_text()
    path.write_text(text.replace('listen = "127.0.0.1', 'listen = "192.0.2.1'))
    assert Doctor(home, capsys).of("port")[0][0] == "fail"


def test_a_check_that_fails_itself_is_a_finding(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> Iterator[doctor.Finding]:
        raise KeyError("jane@example.com")

    monkeypatch.setitem(doctor.CHECKS, "engines", broken)
    found = Doctor(home, capsys)
    assert found.of("engines")[0][0] == Verdict.FAIL.value
    assert "jane" not in json.dumps(found.told)
    assert found.of("profiles")

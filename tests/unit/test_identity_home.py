"""The home folder: who may read it, what config.toml may say, setting up and renewing."""

from __future__ import annotations

import os
import stat
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.homes import CHEAP, NOW, make_peer, open_peer, renew

from mutuals.crypto.tls import key_pin
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity import initialise
from mutuals.identity.cards import tls_pin
from mutuals.identity.config_text import config_toml
from mutuals.identity.files import write_private
from mutuals.identity.home import Config, Home, default_home, load_config, parse_config
from mutuals.identity.initialise import FirstOperator, card_is_outdated, init_home
from mutuals.identity.text import deceptive_character
from mutuals.models.card import ContactPerson
from mutuals.peer import Peer

texts = st.text(max_size=60).filter(lambda text: deceptive_character(text, lines=True) is None)
lines = st.text(min_size=1, max_size=60).filter(
    lambda text: deceptive_character(text) is None and text.strip() != ""
)
people = st.builds(ContactPerson, name=lines, role=lines, email=lines)
configs = st.builds(
    Config,
    organisation=lines,
    introduction=texts,
    privacy_policy=texts,
    data_handling=texts,
    contacts=st.lists(people, max_size=3).map(tuple),
    endpoint=st.none() | st.just("peer.example.com:8443"),
    store=st.none() | st.just("postgresql+psycopg://mutuals@localhost/mutuals"),
    workers=st.none() | st.integers(1, 64),
)


@given(configs)
def test_a_written_configuration_reads_back_the_same(config: Config) -> None:
    assert Config.model_validate(tomllib.loads(config_toml(config))) == config


def refused(root: Path) -> MutualsError:
    with pytest.raises(MutualsError) as caught:
        Peer.open(root)
    assert caught.value.code is ErrorCode.LOCAL
    return caught.value


def test_everything_in_a_new_home_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        root = make_peer(tmp_path / "acme")
    finally:
        os.umask(before)
    for path in (root, *root.rglob("*")):
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path
    assert sorted(path.name for path in root.iterdir()) == [
        "card.json",
        "config.toml",
        "keys",
        "log",
        "spool",
        "store.sqlite",
    ]


def test_where_there_is_no_peer_the_hint_says_how_to_set_one_up(tmp_path: Path) -> None:
    error = refused(tmp_path)
    assert "There is no peer in" in error.message
    assert error.hint is not None
    assert "mutuals init" in error.hint


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('colour = "red"', "unknown key colour"),
        ("[kdf]\nmemory = 1", "unknown key kdf.memory"),
        ('listen = "everywhere"', "listen is not host:port"),
        ('endpoint = "unix:/x"', "endpoint is not host:port"),
        ("workers = 0", "workers: "),
        ("workers = ", "not valid TOML"),
        ('introduction = "a\\u001bb"', "introduction holds the control or invisible character U+001B"),
        ("[kdf]\nmemory_kib = 8\nlanes = 2", "kdf memory_kib is less than 8 for each lane"),
    ],
)
def test_a_wrong_configuration_is_refused_in_one_sentence(tmp_path: Path, line: str, sentence: str) -> None:
    home = Home(tmp_path)
    home.config.write_text(f'organisation = "Acme"\n{line}\n', encoding="utf-8")
    with pytest.raises(MutualsError) as caught:
        load_config(home)
    assert caught.value.code is ErrorCode.LOCAL
    assert sentence in caught.value.message
    assert "\n" not in caught.value.message


def test_a_configuration_without_an_organisation_or_in_latin1_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.config.write_text("", encoding="utf-8")
    with pytest.raises(MutualsError, match="organisation is missing"):
        load_config(home)
    home.config.write_bytes('organisation = "Société"'.encode("latin-1"))
    with pytest.raises(MutualsError, match="not UTF-8"):
        load_config(home)


@pytest.mark.parametrize("written", ["Globex  SA", " Globex SA", "Globex \u00a0 SA "])
def test_blanks_in_an_organisation_are_single(written: str) -> None:
    assert Config(organisation=written).organisation == "Globex SA"


def test_a_configuration_cannot_change_once_read() -> None:
    with pytest.raises(ValidationError):
        Config(organisation="Acme").organisation = "Other"  # type: ignore[misc]  # that is what is tested


def test_init_refuses_a_home_in_use(tmp_path: Path) -> None:
    root = make_peer(tmp_path / "acme")
    card = (root / "card.json").read_bytes()
    with pytest.raises(MutualsError, match=r"a peer in .* already"):
        make_peer(root)
    assert (root / "card.json").read_bytes() == card


def test_init_refuses_a_folder_that_holds_anything_else(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(MutualsError, match="is not empty"):
        make_peer(tmp_path)
    with pytest.raises(MutualsError, match="is not a folder"):
        make_peer(tmp_path / "letter.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_init_takes_an_empty_folder(tmp_path: Path) -> None:
    with open_peer(make_peer(tmp_path)) as peer:
        assert peer.name == "Acme Ltd"


def test_init_notices_one_that_was_cut_short(tmp_path: Path) -> None:
    (tmp_path / "acme" / ".init").mkdir(parents=True)
    with pytest.raises(MutualsError, match="was cut short"):
        make_peer(tmp_path / "acme")


@pytest.mark.parametrize("step", ["_write_keys", "_first_rows", "config_toml"])
def test_a_failed_init_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    real = getattr(initialise, step)

    def failing(*arguments: object) -> object:
        real(*arguments)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(initialise, step, failing)
    with pytest.raises(MutualsError, match="No space left on device"):
        make_peer(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MutualsError, match="No space left on device"):
        make_peer(tmp_path / "empty")
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]


def test_a_bad_passphrase_leaves_nothing(tmp_path: Path) -> None:
    settings = Config(organisation="Acme", kdf=CHEAP)
    with pytest.raises(MutualsError, match="shorter"):
        init_home(Home(tmp_path / "acme"), settings, FirstOperator("anna", "marketing"), b"short", NOW)
    assert not (tmp_path / "acme").exists()


def test_two_peers_cannot_share_a_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.sqlite"
    make_peer(tmp_path / "acme", store=url)
    with pytest.raises(MutualsError, match="belongs to another peer"):
        make_peer(tmp_path / "globex", "Globex", store=url)
    assert not (tmp_path / "globex").exists()


def test_renewing_takes_over_the_configuration_and_keeps_the_fingerprint(tmp_path: Path) -> None:
    root = make_peer(tmp_path / "acme")
    with open_peer(root) as before:
        assert not card_is_outdated(before.config, before.card)
    config = root / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("Acme Ltd", "Acme Inc"), encoding="utf-8")
    with open_peer(root) as peer:
        assert card_is_outdated(peer.config, peer.card)
    signed = renew(root, NOW + timedelta(days=300))
    with open_peer(root) as after:
        assert after.card == signed
        assert (after.name, after.card.card.serial) == ("Acme Inc", 2)
        assert after.fingerprint == before.fingerprint
        assert tls_pin(after.card.card.tls_certificate) == key_pin(after.tls_key) != key_pin(before.tls_key)
        assert not card_is_outdated(after.config, after.card)
    assert stat.S_IMODE((root / "keys" / "tls.pem").stat().st_mode) == 0o600
    assert not Home(root).next_tls_key.exists()


@pytest.mark.parametrize(("crash_at", "serial"), [("card.json", 1), ("tls.pem", 2)])
def test_a_renewal_cut_short_leaves_the_old_identity_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_at: str, serial: int
) -> None:
    root = make_peer(tmp_path / "acme")
    real = os.replace

    def crashing(source: Path, target: Path) -> None:
        if Path(target).name == crash_at:
            raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", crashing)
        with pytest.raises(KeyboardInterrupt):
            renew(root)
    with open_peer(root) as peer:
        assert peer.card.card.serial == serial
        assert key_pin(peer.tls_key) == tls_pin(peer.card.card.tls_certificate)
    assert renew(root).card.serial == serial + 1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("card.json", "not this peer's card any more"),
        ("keys/signing.pem", "holds no Ed25519 key"),
        ("keys/log.pem", "holds no Ed25519 key"),
        ("keys/tls.pem", "does not hold the key of the certificate"),
    ],
)
def test_a_damaged_home_is_refused_by_the_file_at_fault(tmp_path: Path, name: str, sentence: str) -> None:
    root = make_peer(tmp_path / "acme")
    (root / name).write_bytes(b"garbage")
    error = refused(root)
    assert str(root / name) in error.message
    assert sentence in error.message
    (root / name).unlink()
    assert str(root / name) in refused(root).message


def test_another_peers_card_in_the_home_is_refused(tmp_path: Path) -> None:
    root = make_peer(tmp_path / "acme")
    other = make_peer(tmp_path / "globex", "Globex")
    (root / "card.json").write_bytes((other / "card.json").read_bytes())
    assert "another signing key" in refused(root).message


def test_the_accountability_key_must_be_whole(tmp_path: Path) -> None:
    root = make_peer(tmp_path / "acme")
    (root / "keys" / "accountability.pub").write_bytes(b"short")
    with open_peer(root) as peer, pytest.raises(MutualsError, match="holds no accountability key"):
        _ = peer.accountability_public


def test_a_closed_peer_opens_its_store_again_when_asked(tmp_path: Path) -> None:
    peer = open_peer(make_peer(tmp_path / "acme"))
    assert peer.store is peer.store
    peer.close()
    peer.close()
    with peer, peer.store.transaction() as tx:
        assert len(tx.operators.list()) == 1


TLS = {"executor_ca": "ca.pem", "executor_cert": "peer.pem", "executor_key": "peer.key"}


@pytest.mark.parametrize(
    "values",
    [
        {"x25519_backend": "crypto_mb"},
        {"executor": "tcp://127.0.0.1:8786"},
        {"executor": "tcp://localhost:8786"},
        {"executor": "tcp://[::1]:8786"},
        {"executor": "tls://scheduler.internal:8786", **TLS},
    ],
)
def test_where_to_compute_can_be_configured(values: dict[str, str]) -> None:
    config = Config.model_validate({"organisation": "Acme", **values})
    assert Config.model_validate(tomllib.loads(config_toml(config))) == config


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"x25519_backend": "abacus"}, "x25519_backend"),
        ({"executor": "tcp://10.0.0.1:8786"}, "unencrypted to another machine"),
        ({"executor": "tcp://127.0.0.1.example.com:8786"}, "unencrypted to another machine"),
        ({"executor": "tcp://localhost@evil.example:8786"}, "address of a scheduler"),
        ({"executor": "ucx://127.0.0.1:8786"}, "address of a scheduler"),
        ({"executor": "inproc://x"}, "address of a scheduler"),
        ({"executor": "tls://scheduler.internal:8786"}, "needs executor_ca"),
        ({"executor": "tcp://127.0.0.1:8786", **TLS}, "belong to an executor with tls://"),
        (TLS, "belong to an executor with tls://"),
    ],
)
def test_a_cluster_that_others_could_listen_to_is_refused(values: dict[str, str], sentence: str) -> None:
    with pytest.raises(MutualsError) as caught:
        parse_config({"organisation": "Acme", **values}, "config.toml")
    assert sentence in caught.value.message


def test_the_clusters_files_lie_in_the_home_and_its_key_is_private(tmp_path: Path) -> None:
    root = make_peer(tmp_path / "acme", executor="tls://scheduler.internal:8786", **TLS)
    with open_peer(root) as peer:
        with pytest.raises(MutualsError, match=r"ca\.pem is missing"):
            peer.open_pool()
        for name in TLS.values():
            (root / name).touch(0o644)
        with pytest.raises(MutualsError, match=r"peer\.key can be read or changed by other users"):
            peer.open_pool()
        (root / "peer.key").chmod(0o600)
        assert peer.open_pool().executor == "tls://scheduler.internal:8786"
        with pytest.raises(MutualsError, match="has the cluster") as caught:
            peer.open_pool(2)
        assert caught.value.code is ErrorCode.USAGE


def test_a_backend_that_does_not_run_here_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str | None) -> None:
        raise MutualsError(ErrorCode.ENGINE_MISMATCH, "It cannot run here.")

    monkeypatch.setattr("mutuals.engines.montgomery.choose_backend", refuse)
    root = make_peer(tmp_path / "a", x25519_backend="crypto_mb")
    with open_peer(root) as peer, pytest.raises(MutualsError, match="cannot run here"):
        peer.open_pool()


def test_workers_are_as_many_as_configured_or_as_there_are_cores(tmp_path: Path) -> None:
    with open_peer(make_peer(tmp_path / "a", workers=3)) as peer:
        assert peer.workers == 3
    with open_peer(make_peer(tmp_path / "b")) as peer:
        assert peer.workers >= 1


def test_a_failed_write_leaves_the_old_file_and_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file"
    write_private(target, b"old")

    def failing(_: int) -> None:
        raise OSError(5, "I/O error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="I/O error"):
        write_private(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_home_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUTUALS_HOME", str(tmp_path))
    assert default_home() == tmp_path
    monkeypatch.delenv("MUTUALS_HOME")
    assert default_home().name == "mutuals"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://me:secret@host/db", "store holds a password"),
        ("postgresql://me@host/db?password=secret", "store holds a password"),
        ("secret", "store is not a database URL"),
    ],
)
def test_a_password_in_the_configuration_is_refused_when_it_is_read(
    tmp_path: Path, url: str, sentence: str
) -> None:
    home = Home(tmp_path)
    home.config.write_text(config_toml(Config(organisation="Acme", store=url)))
    with pytest.raises(MutualsError, match=sentence) as caught:
        load_config(home)
    assert caught.value.code is ErrorCode.LOCAL
    assert str(home.config) in caught.value.message
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"


def test_a_database_without_a_password_may_be_configured(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for url in ("postgresql+psycopg://me@/db?host=/run/postgresql", "sqlite:////data/store.sqlite"):
        home.config.write_text(config_toml(Config(organisation="Acme", store=url)))
        assert load_config(home).store == url

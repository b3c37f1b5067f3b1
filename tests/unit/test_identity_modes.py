"""Who else could reach a home: what is mended when it is opened, and what is refused."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
from support.homes import make_peer, open_peer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity import modes
from mutuals.identity.home import Home, load_config
from mutuals.identity.modes import examine
from mutuals.peer import Peer

pytestmark = pytest.mark.skipif(not modes.CHECKED, reason="permissions are not checked on this system")

KEYS = ("signing.pem", "log.pem", "tls.pem", "suppression.key")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_peer(tmp_path_factory.mktemp("modes") / "acme")


@pytest.fixture
def root(fresh: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fresh, tmp_path / "acme"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refused(root: Path) -> MutualsError:
    with pytest.raises(MutualsError) as caught:
        Peer.open(root)
    assert caught.value.code is ErrorCode.LOCAL
    return caught.value


@pytest.mark.sqlite("the store is a file of the home")
@pytest.mark.parametrize("bit", [0o040, 0o020, 0o004, 0o002])
def test_keys_and_a_store_that_others_could_read_are_refused(root: Path, bit: int) -> None:
    for path in (*(root / "keys" / name for name in KEYS), root / "store.sqlite"):
        before = mode(path)
        path.chmod(before | bit)
        error = refused(root)
        assert f"{path} can be read or changed by other users" in error.message
        assert f"chmod 600 {path}" in str(error.hint)
        assert mode(path) == before | bit, "evidence that somebody could read it was put away"
        path.chmod(before)


@pytest.mark.parametrize("name", ["", "keys", "keys/runs", "spool", "log", "config.toml"])
def test_what_others_could_change_and_the_peer_relies_on_is_refused(root: Path, name: str) -> None:
    path = root / name
    (root / "keys" / "runs").mkdir(mode=0o700, exist_ok=True)
    path.chmod(mode(path) | 0o020)
    assert f"{path} can be read or changed by other users" in refused(root).message


@pytest.mark.parametrize("name", ["", "keys", "spool", "log", "config.toml", "card.json"])
def test_what_others_could_merely_look_at_is_closed_and_said(
    root: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = root / name
    was = mode(path) | 0o044
    path.chmod(was)
    with open_peer(root) as peer:
        assert [(one.path, one.was, one.now) for one in peer.mended] == [(path, was, was & ~0o077)]
    assert mode(path) == was & ~0o077
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} could be reached by other users of this machine (mode {was:o}); it is private now."
    ]
    with open_peer(root) as peer:
        assert peer.mended == ()


def test_a_thorough_look_takes_every_file_of_ours_and_nobody_elses(root: Path) -> None:
    home = Home(root)
    for name in ("log/server.log", "spool/R-1.spool", "locks/x.match", "contacts.csv"):
        (root / name).parent.mkdir(mode=0o700, exist_ok=True)
        (root / name).touch()
        (root / name).chmod(0o644)
    mended = examine(home, load_config(home), thorough=True)
    assert sorted(str(one.path.relative_to(root)) for one in mended) == [
        "locks/x.match",
        "log/server.log",
        "spool/R-1.spool",
    ]
    assert mode(root / "contacts.csv") == 0o644
    home.run_keys.mkdir(mode=0o700)
    share = home.run_keys / "R-1.key"
    share.touch(0o600)
    share.chmod(0o640)
    with pytest.raises(MutualsError, match=r"R-1\.key can be read"):
        examine(home, load_config(home), thorough=True)


def test_a_link_out_of_the_home_is_refused_and_a_home_behind_a_link_is_not(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(root)
    with open_peer(tmp_path / "link"):
        pass
    elsewhere = tmp_path / "elsewhere"
    (root / "spool").rename(elsewhere)
    (root / "spool").symlink_to(elsewhere)
    assert f"{root}/spool is a link that leads out of the home, to {elsewhere}" in refused(root).message


def test_a_home_in_a_folder_that_anybody_may_change_is_refused(root: Path) -> None:
    above = root.parent
    before = mode(above)
    above.chmod(0o777)
    try:
        assert f"{above} can be changed by anybody" in refused(root).message
        above.chmod(0o1777)  # as /tmp is: nobody may rename what belongs to somebody else
        with open_peer(root):
            pass
    finally:
        above.chmod(before)


def test_the_file_of_another_user_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = os.geteuid()
    monkeypatch.setattr("mutuals.identity.modes.os.geteuid", lambda: own + 1)
    error = refused(root)
    assert f"{root} belongs to " in error.message
    assert f"chown -R {own + 1} {root}" in str(error.hint)


def test_where_a_file_system_keeps_no_permissions_the_home_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "card.json").chmod(0o644)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    assert "its mode cannot be changed" in refused(root).message


@pytest.mark.sqlite("the store is a file of the home")
def test_a_store_elsewhere_is_examined_where_it_is(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.sqlite"
    (root / "store.sqlite").rename(elsewhere)
    config = root / "config.toml"
    config.write_text(f'store = "sqlite:///{elsewhere}"\n' + config.read_text())
    elsewhere.chmod(0o604)
    assert f"{elsewhere} can be read" in refused(root).message


def test_a_pipe_in_the_place_of_a_file_is_refused(root: Path) -> None:
    (root / "card.json").unlink()
    os.mkfifo(root / "card.json", 0o600)
    assert "card.json is neither a file nor a folder" in refused(root).message


def test_a_start_costs_a_few_looks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []
    honest = Path.lstat
    monkeypatch.setattr(Path, "lstat", lambda self: looked.append(self) or honest(self))
    for number in range(100):
        (root / "spool" / f"R-{number}.spool").touch(0o600)
    home = Home(root)
    examine(home, load_config(home))
    assert len(looked) <= 20

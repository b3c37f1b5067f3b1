"""Who else could read or change a peer's home: looked at each time it is opened, and mended or refused.

    mended = examine(home, config)                     # two dozen calls of lstat(2)
    mended = examine(home, config, thorough=True)      # and every file in the folders that only we write to

What is merely too open is closed, and said. What closing cannot undo is refused, for a person to think about: a key or
a store that others could read may have been read; a folder or configuration that others could change, changed.
A folder that is closed keeps others from everything in it, whatever its modes, so files that somebody else put into the
home are left alone. Off POSIX nothing is examined.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.files import too_open
from mutuals.identity.home import Config, Home

CHECKED = os.name == "posix"
"""Whether permissions are looked at here: on Windows they are not."""

_OTHERS = 0o077
_OTHERS_WRITE = 0o022


class Kind(Enum):
    """What others could do with it."""

    SECRET = "secret"  # noqa: S105 - a kind of file
    """Open what is encrypted, or act in the peer's name: refused where anybody else could read it."""
    TRUSTED = "trusted"
    """Lead the peer astray if they changed it: refused where they could, mended where they could only read it."""
    PLAIN = "plain"
    """Little: mended."""


@dataclass(frozen=True)
class Mended:
    """A file or folder that was too open, with its permission bits before and now."""

    path: Path
    was: int
    now: int

    @property
    def sentence(self) -> str:
        """What to tell the operator."""
        return f"{self.path} could be reached by other users of this machine (mode {self.was:o}); it is private now."


def examine(home: Home, config: Config, *, thorough: bool = False) -> tuple[Mended, ...]:
    """Look at the home; what was mended.

    Raises MutualsError (LOCAL) naming the file: where others could read a key or the store or change what the peer
    trusts, where it belongs to another user, is a link out of the home, lies in a folder that anybody may change, or
    cannot be closed.
    """
    if not CHECKED:
        return ()
    real = Home(Path(os.path.realpath(home.root)))
    _check_above(real.root)
    looked_at = dict(_named(real, config))
    if thorough:
        for path, kind in _found(real):
            looked_at.setdefault(path, kind)
    return tuple(mended for path, kind in looked_at.items() if (mended := _check(path, kind, real.root)))


def _named(home: Home, config: Config) -> Iterator[tuple[Path, Kind]]:
    """What every home has, folders before what lies in them."""
    for folder in (home.root, home.keys, home.run_keys, home.spool, home.locks, home.log):
        yield folder, Kind.TRUSTED
    for key in (
        home.signing_key,
        home.log_key,
        home.tls_key,
        home.next_tls_key,
        home.earlier_tls,
        home.suppression_key,
    ):
        yield key, Kind.SECRET
    if config.executor_key is not None:
        yield home.root / Path(config.executor_key).expanduser(), Kind.SECRET
    store = home.store_file(config)
    if store is not None:
        yield store, Kind.SECRET
        yield store.with_name(f"{store.name}-journal"), Kind.SECRET
    yield home.config, Kind.TRUSTED
    yield home.accountability_key, Kind.TRUSTED
    yield home.card, Kind.PLAIN


def _found(home: Home) -> Iterator[tuple[Path, Kind]]:
    """Everything in the folders that only we write to."""
    for folder, kind in (
        (home.run_keys, Kind.SECRET),
        (home.spool, Kind.PLAIN),
        (home.locks, Kind.PLAIN),
        (home.log, Kind.PLAIN),
    ):
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                yield path, kind


def _check_above(root: Path) -> None:
    for folder in root.parents:
        try:
            mode = folder.stat().st_mode
        except OSError:  # a folder above that may not be looked at: whoever is here came through
            continue
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise _refusal(
                f"{folder} can be changed by anybody, who could put another home in the place of {root}.",
                f"Take that right away: chmod o-w {folder}. Or move the home.",
            )


def _check(path: Path, kind: Kind, root: Path) -> Mended | None:
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            target = Path(os.path.realpath(path))
            if path.is_relative_to(root) and not target.is_relative_to(root):
                raise _refusal(
                    f"{path} is a link that leads out of the home, to {target}.",
                    "Put the real thing in its place; a store elsewhere is named by store in config.toml.",
                )
            status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refusal(
            f"{path} cannot be examined: {error.strerror}.", "It belongs to who runs mutuals."
        ) from error
    folder = stat.S_ISDIR(status.st_mode)
    if not folder and not stat.S_ISREG(status.st_mode):
        raise _refusal(f"{path} is neither a file nor a folder.", "Restore the home folder from a backup.")
    if status.st_uid != os.geteuid():
        raise _refusal(
            f"{path} belongs to {_user(status.st_uid)}, and this process to {_user(os.geteuid())}.",
            f"Run it as that user, or hand the home over: chown -R {os.geteuid()} {root}",
        )
    mode = stat.S_IMODE(status.st_mode)
    if not mode & _OTHERS:
        return None
    if kind is Kind.SECRET or (kind is Kind.TRUSTED and mode & _OTHERS_WRITE):
        raise too_open(path, folder=folder)
    return _close(path, mode, mode & ~_OTHERS)


def _close(path: Path, was: int, now: int) -> Mended:
    try:
        path.chmod(now)
        kept = not stat.S_IMODE(path.stat().st_mode) & _OTHERS
    except OSError:
        kept = False
    if not kept:
        raise _refusal(
            f"{path} can be reached by other users of this machine, and its mode cannot be changed.",
            "Move the home to a file system that keeps permissions, and that can be written.",
        )
    return Mended(path, was, now)


def _user(number: int) -> str:
    if os.name == "posix":
        import pwd

        try:
            return pwd.getpwuid(number).pw_name
        except KeyError:
            pass
    return f"user {number}"


def _refusal(sentence: str, hint: str) -> MutualsError:
    return MutualsError(ErrorCode.LOCAL, sentence, hint=hint)

"""Files that only their owner may read, written whole or not at all."""

from __future__ import annotations

import logging
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mutuals.errors import ErrorCode, MutualsError

_logger = logging.getLogger(__name__)

CAN_LOCK = sys.platform != "win32"
"""Whether ``lock`` keeps anybody out: on Windows it does not."""

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Around whatever writes in ``folder``: MutualsError (LOCAL) in place of OSError."""
    try:
        yield
    except OSError as error:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"{folder} cannot be written: {os.strerror(error.errno or 0)}.",
            hint="Check that the folder is yours and the disk not full.",
        ) from error


def lock(descriptor: int, *, shared: bool = False) -> bool:
    """Hold an open file, with others where ``shared``, until it is closed or the process ends; False where it is held.

    flock(2): two descriptors of one process are in each other's way, too.
    """
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def make_private_directory(path: Path) -> None:
    """Create ``path`` readable by its owner alone, or make it so where it exists."""
    path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    if os.name == "posix":
        path.chmod(PRIVATE_DIRECTORY)


def write_private(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``, atomically and durably; the file is private from its first byte on."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def is_there(path: Path) -> bool:
    """Whether something has that name already, also a link that leads nowhere.

    False where it cannot be told, in a folder of somebody else or under a name too long: writing there says why.
    """
    return os.path.lexists(path)


def remove_if_possible(path: Path) -> None:
    """Remove a file that nothing needs any more; where that fails it is logged, and somebody's later sweep's."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _logger.warning("%s could not be removed: %s.", path, os.strerror(error.errno or 0))


def destroy(path: Path) -> None:
    """Overwrite a file with random bytes and remove it, which ends it on disks that write in place; idempotent.

    Raises OSError.
    """
    if overwrite(path):
        path.unlink(missing_ok=True)
        sync_directory(path.parent)


def overwrite(path: Path) -> bool:
    """Put random bytes in place of those of a file; whether there is one. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return False
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(secrets.token_bytes(os.fstat(descriptor).st_size))
        stream.flush()
        os.fsync(stream.fileno())
    return True


def check_private(path: Path) -> None:
    """Refuse what other users could read. Raises MutualsError (LOCAL); does nothing off POSIX."""
    if os.name != "posix" or not path.exists():
        return
    mode = path.stat().st_mode
    if stat.S_IMODE(mode) & 0o077:
        raise too_open(path, folder=stat.S_ISDIR(mode))


def too_open(path: Path, *, folder: bool) -> MutualsError:
    """The refusal of what others could read or change."""
    return MutualsError(
        ErrorCode.LOCAL,
        f"{path} can be read or changed by other users of this machine.",
        hint=f"Make it private: chmod {PRIVATE_DIRECTORY if folder else PRIVATE_FILE:o} {path} "
        "(and see docs/operations.md, Files that others could read)",
    )


def sync_directory(path: Path) -> None:
    """Make the new name of a file durable; Windows neither needs nor allows this."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

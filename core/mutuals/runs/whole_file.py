"""A file that appears complete or not at all, readable by its owner alone; a process that is killed leaves nothing.

    write_whole(Path("campaign.csv"), lambda stream: stream.write(b"..."), before_visible=record)

Linux can write a file that has no name until it is finished (O_TMPFILE, open(2)); what has no name is gone with the
process, also on SIGKILL. Elsewhere, and on file systems that cannot, the unfinished file is a hidden one beside it.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeVar

from mutuals.identity.files import sync_directory

Written = TypeVar("Written")

_CANNOT = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})
_CANNOT_LINK = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def write_whole(
    path: Path,
    write: Callable[[IO[bytes]], Written],
    *,
    force: bool = False,
    before_visible: Callable[[], None],
) -> Written:
    """Have ``write`` fill a stream, and give the file its name; what ``write`` returned.

    ``before_visible`` runs once the data is on disk; where it raises, the file never appears. Raises FileExistsError
    where ``path`` exists, unless ``force``, and OSError where it cannot be written.
    """
    partial = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    descriptor, nameless = _open(partial)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            written = write(stream)
            stream.flush()
            os.fsync(descriptor)
            before_visible()
            if nameless:
                _name(descriptor, partial if force else path)
        if force:
            os.replace(partial, path)
        elif not nameless:
            _move(partial, path)
        with suppress(OSError):  # the file is there and recorded; a disk so broken will say so soon enough
            sync_directory(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return written


def _open(partial: Path) -> tuple[int, bool]:
    """A descriptor to write to, and whether the file has no name yet; else it is called ``partial``."""
    nameless = getattr(os, "O_TMPFILE", None)
    if nameless is not None and Path("/proc/self/fd").is_dir():
        try:
            return os.open(partial.parent, os.O_WRONLY | nameless, 0o600), True
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
    return os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), False


def _name(descriptor: int, path: Path) -> None:
    root = os.open("/", os.O_RDONLY)
    try:  # with a directory given, Python calls linkat(2), which follows the link in /proc
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=root, follow_symlinks=True)
    finally:
        os.close(root)


def _move(partial: Path, path: Path) -> None:
    """Give ``partial`` the name ``path`` unless something has it: a rename would overwrite that."""
    try:
        os.link(partial, path)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        os.replace(partial, path)

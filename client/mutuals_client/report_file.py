"""The file a report is written to: private, and none is overwritten unasked."""

from __future__ import annotations

import os
from pathlib import Path

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.files import is_there


def check_target(path: Path, *, force: bool) -> None:
    """Raise MutualsError (USAGE) where there is no such folder, or a file that may not be overwritten by ``force``."""
    if not os.path.isdir(path.parent):
        raise MutualsError(ErrorCode.USAGE, f"There is no folder {path.parent}.")
    if is_there(path) and not force:
        raise MutualsError(
            ErrorCode.USAGE, f"{path} exists.", hint="Name another file, or overwrite it with --force."
        )


def write_page(path: Path, html: str) -> None:
    """Write the page, readable by its owner only (0600). Raises MutualsError (LOCAL) where that fails."""
    from mutuals.identity.files import write_private

    try:
        write_private(path, html.encode())
    except OSError as error:
        raise MutualsError(ErrorCode.LOCAL, f"{path} cannot be written: {error.strerror}.") from error

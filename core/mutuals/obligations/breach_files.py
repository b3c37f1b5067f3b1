"""Writing the drafts of a breach's notices into a folder, each file readable by its owner alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.files import is_there, write_private
from mutuals.obligations.breach_affected import touched_runs
from mutuals.obligations.breach_drafts import Background, drafts
from mutuals.obligations.breach_record import find_breach
from mutuals.obligations.breach_standing import standing

if TYPE_CHECKING:
    from mutuals.peer import Peer


def draft_notices(peer: Peer, reference: str) -> dict[str, str]:
    """File name to Markdown: the drafts as of now. Raises MutualsError (USAGE) where there is no such breach."""
    now = peer.clock()
    with peer.store.transaction() as tx:
        row, breach = find_breach(tx, reference)
        known = {
            digest: found for digest in breach.agreements if (found := tx.agreements.get(digest)) is not None
        }
        background = Background(
            organisation=peer.name,
            partners={
                partner.fingerprint: partner.name for partner in tx.partners.list(include_removed=True)
            },
            agreements={digest: f"{found.agreement_id} “{found.title}”" for digest, found in known.items()},
            agreement_partner={digest: found.partner for digest, found in known.items()},
            runs=touched_runs(tx, breach),
        )
        return drafts(standing(tx, row, now), background)


def write_notices(peer: Peer, reference: str, folder: Path, *, force: bool = False) -> list[Path]:
    """Write the drafts into ``folder``, made where it is missing; the files, by name.

    Raises MutualsError: USAGE (no such breach, a file that exists unless ``force``), LOCAL (not writable).
    """
    texts = draft_notices(peer, reference)
    taken = next((folder / name for name in texts if is_there(folder / name)), None)
    if taken is not None and not force:
        raise MutualsError(
            ErrorCode.USAGE,
            f"{taken} exists, and people may have worked on it.",
            hint="Name another folder, or overwrite with --force.",
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in texts.items():
            write_private(folder / name, text.encode())
    except OSError as error:
        raise MutualsError(ErrorCode.LOCAL, f"{folder} cannot be written ({error.strerror}).") from error
    return [folder / name for name in sorted(texts)]

"""The TLS keys of before the present one, for as long as partners may not have the present card (docs/adr/0016).

    keep_earlier(home, pairs)         # in the home, before card.json is replaced
    pairs = load_earlier(home, card, now)
    destroy_earlier(home, card, now)  # those whose time is over

One private file holds keys, certificates and times, so that nothing of it can come apart, and it is gone with them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mutuals.canonical import canonical_json
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.files import destroy, writable, write_private
from mutuals.identity.home import Home
from mutuals.models.card import Card
from mutuals.models.moment import Moment


class EarlierPair(BaseModel):
    """A TLS key and its certificate (PEM), ``serial`` the last card that carried it; kept until ``until``.

    ``stolen``: partners refuse it from the moment they have the next card. Until then it is all they know this peer by,
    so that only under it they can be given that card.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(repr=False)
    certificate: str
    serial: int
    until: Moment
    stolen: bool = False


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: tuple[EarlierPair, ...]


def keep_earlier(home: Home, pairs: Iterable[EarlierPair]) -> None:
    """Keep ``pairs`` in place of those that were kept, which are destroyed; OSError where the home cannot be written.

    The file of before is overwritten under another name, for others may be reading it.
    """
    kept, gone = tuple(pairs), home.earlier_tls.with_suffix(".gone")
    destroy(gone)  # of an attempt that was cut short
    with suppress(FileNotFoundError):
        os.link(home.earlier_tls, gone)
    if kept:
        write_private(home.earlier_tls, canonical_json(_File(pairs=kept)))
    else:
        home.earlier_tls.unlink(missing_ok=True)
    destroy(gone)


def load_earlier(home: Home, card: Card, now: datetime) -> tuple[EarlierPair, ...]:
    """Those whose time is not over at ``now`` (aware), oldest first. Raises MutualsError (LOCAL) for a damaged file.

    One with the certificate of ``card``, which is the present one, was written for a renewal that did not come about.
    """
    return tuple(
        pair for pair in _read(home) if pair.until > now and pair.certificate != card.tls_certificate
    )


def some_are_over(home: Home, card: Card, now: datetime) -> bool:
    """Whether there are any to destroy. Raises MutualsError (LOCAL)."""
    return len(load_earlier(home, card, now)) < len(_read(home))


def destroy_earlier(home: Home, card: Card, now: datetime, *, everything: bool = False) -> bool:
    """Destroy those whose time is over, or all of them; whether there were any. Raises MutualsError (LOCAL)."""
    kept, found = () if everything else load_earlier(home, card, now), _read(home)
    with writable(home.keys):
        keep_earlier(home, kept if len(kept) < len(found) else found)
    return len(kept) < len(found)


def _read(home: Home) -> tuple[EarlierPair, ...]:
    try:
        return _File.model_validate_json(home.earlier_tls.read_bytes(), strict=True).pairs
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError) as error:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"{home.earlier_tls} does not hold the TLS keys of before the last renewal.",
            hint="Remove it, and give the present card to partners who have not got it yet: mutuals card",
        ) from error

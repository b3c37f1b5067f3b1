"""Normalisation profiles by name, and the digests by which two peers know that theirs agree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from mutuals.canonical import canonical_json
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, digest
from mutuals.normalisation.email import normalise_emails
from mutuals.normalisation.phone import normalise_phones
from mutuals.normalisation.result import Normalised, Spread
from mutuals.normalisation.rules import GOOGLE_V1, META_V1, STRICT_V1, UID2_V1, Rules

if TYPE_CHECKING:
    import polars as pl

# The libraries whose tables decide what a value becomes.
LIBRARIES = ("phonenumbers", "email-validator", "idna")


@dataclass(frozen=True)
class Profile:
    """One set of normalisation rules. Values carry no type prefix here; ``sources`` adds it."""

    rules: Rules

    @property
    def name(self) -> str:
        """The versioned name the agreement uses, for example ``uid2-v1``."""
        return self.rules.name

    def rules_digest(self) -> bytes:
        """SHA-256 over the rules alone (32 bytes); it stands in the agreement."""
        return digest(Context.PROFILE, canonical_json(self.rules.as_json()))

    def digest(self) -> bytes:
        """SHA-256 over the rules and the library versions (32 bytes); the peers compare it in Open and
        Accept.
        """
        versions = {name: version(name) for name in LIBRARIES}
        return digest(Context.PROFILE, canonical_json(self.rules.as_json()), canonical_json(versions))

    def normalise_emails(self, raw: pl.Series) -> pl.Series:
        """The addresses of ``raw`` normalised, as long as ``raw``; null where refused."""
        return self.examine_emails(raw).values

    def normalise_phones(self, raw: pl.Series, default_country: str | None) -> pl.Series:
        """The numbers of ``raw`` in E.164 as the rules write it, as long as ``raw``; null where refused.

        ``default_country`` (ISO 3166, such as ``DE``) is for numbers without a country code. Raises
        MutualsError (USAGE) where it is unknown.
        """
        return self.examine_phones(raw, default_country).values

    def examine_emails(self, raw: pl.Series, spread: Spread = map) -> Normalised:
        """As ``normalise_emails``, with the reason for each refusal; ``spread`` distributes work over cores."""
        return normalise_emails(raw, self.rules.email, self.rules.trimmed, spread)

    def examine_phones(self, raw: pl.Series, default_country: str | None, spread: Spread = map) -> Normalised:
        """As ``normalise_phones``, with the reason for each refusal; ``spread`` distributes work over cores."""
        return normalise_phones(raw, default_country, self.rules.phone, self.rules.trimmed, spread)


PROFILES: dict[str, Profile] = {
    rules.name: Profile(rules) for rules in (UID2_V1, STRICT_V1, GOOGLE_V1, META_V1)
}


@cache
def profile_digests() -> dict[str, bytes]:
    """The digest (32 bytes) of every profile by name: what one peer tells another of how it normalises.

    Kept, because looking up the libraries' versions takes longer than answering a call.
    """
    return {name: profile.digest() for name, profile in PROFILES.items()}


def get_profile(name: str) -> Profile:
    """The profile called ``name``. Raises MutualsError (USAGE) where there is none."""
    try:
        return PROFILES[name]
    except KeyError:
        *others, last = PROFILES
        known = f"{', '.join(others)} and {last}"
        raise MutualsError(
            ErrorCode.USAGE,
            f"There is no normalisation profile “{name}”.",
            hint=f"This release knows {known}.",
        ) from None

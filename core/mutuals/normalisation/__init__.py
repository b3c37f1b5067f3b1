"""Turning addresses and numbers as people type them into identifiers two companies can compare.

    profile = get_profile("uid2-v1")
    profile.normalise_emails(pl.Series(["Jane.Doe+news@gmail.com"]))      # ["janedoe@gmail.com"]
    profile.normalise_phones(pl.Series(["030 901820"]), "DE")             # ["+4930901820"]

A profile is a fixed set of rules under a versioned name; the agreement names one (docs/adr/0004).
"""

from mutuals.normalisation.profile import PROFILES, Profile, get_profile
from mutuals.normalisation.result import Normalised, Reason, Spread
from mutuals.normalisation.rules import TRIMMED, EmailRules, PhoneRules, Rules

__all__ = [
    "PROFILES",
    "TRIMMED",
    "EmailRules",
    "Normalised",
    "PhoneRules",
    "Profile",
    "Reason",
    "Rules",
    "Spread",
    "get_profile",
]

"""Passphrases from the keyring of the operating system."""

from __future__ import annotations


def passphrase_from_keyring(operator: str) -> bytes | None:
    """What the keyring has for this operator under the service ``mutuals``; None without the extra or a keyring."""
    try:
        import keyring
        import keyring.errors
    except ImportError:  # the optional extra mutuals[keyring] is not installed
        return None
    try:
        value = keyring.get_password("mutuals", operator)
    except keyring.errors.KeyringError:  # no keyring on this machine, or it stayed locked: a person is asked
        return None
    return value.encode() if value else None

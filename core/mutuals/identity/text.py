"""Text that people read on a terminal although a stranger may have written it."""

from __future__ import annotations

import re
import unicodedata

# Joiners that scripts and emoji need; every other format character can make text look like something else.
_HARMLESS_FORMAT = frozenset("\u00ad\u200c\u200d")
_ENDPOINT = re.compile(
    r"(?P<host>(?=.{1,253}:)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*|\[[0-9a-f:.]{2,45}\])"
    r":(?P<port>[0-9]{1,5})",
    re.IGNORECASE | re.ASCII,
)


def deceptive_character(text: str, *, lines: bool = False) -> str | None:
    """The first character that could steer a terminal or disguise text, as ``U+202E``, or nothing.

    Control characters, bidirectional and invisible format characters, line and paragraph separators; a plain
    line break is allowed where ``lines``.
    """
    for character in text:
        if character == "\n" and lines:
            continue
        category = unicodedata.category(character)
        if category in {"Cc", "Zl", "Zp", "Cs"} or (category == "Cf" and character not in _HARMLESS_FORMAT):
            return f"U+{ord(character):04X}"
    return None


def valid_endpoint(endpoint: str) -> bool:
    """Whether ``endpoint`` is ``host:port``: a DNS name, an IPv4 address or an IPv6 address in brackets.

    Anything else would let a card choose another scheme of gRPC's (``unix:…``) for the client to open.
    """
    match = _ENDPOINT.fullmatch(endpoint)
    return match is not None and 0 < int(match["port"]) < 65536

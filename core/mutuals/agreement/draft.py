"""From the TOML a person wrote to the agreement, with every problem named by its key.

    agreement = parse_draft(text, own=card, partner=partner_card, file="draft.toml")

The person writes clauses; fingerprints come from the cards, the digest of the normalisation rules from this release,
the nonce from the system's randomness. What the file says about those is refused rather than ignored.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from pydantic import ValidationError

from mutuals.agreement.problems import Problem, explain, key_path, report
from mutuals.agreement.rules import broken_rules
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context
from mutuals.identity.cards import fingerprint_of
from mutuals.identity.text import deceptive_character
from mutuals.models.agreement import Agreement
from mutuals.models.card import Card

MAX_DRAFT_CHARACTERS = 256 * 1024

# The whole value in angle brackets, or a few words in them; “Jane Doe <jane@example.com>” is neither.
_BLANK = re.compile(r"^\s*<[^<>]*>\s*$|<[a-z][^<>\n]* [^<>\n]*>")
_FILLED_IN = frozenset(
    {
        ("format",),
        ("version",),
        ("replaces",),
        ("nonce",),
        ("matching", "profile_digest"),
        ("parties", "proposer", "fingerprint"),
        ("parties", "partner", "fingerprint"),
    }
)
_FORMAT = Context.AGREEMENT.value


def parse_draft(
    text: str,
    own: Card,
    partner: Card,
    *,
    file: str = "the draft",
    randbytes: Callable[[int], bytes] = os.urandom,
) -> Agreement:
    """The agreement that ``text`` (TOML) describes, proposed by ``own`` to ``partner``.

    ``file`` is how the sentences call it. Raises MutualsError (INPUT_QUALITY) that names each problem by its key, at
    most ten, one a line; nothing else.
    """
    values = _read_toml(text, file)
    problems = list(_problems_before(values))
    _fill_in(values, own, partner, randbytes)
    agreement = None
    try:
        agreement = Agreement.model_validate_json(json.dumps(values, default=_plain), strict=True)
    except ValidationError as error:
        problems.extend(explain(error))
    except (ValueError, RecursionError) as error:
        raise _unreadable(file, "holds a value that no agreement can have") from error
    if agreement is not None:
        problems.extend(Problem(key, sentence) for key, sentence in broken_rules(agreement))
    problems.extend(_unavailable(values))
    if problems or agreement is None:
        raise report(file, problems)
    return agreement


def _read_toml(text: str, file: str) -> dict[str, Any]:
    if len(text) > MAX_DRAFT_CHARACTERS:
        raise _unreadable(file, f"is longer than {MAX_DRAFT_CHARACTERS:,} characters")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = "".join(character if character.isprintable() else "?" for character in str(error))
        raise _unreadable(file, f"is not valid TOML: {reason}") from error
    except (ValueError, RecursionError) as error:  # an absurdly long number; absurdly deep nesting
        raise _unreadable(
            file, "is not usable TOML: a number is too long or a value nested too deep"
        ) from error


def _problems_before(values: dict[str, Any]) -> Iterator[Problem]:
    """Blanks not filled in, keys that are not the person's to write, characters that disguise text."""
    for path, value in _leaves(values, ()):
        if path in _FILLED_IN:
            yield Problem(key_path(path), "is filled in by mutuals; leave it out")
        if not isinstance(value, str):
            continue
        if _BLANK.search(value):
            yield Problem(key_path(path), "is still a blank; replace the text in angle brackets")
        character = deceptive_character(value, lines=True)
        if character is not None:
            yield Problem(key_path(path), f"holds the control or invisible character {character}")


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value that is no table or list, with its path; iterative, so that depth cannot exhaust the stack."""
    stack = [(path, value)]
    while stack:
        here, item = stack.pop()
        if isinstance(item, dict):
            stack.extend(((*here, key), member) for key, member in reversed(item.items()))
        elif isinstance(item, list):
            stack.extend(((*here, index), item[index]) for index in reversed(range(len(item))))
        else:
            yield here, item


def _fill_in(values: dict[str, Any], own: Card, partner: Card, randbytes: Callable[[int], bytes]) -> None:
    """Put in what is not the person's to write. Leaves a section of the wrong shape for the model to refuse."""
    for key in ("version", "replaces"):
        values.pop(key, None)
    values["format"] = _FORMAT
    values["nonce"] = randbytes(32).hex()
    parties = values.get("parties")
    for side, card in (("proposer", own), ("partner", partner)):
        party = parties.get(side) if isinstance(parties, dict) else None
        if isinstance(party, dict):
            party["fingerprint"] = fingerprint_of(card).hex()
            party.setdefault("organisation", card.organisation)
    matching = values.get("matching")
    if isinstance(matching, dict):
        matching["profile_digest"] = _rules_digest(matching.get("profile")) or "0" * 64


def _rules_digest(profile: Any) -> str | None:
    from mutuals.normalisation import get_profile

    if not isinstance(profile, str):
        return None
    try:
        return get_profile(profile).rules_digest().hex()
    except MutualsError:
        return None  # said by _unavailable


def _unavailable(values: dict[str, Any]) -> Iterator[Problem]:
    """An engine or profile of a name that this release does not have."""
    from mutuals.engines import get_engine
    from mutuals.normalisation import get_profile

    matching = values.get("matching")
    if not isinstance(matching, dict):
        return
    for key, get in (("profile", get_profile), ("engine", get_engine)):
        name = matching.get(key)
        if not isinstance(name, str) or _BLANK.search(name):
            continue
        try:
            get(name)
        except MutualsError as error:
            yield Problem(f"matching.{key}", error.message.rstrip("."), error.hint)


def _plain(value: Any) -> str:
    """TOML dates and times as JSON texts; the model takes a date only where it wants one."""
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _unreadable(file: str, what: str) -> MutualsError:
    return MutualsError(
        ErrorCode.INPUT_QUALITY, f"{file} {what}.", hint="Start from a fresh one: mutuals agreement draft"
    )

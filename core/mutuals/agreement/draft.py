"""From the TOML a person wrote to the agreement, with every problem named by its key.

    agreement = parse_draft(text, own=card, partner=partner_card, file="draft.toml")

The person writes clauses; fingerprints come from the cards, the digest of the normalisation rules from this release,
the nonce from the system's randomness. What the file says about those is refused rather than ignored. An amendment's
draft (``redraft``) says which version of what it is: ``version`` and ``replaces``, both or neither.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from functools import reduce
from operator import getitem
from typing import Any, cast

from pydantic import ValidationError

from mutuals.agreement.problems import Problem, explain, key_path, report, wants_date
from mutuals.agreement.rules import broken_rules
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context
from mutuals.identity.cards import fingerprint_of
from mutuals.identity.text import deceptive_character
from mutuals.models.agreement import Agreement
from mutuals.models.card import Card
from mutuals.toml_faults import toml_fault, toml_values

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
_AMENDS = frozenset({("version",), ("replaces",)})
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
    problems = [*_problems_before(values), *_other_names(values, own, partner)]
    _clear_stray_dates(values)
    _fill_in(values, own, partner, randbytes)
    agreement = None
    try:
        agreement = Agreement.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        problems.extend(explain(error))
    except (ValueError, RecursionError) as error:
        raise _unreadable(
            file, " holds a value that no agreement can have", "What each key means: docs/agreement.md"
        ) from error
    if agreement is not None:
        problems.extend(Problem(key, sentence) for key, sentence in broken_rules(agreement))
    problems.extend(_unavailable(values))
    if problems or agreement is None:
        raise report(file, problems, text)
    return agreement


def _read_toml(text: str, file: str) -> dict[str, Any]:
    if len(text) > MAX_DRAFT_CHARACTERS:
        raise _unreadable(file, f" is longer than {MAX_DRAFT_CHARACTERS:,} characters", "Shorten its texts.")
    try:
        return toml_values(text)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(
            file, f", {toml_fault(error, text)}", "Mend that line; the rest may stay."
        ) from None
    except (ValueError, RecursionError) as error:  # an absurdly long number; absurdly deep nesting
        raise _unreadable(
            file, " holds a number that is too long, or a value nested too deep", "Correct that value."
        ) from error


def _problems_before(values: dict[str, Any]) -> Iterator[Problem]:
    """Blanks not filled in, keys that are not the person's to write, characters that disguise text."""
    written = _AMENDS if values.keys() >= {"version", "replaces"} else frozenset()
    for path, value in _leaves(values, ()):
        if path in _FILLED_IN - written:
            yield Problem(key_path(path), "is filled in by mutuals; leave it out")
        if wants_date(path) and (isinstance(value, datetime) or _is_date(value)):
            example = "write it without quotation marks and without a time, such as 2026-01-31"
            yield Problem(key_path(path), f"must be a date: {example}")
        if not isinstance(value, str):
            continue
        if _BLANK.search(value):
            yield Problem(key_path(path), "is still a blank; replace the text in angle brackets")
        character = deceptive_character(value, lines=True)
        if character is not None:
            yield Problem(key_path(path), f"holds the control or invisible character {character}")


def _is_date(value: Any) -> bool:
    """Whether a text is a date in quotation marks; any other text is refused by the model."""
    try:
        return isinstance(value, str) and bool(date.fromisoformat(value.strip()))
    except ValueError:
        return False


def _other_names(values: dict[str, Any], own: Card, partner: Card) -> Iterator[Problem]:
    """A party by another name than its card's: the key is what signs, and the partner compared that card."""
    parties = values.get("parties")
    for side, card, whose in (("proposer", own, "your"), ("partner", partner, "your partner's")):
        party = parties.get(side) if isinstance(parties, dict) else None
        name = party.get("organisation") if isinstance(party, dict) else None
        if isinstance(name, str) and name.strip() != card.organisation:
            yield Problem(
                f"parties.{side}.organisation", f"is not the name on {whose} card, “{card.organisation}”"
            )


def _clear_stray_dates(values: dict[str, Any]) -> None:
    """Replace each date or time that stands where none belongs by nothing, which no other key takes.

    As JSON a date is a text, and would pass for one.
    """
    for path, value in list(_leaves(values, ())):
        if isinstance(value, date | time) and not wants_date(path):
            reduce(getitem, path[:-1], cast(Any, values))[path[-1]] = None


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
    if not values.keys() >= {"version", "replaces"}:
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


def _unreadable(file: str, what: str, hint: str) -> MutualsError:
    return MutualsError(ErrorCode.INPUT_QUALITY, f"{file}{what}.", hint=hint)

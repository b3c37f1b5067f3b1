"""An agreement that exists as a TOML draft again, to be edited: for an amendment, a counter-proposal or a successor.

    text = redraft_toml(agreement, own_fingerprint, replaces=digest, version=2)

Whoever drafts is the proposer, so where the other party drafted the first, the two change places.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from mutuals.agreement.diff import flipped
from mutuals.models.agreement import Agreement, Side

_NOT_WRITTEN = frozenset({"format", "nonce", "version", "replaces", "fingerprint", "profile_digest"})

_HEAD = """\
# Drafted from agreement {name}. Edit it, see what changes, then sign:
#     mutuals agreement diff {name} {file}
#     mutuals agreement assess {file} --source NAME
#     mutuals agreement {command}
# What each key means: docs/agreement.md. This is not legal advice.
"""

_AMENDS = """\

# The version that this one replaces as soon as both sides have signed it. Leave these two lines as they are.
version = {version}
replaces = "{replaces}"
"""


def redraft_toml(
    agreement: Agreement,
    own: str,
    name: str,
    *,
    command: str,
    file: str = "THIS-FILE",
    replaces: str | None = None,
    version: int = 1,
) -> str:
    """The draft of ``agreement`` (known as ``name``) with the party ``own`` (fingerprint, hex) as its proposer.

    ``replaces`` and ``version`` where it is to be an amendment; ``command`` is what signs it, after ``agreement``, and
    ``file`` how the comments call the draft.
    """
    if agreement.party(Side.PROPOSER).fingerprint != own:
        agreement = flipped(agreement)
    values = agreement.model_dump()
    lines = [_HEAD.format(name=name, file=_comment(file), command=_comment(command))]
    if replaces is not None:
        lines.append(_AMENDS.format(version=version, replaces=replaces))
    lines += ["", *_keys(values), ""]
    for key, value in values.items():
        if isinstance(value, dict):
            lines += _tables(key, value)
    for side in Side:
        sender, receiver = (agreement.party(one).organisation for one in (side, side.other))
        for field in values[f"{side.value}_sends"]:
            comment = _comment(f"{sender} sends to {receiver}")
            lines += [f"[[{side.value}_sends]]   # {comment}", *_keys(field), ""]
    return "\n".join(lines)


def _tables(path: str, values: dict[str, Any]) -> Iterator[str]:
    if own := list(_keys(values)):
        yield from (f"[{path}]", *own, "")
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _tables(f"{path}.{key}", value)


def _keys(values: dict[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        tables = isinstance(value, dict) or (isinstance(value, list | tuple) and key.endswith("_sends"))
        if key not in _NOT_WRITTEN and value is not None and not tables:
            yield f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(member) for member in value) + "]"
    # A TOML basic string; its escapes are JSON's, save that TOML wants DEL escaped too.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())

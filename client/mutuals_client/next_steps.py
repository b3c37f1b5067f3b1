"""What to type next: commands as a person can copy them, with the home they named.

    say_next(("mutuals card > acme.card.json", "your card, for your partner"), ...)

Somebody who said ``--home`` has to say it every time, so every command that is proposed here or in an error's hint says
it, too; commands that the partner types are left as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from shlex import quote
from typing import TYPE_CHECKING

import click

from mutuals.errors import ErrorCode, MutualsError, PartnerRefused
from mutuals_client.console import SETTINGS, open_peer, say, say_commands

if TYPE_CHECKING:
    from mutuals.peer import Peer

_VALUE = r"""(?:'[^']*'|"[^"]*"|[^\s;,.()'"]+)"""
_ARGUMENT = (
    rf""" (?:--?[a-z][\w-]*(?:[= ]{_VALUE})?|'[^']*'|"[^"]*"|[A-Z][A-Z0-9-]*\b|[\w-]+\.(?:toml|json|csv))"""
)
_COMMAND = re.compile(rf"\bmutuals((?: [a-z]+)+)((?:{_ARGUMENT})*)")
_PARTNER_S = re.compile(r"\b(?:ask|them|they|their|other side)\b", re.IGNORECASE)
_CLAUSE = re.compile(r"(?<=[.;])\s")

Step = tuple[str, str]
"""A command line, and in a few words what it does."""


def with_home(text: str, commands: click.Command) -> str:
    """``text`` with ``--home`` at the end of each of this peer's commands in it, where it was given here.

    ``commands`` is the whole command line, from which it is told where a command's name ends.
    """
    home = _home()

    def named(found: re.Match[str]) -> str:
        words = found[1].split()
        count = _name_length(commands, words)
        rest = "".join(f" {word}" for word in words[count:])
        if not count or (rest and found[2]):
            return found[0]
        return f"mutuals {' '.join(words[:count])}{found[2]}{home}{rest}"

    if not home:
        return text
    return "".join(
        clause if _PARTNER_S.search(clause) or " --home " in clause else _COMMAND.sub(named, clause)
        for clause in re.split(f"({_CLAUSE.pattern})", text)
    )


def _home() -> str:
    return f" --home {quote(str(SETTINGS.home))}" if SETTINGS.home_named else ""


def _name_length(command: click.Command, words: list[str]) -> int:
    """How many of ``words`` name a command."""
    count = 0
    for word in words:
        if not isinstance(command, click.Group) or word not in command.commands:
            break
        command = command.commands[word]
        count += 1
    return count


def say_next(*steps: Step, lead: str = "Next:") -> None:
    """Print what to type next, each command under what it does; nothing where there is nothing, or with ``--json``."""
    if not steps:
        return
    say("", lead)
    for command, why in steps:
        line, arrow, file = command.partition(" > ")
        say_commands(f"# {why}", f"{line}{_home()}{arrow}{file}")


@contextmanager
def naming(words: Mapping[str, str]) -> Iterator[None]:
    """Put what this command line names in place of placeholders in the hint of an error: FILE-OR-ID and the like."""
    try:
        yield
    except MutualsError as error:
        for placeholder, named in words.items():
            error.hint = error.hint and error.hint.replace(placeholder, named)
        raise


@contextmanager
def partners_turn(command: str) -> Iterator[None]:
    """Say in the hint of a refusal for want of the partner's authorisation what they have to type."""
    try:
        yield
    except PartnerRefused as error:
        if error.code is ErrorCode.NOT_AUTHORISED_YET:
            partner = error.message.partition(" refused")[0]
            error.hint = f"Ask {partner} to run: {command}\n  Then run the same here, or now with --wait."
        raise


def to_paste(text: str) -> str:
    """``text`` as ``with_home`` gives it, within a command."""
    context = click.get_current_context(silent=True)
    return text if context is None else with_home(text, context.find_root().command)


def file_name(organisation: str) -> str:
    """An organisation's name as the beginning of a file's: lower case, no blanks, accents dropped or spelt out."""
    plain = organisation.lower().translate(_LETTERS)
    plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "our"


_LETTERS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d"}
)


def say_setup(*first: Step) -> None:
    """``first``, and what this peer lacks then; nothing with ``--json``."""
    if not SETTINGS.json:
        with open_peer() as peer:
            following = setup_steps(peer)
        say_next(*first, *(step for step in following if step not in first))


def setup_steps(peer: Peer) -> list[Step]:
    """The next thing this peer lacks on the way to its first agreement, or what to do about a proposal that it got."""
    return _sources(peer) or _policy(peer) or _partner(peer) or _agreements(peer)


def only_source(peer: Peer) -> str:
    """The name of the only source, or NAME where a person has to choose."""
    with peer.store.transaction() as tx:
        rows = tx.sources.list()
    return rows[0].name if len(rows) == 1 else "NAME"


def only_purpose(peer: Peer) -> str | None:
    """The purpose of consent, where the decisions on all sources grant but one."""
    from mutuals.consent.decision import standing_of
    from mutuals_client.stored_sources import definition_of

    purposes = set()
    with peer.store.transaction() as tx:
        for row in tx.sources.list():
            definition = definition_of(row)
            consent = definition.mapping.consent if definition.mapping is not None else None
            if consent is not None and standing_of(tx, definition).holds:
                purposes |= {grant.purpose for grant in consent.grants}
    return purposes.pop() if len(purposes) == 1 else None


def _partner(peer: Peer) -> list[Step]:
    with peer.store.transaction() as tx:
        known = tx.partners.list()
    if known:
        return []
    return [("mutuals partner add FILE", "import your partner's card, once they gave it to you")]


def _sources(peer: Peer) -> list[Step]:
    """A source, and for each the decision what grants consent."""
    from mutuals.consent.decision import standing_of
    from mutuals_client.stored_sources import definition_of

    with peer.store.transaction() as tx:
        rows = tx.sources.list()
        open_ones = [row.name for row in rows if not standing_of(tx, definition_of(row)).holds]
    if not rows:
        return [
            ("mutuals source add crm --path FILE", "name the file with your contacts: an export of your CRM")
        ]
    return [
        (f"mutuals source map {name}", f"decide once which columns of {name} grant consent to what")
        for name in open_ones
    ]


def _policy(peer: Peer) -> list[Step]:
    with peer.store.transaction() as tx:
        if tx.policies.list() or not tx.sources.list():
            return []
    if not (peer.home.root / "policy.toml").exists():
        return [("mutuals policy init", "say who may view, export and share which fields; it asks")]
    return [
        ("mutuals policy check", "see whether policy.toml fits your fields and people"),
        ("mutuals policy approve", "put it in force"),
    ]


def _agreements(peer: Peer) -> list[Step]:
    from mutuals.models.agreement import AgreementState, Side

    with peer.store.transaction() as tx:
        rows = tx.agreements.list()
        partners = tx.partners.list()
    proposed = [r for r in rows if r.state is AgreementState.PROPOSED and r.own_side is Side.PARTNER]
    if proposed:
        return [
            (f"mutuals agreement show {row.agreement_id}", "read what your partner proposes")
            for row in proposed
        ]
    if rows:
        return []
    name = partners[0].name
    return [
        (
            f"mutuals agreement draft --with {quote(name)} --out {file_name(name)}.toml",
            "draft an agreement; one of you two does",
        ),
        ("mutuals sync", "or, if they draft it: fetch it"),
    ]

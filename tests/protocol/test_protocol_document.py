"""The tables of docs/protocol.md are what the code does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mutuals.agreement.answers import MAX_OPEN_PROPOSALS
from mutuals.documents import HANDLERS
from mutuals.errors import ERRORS, ErrorCode
from mutuals.framing import Context
from mutuals.identity.cards import MAX_CARD_BYTES
from mutuals.models.agreement import AgreementState
from mutuals.models.run import Role, RunState
from mutuals.protocol import match, reveal
from mutuals.protocol.envelopes import MAX_RECORD_BYTES, MAX_RECORDS_PER_ENVELOPE
from mutuals.protocol.events import State
from mutuals.protocol.hello import MAX_SKEW_SECONDS
from mutuals.protocol.lists import WORK_SIZE
from mutuals.protocol.messages import MAX_CHUNK_BYTES
from mutuals.transport.options import DEFAULT_LIMITS, MAX_MESSAGE_BYTES, MAX_METADATA_BYTES
from mutuals.transport.wire import METHODS
from mutuals.transport.wire.documents import MAX_DOCUMENT_BYTES, MAX_DOCUMENTS
from mutuals.transport.wire.exchange import MAX_ALSO, MAX_HEADER_BYTES
from mutuals.transport.wire.reveal import MAX_POSITIONS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
PROSE = " ".join(TEXT.split())


def table(*heading: str) -> list[list[str]]:
    """The rows of the one table with this heading."""
    lines = iter(TEXT.splitlines())
    first = "| " + " | ".join(heading) + " |"
    assert first in lines, f"there is no table headed {first}"
    next(lines)
    return list(_rows(lines))


def _rows(lines: Iterator[str]) -> Iterator[list[str]]:
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def names(cell: str) -> set[str]:
    """What stands in code in a cell."""
    return set(re.findall(r"`([^`]+)`", cell))


def test_errors_are_those_of_the_code() -> None:
    rows = table("code", "gRPC status", "exit code", "public sentence")
    written = [
        (f"`{code}`", f"`{info.status}`", str(info.exit_code), info.public) for code, info in ERRORS.items()
    ]
    assert [tuple(row) for row in rows] == written
    assert set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", TEXT)) <= {
        *ErrorCode,
        *(info.status for info in ERRORS.values()),
    }


def test_every_context_is_explained() -> None:
    contexts = {name for row in table("context", "fields", "used as") for name in names(row[0])}
    assert contexts == {context.value for context in Context}


def test_the_match_takes_what_its_table_says() -> None:
    rows = table("state", "entered when", "may arrive")
    taken = {
        (state, message)
        for state_cell, _, may in rows
        for state in names(state_cell)
        for message in re.sub(r"\(.*?\)", "", may).replace("–", "").split(",")
        if message.strip()
    }
    assert {(state, message.strip()) for state, message in taken} == {
        (state.value, kind.__name__) for state, kind in match.RECEIVES
    }
    assert [names(row[0]) for row in rows] == [{state.value} for state in State]


def test_the_reveal_takes_what_its_table_says() -> None:
    rows = table("role, state", "entered when", "may arrive")
    roles = {"I": Role.INITIATOR, "R": Role.RESPONDER}
    taken = {
        (roles[letter], state, may)
        for cell, _, may in rows
        for letter in re.findall(r"\b[IR]\b", cell.partition("`")[0])
        for state in names(cell)
        if may != "–"
    }
    assert taken == {(role, state.value, kind.__name__) for role, state, kind in reveal._RECEIVES}
    assert {state for row in rows for state in names(row[0])} == {state.value for state in reveal.RevealState}


def test_runs_have_the_states_of_the_table() -> None:
    rows = table("state", "meaning", "next")
    assert {name for row in rows for name in names(row[0])} == {state.value for state in RunState}
    final = {name for row in rows if row[2] == "–" for name in names(row[0])}
    assert final == {state.value for state in RunState if state.final}
    assert {name for row in rows for name in names(row[2])} <= {state.value for state in RunState}


def test_agreements_have_the_states_of_the_page() -> None:
    reached = {name for row in table("state", "means", "left by") for name in names(row[0])}
    assert reached == {state.value for state in AgreementState}


def test_documents_are_of_the_kinds_of_the_table() -> None:
    assert {name for row in table("kind", "body", "from, to") for name in names(row[0])} == HANDLERS.keys()


def test_calls_are_those_of_the_table() -> None:
    calls = {name for row in table("call", "kind", "from", "for") for name in names(row[0])}
    assert calls == {method.name for method in METHODS}


def test_every_vector_file_is_described() -> None:
    described = {name for row in table("file", "for") for name in names(row[0])}
    assert described == {path.name for path in (ROOT / "tests" / "vectors").glob("*.json")}


@pytest.mark.parametrize(
    ("sentence", "value"),
    [
        (f"| a message | {MAX_MESSAGE_BYTES // 2**20} MiB |", MAX_MESSAGE_BYTES % 2**20),
        (f"| metadata | {MAX_METADATA_BYTES // 1024} KiB |", MAX_METADATA_BYTES % 1024),
        (f"`tags` in one Tags | {MAX_CHUNK_BYTES // 1024} KiB |", MAX_CHUNK_BYTES % 1024),
        (f"| positions in one Positions | {MAX_POSITIONS:,} |", 0),
        (f"| {MAX_DOCUMENT_BYTES // 1024} KiB; {MAX_DOCUMENTS} documents and", MAX_DOCUMENT_BYTES % 1024),
        (
            f"header {MAX_HEADER_BYTES // 1024} KiB, {MAX_RECORDS_PER_ENVELOPE} records",
            MAX_HEADER_BYTES % 1024,
        ),
        (
            f"ciphertext {MAX_RECORD_BYTES // 1024} KiB + 16, `also` {MAX_ALSO:,} ranks",
            MAX_RECORD_BYTES % 1024,
        ),
        (f"| deadline of Ping and Sync | {DEFAULT_LIMITS.unary} s |", 0),
        (f"| deadline of a stream | {DEFAULT_LIMITS.stream // 3600} h |", DEFAULT_LIMITS.stream % 3600),
        (f"for it to take ours | {DEFAULT_LIMITS.idle} s,", 0),
        (f"| {DEFAULT_LIMITS.runs}, of them {DEFAULT_LIMITS.runs_per_partner} with one partner;", 0),
        (f"first message of a stream | {DEFAULT_LIMITS.first} s,", 0),
        (
            f"| {DEFAULT_LIMITS.unary_calls}, of them {DEFAULT_LIMITS.unary_calls_per_partner} with one partner;",
            0,
        ),
        (
            f"| {DEFAULT_LIMITS.calls_per_minute}, of them {DEFAULT_LIMITS.matches_per_minute} matches;",
            0,
        ),
        (
            f"| {DEFAULT_LIMITS.bytes_per_second // 10**6} MB, of them "
            f"{DEFAULT_LIMITS.bytes_per_second_per_partner // 10**6} MB of one partner;",
            0,
        ),
        (f"| asked to end after {DEFAULT_LIMITS.connection_age} s;", 0),
        (f"| difference of clocks | {MAX_SKEW_SECONDS} s,", 0),
        (f"Ours send {WORK_SIZE:,} points and {match.TAGS_PER_MESSAGE:,} tags a message", 0),
        (f'at most {MAX_CARD_BYTES // 1024} KiB, `{{"card"', MAX_CARD_BYTES % 1024),
        (f"at most {MAX_OPEN_PROPOSALS} may wait", 0),
    ],
)
def test_limits_are_those_of_the_code(sentence: str, value: float) -> None:
    assert sentence in PROSE
    assert value == 0

"""Carries out every attempt, and says what became of it.

rows()                     all of them, in homes of their own, for a table
try_visit(visit, house)    one; raises AssertionError where it got further than it may
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from mutuals.errors import ERRORS, ErrorCode
from strangers.house import House, build, opened, still_serves
from strangers.impostors import IMPOSTORS, Impostor, answering, calls
from strangers.visits import AGREEMENT, GREETING, GUARD, HANDSHAKE, IMPORT, RUN, VISITS, Heard, Visit

NOT_STOPPED = "NOT STOPPED"
CLIENT = "TLS handshake, by the caller"


@dataclass(frozen=True)
class Row:
    """What became of one attempt."""

    name: str
    stopped_where: str
    code: str
    left_the_house: str


def rows() -> list[Row]:
    """Every attempt, each on a fresh copy of the same companies; one that was not stopped says so."""
    with tempfile.TemporaryDirectory(prefix="strangers") as folder:
        root = Path(folder) / "built"
        root.mkdir()
        past = build(root)
        found = []
        for number, attempt in enumerate((*VISITS, *IMPOSTORS)):
            place = Path(folder) / str(number)
            with opened(root, past, place, serving=isinstance(attempt, Visit)) as house:
                try:
                    found.append(
                        try_visit(attempt, house)
                        if isinstance(attempt, Visit)
                        else try_impostor(attempt, house)
                    )
                except AssertionError as error:
                    why = str(error).partition("\n")[0]
                    found.append(Row(attempt.name, NOT_STOPPED, "", why))
        return found


def try_visit(visit: Visit, house: House) -> Row:
    """Carry out ``visit`` and check that it got nothing and changed nothing, and that the server goes on."""
    house.note()
    heard = visit.carry_out(house)
    assert heard
    for call in heard:
        _check_refused(visit, call, house)
    assert house.contents() == house.noted, "the store or the home changed"
    assert still_serves(house), "the server no longer answers an honest partner"
    lines = [line for line in house.log_lines() if line["event"] == "call" and line["code"] != "OK"]
    where = _stopped(heard, lines)
    assert where == visit.stopped_where, f"stopped at: {where}"
    return Row(visit.name, where, visit.code, _left(heard))


def try_impostor(impostor: Impostor, house: House) -> Row:
    """Let the friend call where ``impostor`` answers, and check that it told it nothing."""
    context = impostor.pose(house)
    with answering(house, context) as seen, house.call("friend") as connection:
        endings = calls(connection)
    assert seen.connections, "nobody called"
    for error in endings:
        assert error is not None, "a call was answered"
        assert error.code.value == impostor.code, f"{error.code.value}: {error.message}"
    assert seen.received == b"", f"{len(seen.received)} bytes reached the impostor"
    assert seen.certificates == 0, "the impostor got to see the caller's certificate"
    return Row(impostor.name, CLIENT, impostor.code, "the name of the server it looked for, hashed")


def _check_refused(visit: Visit, heard: Heard, house: House) -> None:
    """One call: no answer, the promised code with its status and sentence, and no word more."""
    assert heard.answers == 0, f"{heard.call} was answered"
    for secret in house.secrets():
        assert secret not in heard.text, f"{heard.call} was told what it may not know"
    if heard.code is None:  # no call was ever begun
        assert visit.code == ErrorCode.UNREACHABLE.value or visit.stopped_where == IMPORT
        assert heard.status is grpc.StatusCode.UNAVAILABLE, f"{heard.call}: {heard.status}"
        return
    assert heard.code.value == visit.code, f"{heard.call}: {heard.code.value}"
    if visit.stopped_where == IMPORT:
        return
    info = ERRORS[heard.code]
    assert heard.status.name == info.status
    assert heard.details == info.public


def _stopped(heard: list[Heard], lines: list[dict[str, Any]]) -> str:
    """Where, by what the visitor heard and what the server logged (``lines``)."""
    if heard[0].call == "partner add":
        return IMPORT
    codes = {call.code for call in heard}
    if codes == {None}:
        assert lines == [], "a call of somebody unknown reached the server"
        return HANDSHAKE
    assert len(lines) == len(heard), "the log has a line for every call"
    if codes == {ErrorCode.PEER_IDENTITY} and all("partner" not in line for line in lines):
        return GUARD
    (line,) = lines
    assert line["partner"]
    return {"AGREEMENT_UNKNOWN": AGREEMENT, "RUN_UNKNOWN": RUN, "BAD_MESSAGE": GREETING}[line["code"]]


def _left(heard: list[Heard]) -> str:
    """What the visitor has now that it did not have before it called."""
    sentences = {f"“{call.details}”" for call in heard if call.code is not None}
    if any(call.call in {"partner add", "connect"} for call in heard):
        return "nothing"
    return ", ".join(sorted(sentences)) or "the server's certificate"

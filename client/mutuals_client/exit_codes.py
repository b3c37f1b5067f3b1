"""What every exit code means, and what a scheduled job does about it: the tables of docs/cli.md.

``mutuals.errors`` decides which error ends with which code; here is what each says to whoever wrote the job.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Then(StrEnum):
    """What a scheduled job does next."""

    GO_ON = "go on"
    AGAIN = "try again later, as it is"
    PERSON = "tell a person"
    END = "end the schedule"


@dataclass(frozen=True)
class ExitCode:
    """A code, what it means in general, and what a job that knows nothing more does."""

    code: int
    meaning: str
    then: Then


EXIT_CODES: tuple[ExitCode, ...] = (
    ExitCode(0, "done, or it was done before", Then.GO_ON),
    ExitCode(1, "error", Then.PERSON),
    ExitCode(2, "the command line is wrong", Then.PERSON),
    ExitCode(
        3,
        "refused by policy or agreement (budget, set too large, a log rolled back, stale, changed since it was "
        "authorised, not entitled)",
        Then.PERSON,
    ),
    ExitCode(4, "peer identity: a card, a fingerprint or a connection is not who it should be", Then.PERSON),
    ExitCode(5, "below a threshold (set too small, overlap under the minimum)", Then.PERSON),
    ExitCode(6, "the agreement is unknown or not active", Then.END),
    ExitCode(7, "input quality: a file cannot be used as it is", Then.PERSON),
    ExitCode(8, "the partner cannot be reached or is busy; nothing is lost", Then.AGAIN),
    ExitCode(9, "waiting for an authorisation", Then.AGAIN),
    ExitCode(10, "`mutuals status`: something is overdue; `mutuals doctor`: must be put right", Then.PERSON),
    ExitCode(130, "stopped by hand (Ctrl-C)", Then.AGAIN),
)
"""Every code there is."""

BY_COMMAND: dict[str, dict[int, str]] = {
    "match": {
        0: "counted, or with --unless-since: there is such a run already",
        3: "the budget is used up, the set is too large, or an earlier run must be cleared",
        5: "too few contacts, or too few shared; with --unless-since also where the run that there is found too few",
        6: "the agreement is not active",
        7: "the source cannot be read as it is",
        8: "the partner cannot be reached, has no room for a run, or a match is under way here: nothing was charged; "
        "if the line broke in the middle, the run failed and was charged",
    },
    "reveal": {
        0: "revealed, now or before; on the side that answers: authorised, and its server does the rest",
        1: "the run has ended without a reveal: a new match",
        3: "the run is stale: start over with a new match; or the operator may not",
        6: "the agreement has ended or is suspended",
        8: "the partner cannot be reached",
        9: "one side has not authorised it",
    },
    "exchange": {
        0: "both directions are complete, now or before; on the side that answers: ready, its server does the rest",
        1: "the run has ended: a new match",
        3: "what would be sent is not what was authorised: preview and authorise anew; or the operator may not",
        6: "the agreement has ended or is suspended",
        8: "the partner cannot be reached, or the line broke: the next call goes on where it ended",
        9: "one side has not authorised it",
    },
    "export": {
        0: "the file is written",
        1: "the run has received nothing that can be opened",
        3: "policy or agreement lets this operator export nothing of it; a service operator never reads",
    },
    "sync": {
        0: "all partners that can be called were",
        3: "a log is not what was cosigned",
        4: "somebody else answered",
        8: "a partner cannot be reached; what waits stays in the outbox",
    },
    "status": {0: "nothing is overdue", 10: "something is overdue"},
    "doctor": {
        0: "fit; warnings do not count",
        10: "something must be put right, or a partner does not answer",
    },
}
"""What the codes mean for the commands that jobs run; other codes mean what they do in ``EXIT_CODES``."""

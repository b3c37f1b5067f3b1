"""Pushes every event through two connected sessions, in one thread: no streams, no drivers, no waiting.

    ends = pump_match({Role.INITIATOR: session, Role.RESPONDER: session})
    ends[Role.INITIATOR].count

``alter[role]`` turns each message that ``role`` sends into any number of others. A side that raises is out; the other
goes on with what has already been sent to it.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from mutuals.engines.base import Operation
from mutuals.models.run import Role
from mutuals.protocol import events as matching
from mutuals.protocol import reveal
from mutuals.protocol.lists import Work
from support.peers import Ends
from support.streams import Alter

Sessions = dict[Role, Any]


class _Pump:
    def __init__(self, sessions: Sessions, alter: dict[Role, Alter] | None) -> None:
        self._sessions = sessions
        self._alter = alter or {}
        self._inbox: dict[Role, deque[Any]] = {role: deque() for role in Role}
        self.ends = Ends({}, {})

    def run(self) -> Ends:
        self._attempt(Role.INITIATOR, self._sessions[Role.INITIATOR].start)
        while any(self._inbox.values()):
            for role, inbox in self._inbox.items():
                if inbox:
                    message = inbox.popleft()
                    self._attempt(role, lambda: self._sessions[role].receive(message))  # noqa: B023 - called at once
        return self.ends

    def _attempt(self, role: Role, step: Any) -> None:
        if role in self.ends.errors or role in self.ends.results:
            return
        try:
            events = deque(step())
            while events:
                events.extend(self._handle(role, events.popleft()))
        except Exception as error:
            self.ends.errors[role] = error

    def _handle(self, role: Role, event: Any) -> list[Any]:
        session = self._sessions[role]
        match event:
            case matching.Send(message) | reveal.Send(message):
                self._inbox[role.other].extend(self._alter.get(role, lambda sent: [sent])(message))
                return []
            case matching.SendAll(messages):
                return [matching.Send(message) for message in messages]
            case Work():
                compute = (
                    session.engine.blind if event.operation is Operation.BLIND else session.engine.reblind
                )
                return list(session.finish(event, compute(session.key, session.input(event))))
            case matching.Agreed():
                return list(session.proceed())
            case matching.Finished(outcome):
                self.ends.results[role] = outcome
            case reveal.Approved():
                return list(session.approve())
            case reveal.AboutToReveal():
                return list(session.release())
            case reveal.Paired():
                return list(session.confirm())
            case reveal.Revealed(positions):
                self.ends.results[role] = positions
        return []


def pump_match(sessions: Sessions, alter: dict[Role, Alter] | None = None) -> Ends:
    """A whole match; the results are outcomes."""
    return _Pump(sessions, alter).run()


def pump_reveal(sessions: Sessions, alter: dict[Role, Alter] | None = None) -> Ends:
    """A whole reveal; the results are positions by rank."""
    return _Pump(sessions, alter).run()

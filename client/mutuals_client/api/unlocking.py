"""Whose keys a program uses: as for a command, but the passphrase comes from the program, the keyring or a prompt."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError

if TYPE_CHECKING:
    from mutuals.identity.operators import OperatorKeys
    from mutuals.peer import Peer
    from mutuals.store.rows import OperatorRow

    Passphrase = str | bytes | Callable[[], str | bytes]

_HOW_TO_SAY = 'Open the peer with operator="NAME", or set MUTUALS_OPERATOR'


class Operator:
    """The operator of one open peer: who it is, and their keys once they were needed; safe for several threads."""

    def __init__(self, peer: Peer, name: str | None, passphrase: Passphrase | None) -> None:
        self._peer = peer
        self._name = name
        self._passphrase = passphrase
        self._keys: OperatorKeys | None = None
        self._sealed = b""
        self._lock = threading.Lock()

    @property
    def named(self) -> bool:
        """Whether somebody was named."""
        return self._name is not None

    def row(self) -> OperatorRow:
        """The operator as stored now, appointed and not disabled. Raises MutualsError (USAGE, NOT_ENTITLED, LOCAL)."""
        from mutuals_client.acting import acting_operator

        return acting_operator(self._peer, self._name, _HOW_TO_SAY)

    def keys(self, roles: Iterable[str], act: str) -> OperatorKeys:
        """The unlocked keys, for an operator with one of ``roles``, which is asked before the passphrase is.

        ``act`` completes “may not …”. Raises MutualsError: USAGE where it is not clear who acts or nobody can be asked
        for the passphrase, NOT_ENTITLED for a wrong role or passphrase.
        """
        from mutuals.identity.operators import require_role

        row = self.row()
        require_role(row, roles, act)
        return self._unlocked(row)

    def check_passphrase(self) -> None:
        """Unlock now where a passphrase was given, so that a wrong one is known at once."""
        if self._passphrase is not None and not callable(self._passphrase):
            self._unlocked(self.row())

    def forget(self) -> None:
        """Let go of keys and passphrase."""
        with self._lock:
            self._keys, self._passphrase, self._sealed = None, None, b""

    def _unlocked(self, row: OperatorRow) -> OperatorKeys:
        from mutuals.identity.operators import unlock

        with self._lock:
            if self._keys is None or self._sealed != row.sealed_private:
                self._keys = unlock(row, self._ask(row.name))
                self._sealed = row.sealed_private
                if not callable(self._passphrase):
                    self._passphrase = None  # the keys are enough from here on
            return replace(self._keys, roles=row.roles, department=row.department)

    def _ask(self, name: str) -> bytes:
        given = self._passphrase() if callable(self._passphrase) else self._passphrase
        if given is None:
            from mutuals_client.keyrings import passphrase_from_keyring

            given = passphrase_from_keyring(name)
        if given is None:
            given = _prompt(name)
        if not isinstance(given, str | bytes):
            raise MutualsError(
                ErrorCode.USAGE,
                f"The passphrase given for operator {name} is no text.",
                hint="Open the peer with passphrase=, a text or a function that gives it.",
            )
        if not given:
            raise MutualsError(ErrorCode.USAGE, f"The passphrase given for operator {name} is empty.")
        return given.encode() if isinstance(given, str) else given


def _prompt(name: str) -> str:
    """Ask the person at the terminal or in the notebook, who does not see what they type."""
    import getpass

    nobody = MutualsError(
        ErrorCode.USAGE,
        f"The passphrase of operator {name} is needed, and there is nobody to ask.",
        hint="Put it into the system's keyring, or open the peer with passphrase=, a text or a function that gives it.",
    )
    if not ("ipykernel" in sys.modules or (sys.stdin is not None and sys.stdin.isatty())):
        raise nobody
    try:
        return getpass.getpass(f"Passphrase of operator {name}: ")
    except (EOFError, NotImplementedError) as error:  # a notebook that is run without a person
        raise nobody from error

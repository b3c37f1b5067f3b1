"""What drives a match, a reveal and an exchange, for the commands and for Python: calls, waits and whose turn it is.

Nothing here prints or asks. ``showing`` opens a ``Progress`` for each attempt; ``patience`` says how long to wait for
a partner that is down or busy; ``wait`` is whether to wait until the partner has authorised its side.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.run_facts import find_run

if TYPE_CHECKING:
    from mutuals.agreement.active import ActiveAgreement
    from mutuals.models.run import Run
    from mutuals.peer import Peer
    from mutuals.runs.authorisation import Authorisation
    from mutuals.runs.ports import Progress
    from mutuals.store.rows import AgreementRow
    from mutuals_client.patience import Patience

    Showing = Callable[[], AbstractContextManager[Progress]]

POLL_SECONDS = 5.0
"""How often to look whether the partner has authorised its side."""

ASKING_SHARE = 4.0
"""Where asking takes longer, so many times as long is waited in between."""


LINE_MENDS = timedelta(minutes=2)
"""How long a match whose line broke is tried to be taken up again, where nothing was said of waiting."""


@dataclass(frozen=True)
class Matched:
    """A run, and whether it was ``started`` now or found; ``resumed`` says that it had been interrupted before."""

    run: Run
    started: bool
    resumed: bool = False


# --- match -------------------------------------------------------------------------------------------------------


def match(
    peer: Peer,
    reference: str,
    *,
    operator: str,
    count_only: bool = False,
    unless_since: timedelta | None = None,
    patience: Patience,
    showing: Showing,
) -> Matched:
    """Match under the agreement ``reference`` in the name of ``operator``, who was found entitled to start runs.

    One that was interrupted goes on in place of another. ``unless_since``: start none where there is one with a result
    that is no older. Raises MutualsError as ``load_active``, ``matching``, ``recent_run``, ``initiate_match`` and
    ``resume_match`` do, and where the partner cannot be called.
    """
    from mutuals.runs.once import matching

    row = _usable_or_proposed(peer, reference)
    with matching(peer, row.digest, alone=unless_since is not None) as alone:
        interrupted = _interrupted(peer, row.digest, count_only)
        if interrupted is None and unless_since is not None:
            found = _recent(peer, row.digest, unless_since, count_only, alone)
            if found is not None:
                return Matched(found, started=False)
        resumed = interrupted is not None
        mending = _Mending(patience)
        while True:
            try:
                run = _match_once(
                    peer, row, interrupted, count_only, operator, patience, showing, mending.heard
                )
                return Matched(run, started=True, resumed=resumed)
            except MutualsError as error:
                interrupted = _interrupted(peer, row.digest, count_only)
                if interrupted is not None:
                    mending.pause(error, row.agreement_id)
                elif error.code is ErrorCode.BUSY:
                    patience.pause(error)
                else:  # the partner may have charged the run
                    raise


class _Mending:
    """Patience with a line that breaks, which begins anew whenever the partner was heard in between."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._waiting: Patience | None = None

    def heard(self) -> None:
        """The partner has said something: the line holds."""
        self._waiting = None

    def pause(self, error: MutualsError, agreement: str) -> None:
        """Wait until the line may hold again. Raises ``error`` where something else is wrong, or it takes too long."""
        self._waiting = self._waiting or self._patience.at_least(LINE_MENDS)
        try:
            self._waiting.pause(error, also=(ErrorCode.CANCELLED,))
        except MutualsError as last:
            raise type(last)(
                last.code,
                last.message,
                hint=f"What was done is kept for a day. Go on with it: mutuals match {agreement}",
            ) from last


def _interrupted(peer: Peer, digest: str, count_only: bool) -> Run | None:
    """The newest match of this side under the agreement (digest in hex) that broke off and that nobody is at."""
    from mutuals.runs.resume import interrupted_match

    with peer.store.transaction() as tx:
        return interrupted_match(tx, peer, digest, count_only=count_only)


def active_agreement(peer: Peer, reference: str) -> ActiveAgreement:
    """The agreement, ready to match under. Raises what ``load_active`` raises."""
    from mutuals.agreement.active import load_active

    with peer.store.transaction() as tx:
        return load_active(tx, reference, peer.clock(), own=peer.fingerprint.hex())


def _recent(peer: Peer, digest: str, window: timedelta, count_only: bool, alone: bool) -> Run | None:
    from mutuals.runs.once import recent_run

    with peer.store.transaction() as tx:
        return recent_run(tx, digest, peer.clock() - window, count_only=count_only, alone=alone)


def _match_once(
    peer: Peer,
    row: AgreementRow,
    interrupted: Run | None,
    count_only: bool,
    operator: str,
    patience: Patience,
    showing: Showing,
    heard: Callable[[], None],
) -> Run:
    from mutuals.runs.match import initiate_match
    from mutuals.runs.resume import resume_match
    from mutuals_client.act_log import noted
    from mutuals_client.calls import partner_connection

    run: Run | None = None
    try:
        with (
            noted(peer, "match", row.partner, interrupted) as act,
            peer.open_pool() as pool,  # before the channel exists: DESIGN §11
            partner_connection(peer, row.partner, to_match=row.agreement_id, patience=patience) as connection,
        ):
            active = active_agreement(peer, row.digest)  # the partner's acceptance may just have come
            with showing() as progress, connection.match() as line:
                act.show(progress)
                stream = act.metered(line)
                try:
                    if interrupted is not None:
                        run = resume_match(peer, interrupted.run_id, stream, pool, progress=act)
                    else:
                        run = initiate_match(
                            peer,
                            active.digest,
                            stream,
                            pool,
                            progress=act,
                            count_only=count_only,
                            operator=operator,
                            began=act.began,
                        )
                finally:
                    if act.received:
                        heard()
    except MutualsError as error:
        if run is None or error.code not in (ErrorCode.UNREACHABLE, ErrorCode.CANCELLED):
            raise
        with suppress(MutualsError):  # if it cannot be told now, the reveal will tell it
            _tell_counted(peer, run)
    return run


def _tell_counted(peer: Peer, run: Run) -> None:
    """The partner may not have heard the last word of a match that has ended here."""
    from mutuals.runs.resume import resume_match
    from mutuals_client.calls import partner_connection

    with (
        peer.open_pool() as pool,
        partner_connection(peer, run.partner) as connection,
        connection.match() as stream,
    ):
        resume_match(peer, run.run_id, stream, pool)


def _usable_or_proposed(peer: Peer, reference: str) -> AgreementRow:
    """The agreement, if it can be matched under now or once the partner's acceptance has come.

    So nobody is called in vain. Raises what ``load_active`` raises.
    """
    from mutuals.agreement.active import find_agreement
    from mutuals.identity.partners import partner_card
    from mutuals.models.agreement import AgreementState

    with peer.store.transaction() as tx:
        row = find_agreement(tx, reference)
        partner = tx.partners.get(row.partner)
    try:
        active_agreement(peer, row.digest)
    except MutualsError as error:
        proposed = error.code is ErrorCode.AGREEMENT_NOT_ACTIVE and row.state is AgreementState.PROPOSED
        if not proposed or partner is None or partner_card(partner).endpoint is None:
            raise
    return row


# --- reveal ------------------------------------------------------------------------------------------------------


def reveal(
    peer: Peer,
    run: Run,
    authorise: Callable[[Run, ActiveAgreement], None],
    *,
    wait: bool = False,
    patience: Patience,
    showing: Showing,
) -> Run:
    """Have a counted run authorised and revealed; the run as it is then, as it was where it was revealed before.

    ``authorise`` returns where an operator has authorised it, and raises where none has. Where the partner started
    the run and ``wait`` is False the run may still be counted: the partner's call reveals it. Raises MutualsError:
    RUN_STATE, AGREEMENT_NOT_ACTIVE, what ``authorise`` raises, and where the partner cannot be called or refuses.
    """
    from mutuals.agreement.active import load_for_run
    from mutuals.models.run import Role, RunState

    if run.state in {RunState.REVEALED, RunState.EXCHANGING, RunState.DONE}:
        return run
    if run.state is not RunState.COUNTED:
        raise MutualsError(
            ErrorCode.RUN_STATE,
            f"Run {run.run_id} is {run.state.value.replace('_', ' ')}"
            + (f" ({run.reason})" if run.reason else "")
            + "; only a counted run can be revealed.",
            hint=f"Start a new one: mutuals match {_agreement(run)}"
            if run.state.final
            else f"See what it waits for: mutuals runs show {run.run_id}",
        )
    with peer.store.transaction() as tx:
        active = load_for_run(tx, run, peer.clock(), own=peer.fingerprint.hex())
    authorise(run, active)
    if run.role is Role.INITIATOR:
        return _call_to_reveal(peer, run, wait, patience, showing)
    return _await_reveal(peer, run) if wait else run


def reveal_authorised(peer: Peer, run: Run, active: ActiveAgreement) -> Authorisation | None:
    """What permits the reveal already, a mandate or an authorisation; None where an operator must sign."""
    from mutuals.runs.authorisation import require_authorisation

    try:
        with peer.store.transaction() as tx:
            return require_authorisation(tx, "reveal", run, active, peer.clock())
    except MutualsError as error:
        if error.code is not ErrorCode.NOT_AUTHORISED_YET:
            raise
    return None


def _call_to_reveal(peer: Peer, run: Run, wait: bool, patience: Patience, showing: Showing) -> Run:
    from mutuals.errors import PartnerRefused
    from mutuals.runs.reveal import initiate_reveal
    from mutuals_client.act_log import noted
    from mutuals_client.calls import partner_connection

    told = False
    while True:
        began = time.monotonic()
        try:
            with (
                noted(peer, "reveal", run.partner, run) as act,
                partner_connection(peer, run.partner, patience=patience) as connection,
                showing() as progress,
                connection.reveal() as stream,
            ):
                act.show(progress)
                return initiate_reveal(peer, run.run_id, act.metered(stream), progress=act)
        except MutualsError as error:
            if error.code in (ErrorCode.STALE, ErrorCode.BELOW_THRESHOLD):
                _tell_partner(peer, run)
            if error.code is ErrorCode.BUSY:
                patience.pause(error)
                continue
            if error.code is ErrorCode.RUN_STATE and isinstance(error, PartnerRefused) and not told:
                told = True
                _tell_counted(peer, run)
                continue
            if not (wait and error.code is ErrorCode.NOT_AUTHORISED_YET):
                raise
        _pause_after_asking(began)


def _tell_partner(peer: Peer, run: Run) -> None:
    """Deliver the note that the run ended here, so that nobody there waits for it."""
    from mutuals_client.delivery import try_sync

    with peer.store.transaction() as tx:
        partner = tx.partners.get(run.partner)
    if partner is not None:
        try_sync(peer, partner)


def _await_reveal(peer: Peer, run: Run) -> Run:
    from mutuals.models.run import RunState
    from mutuals.runs.lifecycle import expire_runs

    current = run
    while current.state in {RunState.COUNTED, RunState.REVEALING}:
        time.sleep(POLL_SECONDS)
        expire_runs(peer)
        current = find_run(peer, run.run_id)
    if current.state is RunState.HALF_REVEALED or (
        current.state.final and current.state is not RunState.DONE
    ):
        raise _ended(current)
    return current


# --- exchange ----------------------------------------------------------------------------------------------------


def exchange(
    peer: Peer,
    run: Run,
    *,
    expected: bytes | None = None,
    wait: bool = False,
    patience: Patience,
    showing: Showing,
) -> Run | None:
    """Carry out the exchange of a run that is authorised on this side; the finished run.

    ``expected`` is the digest of the preview that was shown: this side sends that or nothing. None where the partner
    started the run and ``wait`` is False: the partner's call exchanges it. Raises MutualsError as ``initiate_exchange``
    does, RUN_STATE where the run ended otherwise, and where the partner cannot be called.
    """
    from mutuals.models.run import Role

    if run.role is Role.INITIATOR:
        _call_to_exchange(peer, run, expected, wait, patience, showing)
    elif wait:
        _await_exchange(peer, run)
    else:
        return None
    return find_run(peer, run.run_id)


def _call_to_exchange(
    peer: Peer, run: Run, expected: bytes | None, wait: bool, patience: Patience, showing: Showing
) -> None:
    from mutuals.runs.exchange import initiate_exchange
    from mutuals_client.act_log import noted
    from mutuals_client.calls import partner_connection

    while True:
        began = time.monotonic()
        try:
            with (
                noted(peer, "exchange", run.partner, run) as act,
                partner_connection(peer, run.partner, patience=patience) as connection,
                showing() as progress,
            ):
                act.show(progress)
                with connection.exchange() as stream:
                    initiate_exchange(peer, run.run_id, act.metered(stream), expected=expected, progress=act)
                return
        except MutualsError as error:
            if not (wait and error.code is ErrorCode.NOT_AUTHORISED_YET):
                patience.pause(error)  # a line that broke is taken up where it ended
                continue
        _pause_after_asking(began)


def _pause_after_asking(began: float) -> None:
    """Before asking anew whether the partner has authorised: each time the whole source is read for it."""
    time.sleep(max(POLL_SECONDS, ASKING_SHARE * (time.monotonic() - began)))


def _await_exchange(peer: Peer, run: Run) -> None:
    from mutuals.models.run import RunState
    from mutuals.runs.lifecycle import expire_runs

    current = run
    while not current.state.final:
        time.sleep(POLL_SECONDS)
        expire_runs(peer)
        current = find_run(peer, run.run_id)
    if current.state is not RunState.DONE:
        raise _ended(current)


def _ended(run: Run) -> MutualsError:
    return MutualsError(
        ErrorCode.RUN_STATE,
        f"Run {run.run_id} ended: {run.reason or run.state.value}",
        hint=f"Start a new one: mutuals match {_agreement(run)}",
    )


def _agreement(run: Run) -> str:
    from mutuals.agreement.document import agreement_id

    return agreement_id(run.agreement)

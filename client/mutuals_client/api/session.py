"""An open peer for programs and notebooks: what the commands do, returning values instead of printing them."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.api.columns import AGREEMENT_COLUMNS, RUN_COLUMNS, SOURCE_COLUMNS
from mutuals_client.api.frames import Kind, facts_frame, require_kind
from mutuals_client.api.opened import OpenPeer, duration_of
from mutuals_client.api.values import Frame, Preview, ProgressCallback, Report, Run, run_view

if TYPE_CHECKING:
    import polars as pl

    from mutuals.monitoring.facts import Status
    from mutuals_client.api.unlocking import Passphrase

MOST_VIEWED = 1000
"""So many rows ``view`` gives at most, as ``mutuals view`` does; who needs more exports."""


@overload
def open_peer(
    home: str | Path | None = None,
    *,
    operator: str | None = None,
    passphrase: Passphrase | None = None,
    progress: ProgressCallback | None = None,
    frames: Literal["polars"] = "polars",
) -> PeerSession[pl.DataFrame]: ...
@overload
def open_peer(
    home: str | Path | None = None,
    *,
    operator: str | None = None,
    passphrase: Passphrase | None = None,
    progress: ProgressCallback | None = None,
    frames: Literal["pandas"],
) -> PeerSession[Any]: ...
def open_peer(
    home: str | Path | None = None,
    *,
    operator: str | None = None,
    passphrase: Passphrase | None = None,
    progress: ProgressCallback | None = None,
    frames: Kind = "polars",
) -> PeerSession[Any]:
    """Open the peer in a home folder, to be used in a ``with`` block or closed by ``close``.

    ``home`` is, where left out, ``MUTUALS_HOME`` or the platform's user data folder; ``operator``, ``MUTUALS_OPERATOR``
    or the only one there is. The ``passphrase`` is a text, bytes, or a function that gives one; where left out, it
    comes from the system's keyring or is asked for at the terminal or in the notebook, once something needs it:
    matching, lists, status and reports do not. ``progress`` is called with a ``Step`` now and then, from any thread;
    what it raises ends the call it reports on. ``frames`` says what kind of frames methods return.

    Raises MutualsError: LOCAL where there is no peer or its files cannot be trusted, NOT_ENTITLED for a passphrase that
    is not the operator's, USAGE where it is not clear who acts or the frames asked for are not available.
    """
    from mutuals.identity.home import default_home
    from mutuals.peer import Peer
    from mutuals_client.api.unlocking import Operator

    require_kind(frames)
    peer = Peer.open(default_home() if home is None else Path(home))
    try:
        acting = Operator(peer, operator or os.environ.get("MUTUALS_OPERATOR") or None, passphrase)
        acting.check_passphrase()
    except BaseException:
        peer.close()
        raise
    return PeerSession(peer, acting, progress, frames)


class PeerSession(OpenPeer[Frame]):
    """One company's peer, open. Get one from ``open_peer``.

    Each method asks for what its command asks for: role, department, policy, four eyes, budgets; and logs what its
    command logs. A refusal is a MutualsError with the command's code. Calls block, and work inside a running event
    loop. Several threads may use one session; a process made by fork may not.
    """

    # --- what is there -----------------------------------------------------------------------------------------------

    def sources(self) -> Frame:
        """The sources: ``name``, ``format``, ``default_country``, ``path``."""
        from mutuals_client.stored_sources import definition_facts, definition_of

        with self._peer.store.transaction() as tx:
            found = [definition_facts(definition_of(row)) for row in tx.sources.list()]
        return self._frame(facts_frame(found, SOURCE_COLUMNS))

    def check(
        self,
        source: str,
        *,
        agreement: str | None = None,
        purpose: str | None = None,
        max_age_days: int | None = None,
        notice: bool | None = None,
        profile: str | None = None,
    ) -> dict[str, Any]:
        """Read a source and count what is usable, what is not and why, and who could take part; nothing leaves.

        As ``mutuals source check``, under the keys of its ``--json``. Raises MutualsError: USAGE, INPUT_QUALITY,
        AGREEMENT_UNKNOWN.
        """
        from mutuals_client.source_checking import check

        return check(
            self._peer,
            source,
            agreement=agreement,
            purpose=purpose,
            max_age_days=max_age_days,
            notice=notice,
            profile=profile,
        ).facts()

    def agreements(self) -> Frame:
        """The agreements in every state: ``id``, ``version``, ``title``, ``partner``, ``state``, ``valid_from``,
        ``valid_until``, ``source``, ``digest``.
        """
        from mutuals_client.commands.agreement_show import agreement_facts, partner_name

        with self._peer.store.transaction() as tx:
            rows = tx.agreements.list()
            found = [agreement_facts(row, partner_name(tx.partners.get(row.partner))) for row in rows]
        for facts in found:
            for name in ("valid_from", "valid_until"):
                facts[name] = facts[name] and date.fromisoformat(facts[name])
        return self._frame(facts_frame(found, AGREEMENT_COLUMNS))

    def runs(self) -> Frame:
        """The runs, newest first: the columns of ``mutuals runs --json``."""
        from mutuals_client.run_facts import run_facts

        peer = self._ready()
        with peer.store.transaction() as tx:
            runs = sorted(tx.runs.list(), key=lambda run: run.opened_at, reverse=True)
        return self._frame(facts_frame([run_facts(peer, run) for run in runs], RUN_COLUMNS))

    def run(self, run: str | Run) -> Run:
        """A run as it stands now. Raises MutualsError (RUN_UNKNOWN)."""
        return run_view(self._ready(), _id(run))

    def status(
        self, agreement: str | None = None, *, everything: bool = False, quick: bool = False
    ) -> Status:
        """How the agreements stand, what is overdue, what looks wrong and what to do, as ``mutuals status``.

        Needs no operator, and changes nothing. ``quick`` does not read the contact lists for consents. The fields are
        explained in ``mutuals.monitoring.facts``. Raises MutualsError (AGREEMENT_UNKNOWN).
        """
        from mutuals.monitoring.status import peer_status

        return peer_status(self._peer, agreement, everything=everything, sources=not quick)

    def report(self, run: str | Run) -> Report:
        """What came out of a run in any state, as ``mutuals report``. Raises MutualsError (RUN_UNKNOWN)."""
        from mutuals.runs.report import gather_report

        return Report.of(gather_report(self._peer, _id(run)))

    # --- match, reveal, exchange -------------------------------------------------------------------------------------

    def match(
        self,
        agreement: str,
        *,
        count_only: bool = False,
        unless_since: str | timedelta | None = None,
        wait_for_partner: str | timedelta | None = None,
    ) -> Run:
        """Match the contacts with the partner's under an active agreement; charges one run of the budget.

        The operator must be one who starts runs; no passphrase is needed. ``unless_since`` ("20h", or a timedelta)
        starts none where there is one with a result that is no older, and returns that. ``wait_for_partner`` keeps
        calling a partner that is down or busy for so long. ``count_only`` ends with the count and destroys all else.

        Raises MutualsError: NOT_ENTITLED, AGREEMENT_UNKNOWN, AGREEMENT_NOT_ACTIVE, AGREEMENT_FORBIDS, BUDGET_EXHAUSTED,
        SET_TOO_SMALL, SET_TOO_LARGE, BELOW_THRESHOLD, INPUT_QUALITY, BLOCKED, BUSY, UNREACHABLE, and what a partner
        refuses with.
        """
        from mutuals.runs.match import require_starter
        from mutuals_client import driving

        window = None if unless_since is None else duration_of(unless_since, "unless_since")
        patience = self._patience(wait_for_partner)
        peer = self._ready()
        starter = self._operator.row()
        require_starter(starter)
        matched = driving.match(
            peer,
            agreement,
            operator=starter.name,
            count_only=count_only,
            unless_since=window,
            patience=patience,
            showing=self._showing,
        )
        return run_view(peer, matched.run.run_id)

    def reveal(
        self, run: str | Run, *, wait: bool = False, wait_for_partner: str | timedelta | None = None
    ) -> Run:
        """Authorise, in the operator's name, that both sides learn which of their contacts are shared; and reveal them.

        Nobody is asked: calling it is the answer. It signs unless a mandate or an earlier authorisation covers it. The
        side that started the run carries it out; on the other one the run stays ``counted`` until the partner
        calls. ``wait`` waits until the partner has authorised it too. A run revealed before stays as it is.

        Raises MutualsError: RUN_UNKNOWN, RUN_STATE, NOT_ENTITLED, NOT_AUTHORISED_YET (the partner, or a second
        operator), AGREEMENT_NOT_ACTIVE, STALE, BELOW_THRESHOLD, UNREACHABLE.
        """
        from mutuals_client import driving
        from mutuals_client.api.authorising import authorise_reveal
        from mutuals_client.run_facts import find_run

        patience = self._patience(wait_for_partner)
        peer = self._ready()
        found = find_run(peer, _id(run))
        driving.reveal(
            peer,
            found,
            lambda run, active: authorise_reveal(peer, self._operator, run, active),
            wait=wait,
            patience=patience,
            showing=self._showing,
        )
        return run_view(peer, found.run_id)

    def overlap(self, run: str | Run) -> Frame:
        """The own contacts that the partner holds too, of a revealed run: one column ``contact_id``, distinct.

        It is signed, logged and recorded as an export, since a frame is a copy. Left out is whom the source no longer
        lets take part. Raises MutualsError: RUN_UNKNOWN, RUN_STATE, NOT_ENTITLED, AGREEMENT_NOT_ACTIVE,
        NOT_AUTHORISED_YET where the policy asks for four eyes, INPUT_QUALITY.
        """
        from mutuals.identity.operators import READ_ROLES
        from mutuals.runs.frames import take_out_overlap

        keys = self._operator.keys(READ_ROLES, "read which contacts are shared")
        return self._frame(take_out_overlap(self._peer, _id(run), keys))

    def preview(self, run: str | Run) -> Preview[Frame]:
        """What the exchange of a revealed run would send now; signs and sends nothing.

        Raises MutualsError: RUN_UNKNOWN, RUN_STATE, AGREEMENT_NOT_ACTIVE, INPUT_QUALITY.
        """
        from mutuals.runs.preview import preview_exchange
        from mutuals_client.api.previews import preview_view

        return preview_view(preview_exchange(self._ready(), _id(run)), self._frame)

    def exchange(
        self,
        run: str | Run,
        preview: Preview[Any] | None = None,
        *,
        wait: bool = False,
        wait_for_partner: str | timedelta | None = None,
    ) -> Run:
        """Authorise exactly what ``preview`` shows, in the operator's name, and exchange the agreed fields.

        ``preview`` is what ``preview`` returned for this run: that is sent or nothing. Only an exchange that broke off
        and is taken up again needs none. The side that started the run carries it out; on the other one the run stays
        ``revealed`` until the partner calls. ``wait`` waits until the partner has authorised its side too.

        Raises MutualsError: USAGE without a preview of this run, RUN_UNKNOWN, RUN_STATE, PREVIEW_CHANGED,
        NOT_ENTITLED, NOT_AUTHORISED_YET, AGREEMENT_NOT_ACTIVE, INPUT_QUALITY, UNREACHABLE.
        """
        from mutuals.models.run import RunState
        from mutuals.runs.preview import wrong_state
        from mutuals_client import driving
        from mutuals_client.api.authorising import authorise_exchange, require_sealed
        from mutuals_client.run_facts import find_run

        patience = self._patience(wait_for_partner)
        peer = self._ready()
        found = find_run(peer, _id(run))
        expected = None
        if found.state is RunState.REVEALED:
            expected = authorise_exchange(peer, self._operator, found, preview)
        elif found.state not in {RunState.EXCHANGING, RunState.DONE}:
            raise wrong_state(found)
        elif preview is not None:
            require_sealed(peer, found, preview)
        if found.state is not RunState.DONE:
            driving.exchange(
                peer, found, expected=expected, wait=wait, patience=patience, showing=self._showing
            )
        return run_view(peer, found.run_id)

    def view(self, run: str | Run, rows: int = 10) -> Frame:
        """Some of what a finished exchange received, to look at: ``contact_id`` and a column for each field.

        For an operator whom agreement and policy let view it; fields they keep from this operator are missing. Signed
        and logged as ``mutuals view``. Raises MutualsError: USAGE for other than 1 to 1,000 rows, else as ``received``.
        """
        from mutuals.identity.operators import READ_ROLES
        from mutuals.runs.frames import frame_of
        from mutuals.runs.view import view_records

        if not 1 <= rows <= MOST_VIEWED:
            raise MutualsError(
                ErrorCode.USAGE,
                f"A view has 1 to {MOST_VIEWED:,} rows.",
                hint="Take all of them: received(run)",
            )
        keys = self._operator.keys(READ_ROLES, "read received records")
        return self._frame(frame_of(view_records(self._peer, _id(run), keys, most=rows)).head(rows))

    def received(self, run: str | Run) -> Frame:
        """All that a finished exchange received: ``contact_id`` and a column for each field, one row an own contact.

        Texts are String, integers Int64, decimals Float64, dates Date, truth values Boolean; what did not come is null.
        For an operator whom agreement and policy let export it; fields they keep from this operator are missing. A
        frame is a copy: it is signed, logged and recorded as an export, and the deletion certificate names it. To
        write a file use ``mutuals export``, which guards against formulas and whose file the certificate names.

        Raises MutualsError: RUN_UNKNOWN, RUN_STATE, NOT_ENTITLED, AGREEMENT_NOT_ACTIVE, AGREEMENT_FORBIDS where the
        partner sends nothing, NOT_AUTHORISED_YET (four eyes), PartnerFault for content that was not agreed.
        """
        from mutuals.identity.operators import READ_ROLES
        from mutuals.runs.export import open_received
        from mutuals.runs.frames import take_out_frame

        keys = self._operator.keys(READ_ROLES, "read received records")
        records = open_received(self._peer, _id(run), keys)
        return self._frame(take_out_frame(self._peer, records, keys))


def _id(run: str | Run) -> str:
    return (run if isinstance(run, str) else run.id).upper()

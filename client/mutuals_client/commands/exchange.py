"""``mutuals exchange RUN``: preview, authorise and carry out the exchange of a revealed run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client import driving
from mutuals_client.console import SETTINGS, OperatorCommand, confirm, open_peer, result, say
from mutuals_client.next_steps import partners_turn, say_next
from mutuals_client.progress import progress_bars, tell_waiting
from mutuals_client.run_facts import find_run

if TYPE_CHECKING:
    from mutuals.models.run import Run
    from mutuals.peer import Peer
    from mutuals.runs.authorisation import StandingPreview
    from mutuals.runs.preview import Preview


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("exchange", cls=OperatorCommand)(exchange)


def exchange(
    run_id: str = typer.Argument(..., metavar="RUN"),
    dry_run: bool = typer.Option(
        False, "-n", "--dry-run", help="Show what would be sent; sign and send nothing."
    ),
    samples: bool | None = typer.Option(
        None,
        "--samples/--no-samples",
        help="Show three masked records, or none. [default: at a terminal]",
        show_default=False,
    ),
    html: Path | None = typer.Option(
        None,
        "--html",
        metavar="FILE",
        help="Also write the preview, with masked records, as a page.",
        dir_okay=False,
    ),
    force: bool = typer.Option(False, "--force", help="Overwrite the page of --html if it exists."),
    seen: str | None = typer.Option(
        None,
        "--preview",
        metavar="ID",
        help="Authorise exactly this preview, seen before; refuse where it is another one now.",
    ),
    wait: bool = typer.Option(False, "--wait", help="Wait until the partner has authorised its side too."),
    wait_for_partner: str | None = typer.Option(
        None,
        metavar="DURATION",
        help="Keep calling a partner that is down or busy for so long: 90s, 30m, 2h.",
    ),
) -> None:
    """Exchange the agreed fields of the shared contacts.

    Shows what would be sent, asks an operator to authorise exactly that, and sends it. The side that started the
    run carries it out; the other side's server acts on the authorisation that its own command records.
    Example: mutuals exchange R-7Q3K2M9X --dry-run
    """
    from mutuals.models.run import RunState
    from mutuals.runs.lifecycle import expire_runs
    from mutuals.runs.preview import preview_exchange, wrong_state
    from mutuals.runs.preview_id import names_preview
    from mutuals_client.patience import Patience
    from mutuals_client.preview_view import preview_facts
    from mutuals_client.report_file import check_target

    patience = Patience.of(wait_for_partner, tell_waiting)
    if html is not None:
        check_target(html, force=force)
    with open_peer() as peer:
        expire_runs(peer)
        run = find_run(peer, run_id)
        expected = None
        if run.state is RunState.REVEALED:
            preview = preview_exchange(peer, run.run_id)
            standing = _show(peer, preview, samples, html)
            if seen is not None and not names_preview(seen, preview.digest):
                raise _another(run, preview.id)
            if dry_run:
                say("Nothing was signed or sent.")
                say_next((f"mutuals exchange {run.run_id}", "authorise exactly this, and send it"))
                page = {} if html is None else {"file": str(html.absolute())}
                facts = preview_facts(preview, standing, samples=bool(samples))
                result(**facts, dry_run=True, **page)
                return
            _authorise(peer, preview, asked=seen is None)
            expected = preview.digest
            del preview  # its records are read again where they are sent
        elif dry_run or html or run.state not in {RunState.EXCHANGING, RunState.DONE}:
            raise wrong_state(run)
        elif seen is not None:
            _require_sealed(peer, run, seen)
        if run.state is RunState.DONE:
            _tell(peer, run)
            return
        with partners_turn(f"mutuals exchange {run.run_id}"):
            done = driving.exchange(
                peer,
                run,
                expected=expected,
                wait=wait,
                patience=patience,
                showing=progress_bars,
            )
        if done is None:
            _tell_ready(run, expected)
        else:
            _tell(peer, done)


def _show(peer: Peer, preview: Preview, samples: bool | None, html: Path | None) -> list[StandingPreview]:
    """Tell a person what would be sent, and who authorised which preview of it; masked values only where asked for, or
    at a terminal.
    """
    from rich.markup import escape

    from mutuals.runs.authorisation import standing_previews
    from mutuals_client.preview_view import preview_on_terminal, preview_page
    from mutuals_client.report_file import write_page

    with peer.store.transaction() as tx:
        standing = standing_previews(tx, preview.run, peer.clock())
    shown = sys.stdout.isatty() if samples is None else samples
    if not SETTINGS.json:
        say(preview_on_terminal(preview, standing, samples=shown))
    if html is not None:
        write_page(html, preview_page(preview, standing, peer.clock()))
        say(f"Wrote {escape(str(html))}, for who has to agree. It can be opened in any browser.")
    return standing


def _authorise(peer: Peer, preview: Preview, *, asked: bool) -> None:
    """Have an operator permit exactly this preview, unless somebody has; ``asked`` is whether to put the question."""
    from mutuals.identity.operators import AUTHORISE_ROLES
    from mutuals.runs.outgoing import authorisation_for, authorise_preview
    from mutuals_client.session import unlock_operator

    if not preview.sends:
        return
    try:
        authorisation = authorisation_for(peer, preview)
    except MutualsError as error:
        if error.code is not ErrorCode.NOT_AUTHORISED_YET:
            raise
    else:
        if not authorisation.by_mandate:
            say(f"Preview {preview.id} is authorised by {authorisation.operator}.")
            return
        if asked:
            say(
                f"Covered by the standing mandate of {authorisation.operator}, which is bound to no preview. "
                f"To bind this run to it: mutuals exchange {preview.run.run_id} --preview {preview.id}"
            )
            return
    partner = preview.active.agreement.party(preview.active.own_side.other).organisation
    if asked and not confirm(f"Authorise sending exactly this, preview {preview.id}, to {partner}?"):
        raise MutualsError(ErrorCode.USAGE, f"Nothing of run {preview.run.run_id} was authorised or sent.")
    keys = unlock_operator(peer, roles=AUTHORISE_ROLES, act="authorise an exchange")
    given = authorise_preview(peer, preview, keys)
    say(f"{keys.name} authorised preview {preview.id}, until {given.expires_at:%Y-%m-%d %H:%M} UTC.")
    authorisation_for(peer, preview)  # where the policy asks for four eyes, a second operator must, too


def _require_sealed(peer: Peer, run: Run, seen: str) -> None:
    """A run whose records were sealed before, and perhaps sent, must have been sealed as that preview."""
    from mutuals.runs.moved import exchange_summary
    from mutuals.runs.preview_id import names_preview

    sealed = exchange_summary(peer, run).preview
    if sealed is None or not names_preview(seen, sealed):
        raise _another(run, sealed or "without a name")


def _another(run: Run, now: str) -> MutualsError:
    return MutualsError(
        ErrorCode.PREVIEW_CHANGED,
        f"What run {run.run_id} sends is preview {now}, not the one that was named; nothing was authorised.",
        hint=f"See where it stands: mutuals runs show {run.run_id}",
    )


def _tell_ready(run: Run, expected: bytes | None) -> None:
    from mutuals.runs.preview_id import preview_id

    say(
        f"Run {run.run_id} is ready on this side. Your server exchanges it when the partner, who started the",
        f"run, calls. They run: mutuals exchange {run.run_id}",
    )
    say_next(
        (f"mutuals runs show {run.run_id}", "see whether they have"),
        (f"mutuals export {run.run_id} --out campaign.csv", "then write what you received to a file"),
    )
    named = None if expected is None else preview_id(expected)
    result(run=run.run_id, state=run.state.value, ready=True, preview=named)


def _tell(peer: Peer, run: Run) -> None:
    from mutuals.runs.moved import exchange_summary

    summary = exchange_summary(peer, run)
    say(
        f"Run {run.run_id} is done: sent the agreed fields of [bold]{summary.contacts_sent:,}[/] contacts, "
        f"received those of [bold]{summary.contacts_received:,}[/]."
        + (f" What was sent is preview {summary.preview}." if summary.contacts_sent else "")
    )
    if summary.records_received:
        say_next(
            (
                f"mutuals export {run.run_id} --out campaign.csv",
                "write what you received to a file, by your contact ids",
            ),
            (
                f"mutuals report {run.run_id} --out campaign.html",
                "a page on it for your colleagues, without data",
            ),
        )
    result(
        run=run.run_id,
        state=run.state.value,
        preview=summary.preview,
        contacts_sent=summary.contacts_sent,
        records_sent=summary.records_sent,
        withheld=summary.withheld,
        fields_sent=list(summary.fields_sent),
        contacts_received=summary.contacts_received,
        records_received=summary.records_received,
        pairs_received=summary.pairs_received,
    )

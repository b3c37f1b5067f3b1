"""``mutuals audit``: read the logs, check them, hand them to a third party, and go on after one was rolled back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted
from mutuals_client.console import (
    SETTINGS,
    Command,
    OperatorCommand,
    confirm,
    open_peer,
    result,
    say,
    table,
)

if TYPE_CHECKING:
    from mutuals.audit.verify import Report
    from mutuals.models.card import SignedCard
    from mutuals.store.database import Transaction
    from mutuals.store.rows import LogRow

_AGREEMENT = typer.Argument(
    None, metavar="[AGREEMENT]", help="Only this agreement's log. [default: all logs]"
)
_ONE = typer.Argument(..., metavar="AGREEMENT", help="Its id, as in: mutuals agreement list")
_SHOWN = 100


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True, help="Read and check the logs that both sides sign; export them."
    )
    group.command("log", cls=Command)(show_log)
    group.command("verify", cls=Command)(verify)
    group.command("export", cls=Command)(export)
    group.command("checkpoint", cls=Command)(checkpoint)
    group.command("clear", cls=OperatorCommand)(clear)
    app.add_typer(group, name="audit")


def show_log(agreement: str | None = _AGREEMENT) -> None:
    """Show what happened: when, what, who, and whether the operator's signature under it is right.

    Example: mutuals audit log A-7Q3K2M9X
    """
    from mutuals.shortid import short_id

    with open_peer() as peer, peer.store.transaction() as tx:
        rows = tx.log.entries(None if agreement is None else _digest(tx, agreement))
    entries = [_entry_facts(row) for row in rows]
    table(
        None,
        ("When (UTC)", "Agreement", "What", "Who", "Signed"),
        [
            (
                f"{row.at:%Y-%m-%d %H:%M:%S}",
                short_id("A", bytes.fromhex(row.agreement)) if row.agreement else "",
                _what(row.event, facts["facts"]),
                facts["operator"] or "",
                {True: "yes", False: "WRONG", None: ""}[facts["signed"]],
            )
            for row, facts in zip(rows, entries, strict=True)
        ],
    )
    if not rows:
        say("Nothing was logged yet.")
    result(entries=entries)


def verify(
    agreement: str | None = _AGREEMENT,
    bundle: list[Path] = typer.Option(
        [],
        "--bundle",
        metavar="FILE",
        help="Check an exported log instead; give both sides' for more.",
        dir_okay=False,
    ),
    card: list[Path] = typer.Option(
        [], "--card", metavar="FILE", help="(with --bundle) A peer's card; give both.", dir_okay=False
    ),
) -> None:
    """Recompute the logs, and check every signature over them; ends with 1 where something is wrong.

    With --bundle it needs no peer, no network and nothing but the two cards. Examples: mutuals audit verify;
    mutuals audit verify --bundle log.json --card acme.json --card globex.json
    """
    if bundle:
        if agreement is not None or not card:
            raise MutualsError(
                ErrorCode.USAGE,
                "A bundle is checked with cards, and holds one agreement's log.",
                hint="mutuals audit verify --bundle FILE --card FILE --card FILE",
            )
        reports = _verify_bundles(bundle, card)
    elif card:
        raise MutualsError(ErrorCode.USAGE, "--card belongs to --bundle.", hint="Add --bundle FILE.")
    else:
        reports = _verify_store(agreement)
    for report in reports:
        _tell(report)
    sound = all(report.sound for report in reports)
    say("Nothing is wrong." if sound else "[bold red]Something is wrong; see above.[/]")
    result(
        sound=sound,
        logs=[
            {
                "log": report.name,
                "whose": report.whose,
                "sound": report.sound,
                "right": report.right,
                "problems": report.problems,
                "unchecked": report.unchecked,
            }
            for report in reports
        ],
    )
    if not sound:
        raise typer.Exit(1)


def export(
    agreement: str = _ONE,
    out: Path = typer.Option(..., "--out", metavar="FILE", help="Where to write it.", dir_okay=False),
) -> None:
    """Write an agreement's log with all signatures into one file, for a third party to check offline.

    It holds the agreement and its log, no contact. Example: mutuals audit export A-7Q3K2M9X --out log.json
    """
    from rich.markup import escape

    from mutuals.audit.bundle import export_bundle
    from mutuals.identity.files import is_there, write_private

    with open_peer() as peer, peer.store.transaction() as tx:
        data = export_bundle(tx, peer, _digest(tx, agreement))
    if is_there(out) and not confirm(f"Replace {out}?"):
        raise MutualsError(ErrorCode.USAGE, "Nothing was written.")
    try:
        write_private(out, data)
    except OSError as error:
        raise MutualsError(ErrorCode.LOCAL, f"{out} cannot be written: {error.strerror}.") from error
    say(f"Wrote {escape(str(out))}. Who has it checks it with both peers' cards and nothing else:")
    say(f"  mutuals audit verify --bundle {escape(str(out))} --card FILE --card FILE")
    result(file=str(out), bytes=len(data))


def checkpoint(agreement: str = _ONE) -> None:
    """Print the newest checkpoint of an agreement's log, a C2SP signed note, with the partner's cosignature.

    Example: mutuals audit checkpoint A-7Q3K2M9X
    """
    from mutuals.audit.heads import with_cosignature
    from mutuals.audit.tree import cosigner, log_key
    from mutuals.identity.partners import partner_log_key

    with open_peer() as peer, peer.store.transaction() as tx:
        digest = _digest(tx, agreement)
        row = tx.checkpoints.latest(digest, own=True)
        held = tx.agreements.get(digest)
        partner = None if held is None else tx.partners.get(held.partner)
        entries = len(tx.log.of(digest))
        keys = [log_key(peer.fingerprint.hex(), digest, peer.log_key.public).text()]
        if partner is not None:
            keys.append(cosigner(partner.fingerprint, partner_log_key(partner)).text())
    if row is None:
        raise MutualsError(
            ErrorCode.USAGE,
            "There is no checkpoint yet: they are made when the partner is met.",
            hint="mutuals sync",
        )
    note = with_cosignature(row).decode()
    if not SETTINGS.json:
        typer.echo(note, nl=False)
        behind = f", {counted(entries - row.size, 'entry', 'entries')} ago" if entries > row.size else ""
        cosigned = "cosigned by the partner" if row.cosignature else "not cosigned yet"
        typer.echo(f"Made {row.at:%Y-%m-%d %H:%M} UTC{behind}; {cosigned}. Keys to check it with:", err=True)
        for key in keys:
            typer.echo(f"  {key}", err=True)
    result(checkpoint=note, size=row.size, entries=entries, cosigned=row.cosignature is not None, keys=keys)


def clear(
    agreement: str = typer.Argument(..., metavar="AGREEMENT", help="Whose log lacked what was cosigned."),
    reason: str = typer.Option(
        ..., help="Why it is accepted as it is now; both the reason and you are logged."
    ),
) -> None:
    """Accept an agreement's logs as they are, after one was found rolled back or changed; signed.

    An admin or privacy officer does this, on each side that found it. Nothing is matched, revealed or exchanged with
    the partner before. Example: mutuals audit clear A-7Q3K2M9X --reason "Disk lost, backup of 1 May put back"
    """
    from mutuals.audit.clearing import CLEAR_ROLES, clear_faults
    from mutuals.identity.text import deceptive_character
    from mutuals.runs.log_faults import open_faults
    from mutuals_client.session import unlock_operator

    reason = reason.strip()
    if not 1 <= len(reason) <= 1000 or deceptive_character(reason):
        raise MutualsError(ErrorCode.USAGE, "The reason has 1 to 1,000 characters in one line.")
    with open_peer() as peer:
        with peer.store.transaction() as tx:
            digest = _faulty(tx, agreement)
            faults = [fault for fault in open_faults(tx) if fault.agreement == digest]
            names = {row.fingerprint: row.name for row in tx.partners.list(include_removed=True)}
        for fault in faults:
            say(_plain(fault.sentence(names.get(fault.partner, "The partner"))))
        keys = unlock_operator(peer, roles=CLEAR_ROLES, act="clear a log")
        if faults and not confirm("Accept the logs as they are now?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was changed.")
        cleared = clear_faults(peer, digest, reason, keys)
    say("Cleared and logged. The partner has to clear it as well, where it found it.")
    result(
        agreement=digest, cleared=[{"own": one.own, "kind": one.kind, "size": one.size} for one in cleared]
    )


def _digest(tx: Transaction, reference: str) -> str:
    from mutuals.agreement.active import find_agreement

    return find_agreement(tx, reference).digest


def _faulty(tx: Transaction, reference: str) -> str:
    """The agreement that is meant, also where the store that was put back does not know it."""
    from mutuals.runs.log_faults import open_faults

    for fault in open_faults(tx):
        if reference.strip().casefold() in (fault.agreement_id.casefold(), fault.agreement):
            return fault.agreement
    return _digest(tx, reference)


def _verify_store(agreement: str | None) -> list[Report]:
    from mutuals.audit.stored import verify_agreement_log, verify_store

    with open_peer() as peer, peer.store.transaction() as tx:
        if agreement is None:
            return verify_store(tx, peer)
        return [verify_agreement_log(tx, peer, _digest(tx, agreement))]


def _verify_bundles(bundles: list[Path], cards: list[Path]) -> list[Report]:
    from mutuals.audit.bundle import verify_bundles

    return verify_bundles([_read(path) for path in bundles], [_card(path) for path in cards])


def _card(path: Path) -> SignedCard:
    from mutuals.identity.cards import parse_card

    return parse_card(_read(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MutualsError(ErrorCode.USAGE, f"{path} cannot be read: {error.strerror}.") from error


def _tell(report: Report) -> None:
    from rich.text import Text

    say(
        Text(
            f"{report.name}{f', the log of {report.whose}' if report.whose else ''}: "
            f"{'sound' if report.sound else 'NOT SOUND'}",
            "bold" if report.sound else "bold red",
        )
    )
    if report.right:
        say(_plain("  right: " + ", ".join(_right(what, count) for what, count in report.right.items())))
    for problem in report.problems:
        say(Text(f"  wrong: {problem}", "red"))
    for sentence in report.unchecked:
        say(_plain(f"  not checked: {sentence}"))


def _right(what: str, count: int) -> str:
    """``1 head in agreements' logs``, ``2 heads in agreements' logs``: ``what`` is written for several."""
    return counted(count, _ONE_OF.get(what, what), what)


_ONE_OF = {
    "entries": "entry",
    "heads in agreements' logs": "head in agreements' logs",
    "remembered checkpoints": "remembered checkpoint",
    "runs with one transcript": "run with one transcript",
    "own checkpoints": "own checkpoint",
    "cosignatures of the partner": "cosignature of the partner",
    "checkpoints of the partner's log": "checkpoint of the partner's log",
    "operators' signatures": "operator's signature",
    "statements over the agreement": "statement over the agreement",
    "faults cleared by an operator": "fault cleared by an operator",
    "consistency proofs": "consistency proof",
}


def _entry_facts(row: LogRow) -> dict[str, Any]:
    """An entry for a reader; ``signed`` is whether the operator's signature is right, nothing where there is none."""
    from mutuals.identity.acts import verify_act

    facts = {name: value for name, value in row.body.items() if name not in ("act", "act_signature")}
    operator, signed = facts.get("operator") or facts.get("by"), None
    if "act" in row.body:
        try:
            act = verify_act(str(row.body["act"]).encode(), bytes.fromhex(str(row.body.get("act_signature"))))
            operator, signed = act.operator, True
        except ValueError:
            signed = False
    return {
        "seq": row.seq,
        "at": row.at.isoformat(),
        "agreement": row.agreement,
        "event": row.event,
        "operator": str(operator) if operator else None,
        "signed": signed,
        "facts": facts,
    }


def _what(event: str, facts: dict[str, Any]) -> str:
    shown = [
        f"{name.replace('_', ' ')} {_clean(value)}"
        for name, value in facts.items()
        if isinstance(value, str | int) and name not in ("sid", "th", "root", "known", "operator", "by")
    ]
    return f"{event.replace('.', ' ').replace('_', ' ')}" + (f" ({', '.join(shown)})" if shown else "")


def _clean(value: str | int) -> str:
    text = "".join(one if one.isprintable() else " " for one in str(value))
    if len(text) == 64 and all(one in "0123456789abcdef" for one in text):
        return f"{text[:8]}…"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)

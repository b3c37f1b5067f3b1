"""``mutuals policy``: the company's own rules about its data, written, approved, shown and asked."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted
from mutuals_client.commands.policy_check import check
from mutuals_client.console import (
    Command,
    OperatorCommand,
    confirm,
    open_peer,
    result,
    say,
    table,
)
from mutuals_client.next_steps import say_next, setup_steps

if TYPE_CHECKING:
    from mutuals.models.policy import Policy
    from mutuals.peer import Peer
    from mutuals.store.rows import PolicyRow

FILE_NAME = "policy.toml"


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True, help="Who owns which data here, and who may view, export and share it."
    )
    group.command("init", cls=Command)(init)
    group.command("approve", cls=OperatorCommand)(approve)
    group.command("show", cls=Command)(show)
    group.command("check", cls=Command)(check)
    app.add_typer(group, name="policy")


def init(
    out: Path | None = typer.Option(
        None, "--out", metavar="FILE", help="Write it there. [default: policy.toml in the home folder]"
    ),
    force: bool = typer.Option(False, "--force", help="Overwrite the file if it exists."),
) -> None:
    """Write a first policy.toml, from the fields of your sources and who has access today.

    On a terminal it asks; elsewhere, or with --yes, it takes what it proposes, and leaves blanks where only you know.
    Example: mutuals policy init
    """
    from rich.text import Text

    from mutuals.agreement.access_today import (
        access_today,
        all_departments,
        own_headings,
        reading_departments,
    )
    from mutuals.identity.files import is_there, write_private
    from mutuals.policy.template import policy_toml
    from mutuals_client.policy_walk import walk

    with open_peer() as peer:
        path = out or peer.home.root / FILE_NAME
        if is_there(path) and not force:
            raise MutualsError(
                ErrorCode.USAGE,
                f"{path} exists already.",
                hint="Edit it, or overwrite it with --force.",
            )
        headings = own_headings(peer)
        with peer.store.transaction() as tx:
            today = access_today(tx)
            departments = all_departments(tx)
            readers = reading_departments(tx)
        if headings:
            table(
                "The fields of your sources",
                ("Source", "Fields"),
                [(name, ", ".join(fields)) for name, fields in headings.items()],
            )
        say("", "[bold]Who has access today[/]", *(Text(f"  {line}") for line in today), "")
        draft = walk(peer.name, headings, departments, readers, today)
    text = policy_toml(draft)
    try:
        write_private(path, text.encode())
    except OSError as error:
        raise MutualsError(ErrorCode.LOCAL, f"{path} cannot be written: {error.strerror}.") from error
    blanks = text.count('"<')
    todo = f"Open it in an editor and fill in its {counted(blanks, '<blank>')}." if blanks else ""
    say(Text(f"Wrote {path}. {todo}".rstrip()))
    given = f" {quote(str(out))}" if out else ""
    say_next(
        *([] if out else [("mutuals policy check", "see whether it fits your fields and people")]),
        (f"mutuals policy approve{given}", "put it in force"),
    )
    result(
        file=str(path),
        headings={name: list(fields) for name, fields in headings.items()},
        access_today=list(today),
        categories={category.name: list(category.fields) for category in draft.categories},
    )


def approve(
    file: Path | None = typer.Argument(
        None, metavar="[FILE]", help="The policy. [default: policy.toml in the home folder]"
    ),
    dry_run: bool = typer.Option(False, "-n", "--dry-run", help="Show what would change; sign nothing."),
) -> None:
    """Sign a policy as the next version and put it in force; an admin or privacy officer does this.

    Shows what changes first. Where the policy in force asks for four eyes a second operator approves the same file.
    Example: mutuals policy approve
    """
    from rich.text import Text

    from mutuals.policy.approval import approve_policy, refuse_unsatisfiable
    from mutuals.policy.changes import changes
    from mutuals.policy.current import current_policy
    from mutuals.policy.four_eyes import POLICY_ROLES, waiting
    from mutuals_client.session import require_acting, unlock_operator

    with open_peer() as peer:
        if not dry_run:
            require_acting(peer, POLICY_ROLES, "approve a policy")
        policy = read_policy(peer, file)
        with peer.store.transaction() as tx:
            current = current_policy(tx)
            refuse_unsatisfiable(tx, policy.four_eyes)
        found = changes(current, policy)
        say(
            f"[bold]Version {policy.version}[/] of the policy"
            + (f" changes version {current.version}:" if current else ", the first one:"),
            *(Text(f"  {change}") for change in (found if current else ())),
        )
        if current is None:
            _print(policy, None)
        facts: dict[str, Any] = {
            "version": policy.version,
            "changes": [
                {"key": change.key, "before": change.before, "after": change.after}
                for change in (found if current else ())
            ],
        }
        if dry_run:
            say("Nothing was signed.")
            result(**facts, dry_run=True)
            return
        if not confirm("Approve this and put it in force?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was signed.")
        keys = unlock_operator(peer, roles=POLICY_ROLES, act="approve a policy")
        with peer.store.transaction() as tx:
            approval = approve_policy(tx, policy, keys, peer.clock())
        following = setup_steps(peer)
    if not approval.in_force:
        raise waiting("policy", approval.operators, "mutuals policy approve")
    say(
        f"Version {approval.version} of the policy is in force. Every other operator is told at their next command."
    )
    say_next(*following)
    result(**facts, digest=approval.digest, operators=list(approval.operators), in_force=True)


def show(
    version: int | None = typer.Option(None, "--version", metavar="N", help="An earlier version."),
    draft: bool = typer.Option(
        False, "--draft", help="The policy.toml of the home folder, not yet approved."
    ),
    markdown: Path | None = typer.Option(None, metavar="FILE", help="Write it there as Markdown."),
    html: Path | None = typer.Option(None, metavar="FILE", help="Write it there as a page."),
) -> None:
    """Show the policy as your colleagues can read it: what the software enforces, and what people must see to.

    Example: mutuals policy show --html policy.html
    """
    from mutuals.agreement.blocks import to_markdown
    from mutuals.agreement.html import to_html
    from mutuals.agreement.policy_text import describe_policy

    with open_peer() as peer:
        policy, row = (read_policy(peer, None), None) if draft else _approved(peer, version)
        with peer.store.transaction() as tx:
            versions = [held.version for held in tx.policies.list()]
    blocks = describe_policy(policy, row)
    for path, render in ((markdown, to_markdown), (html, to_html)):
        if path is not None:
            _write(path, render(policy.title, blocks))
            say(f"Wrote {path}.")
    if markdown is None and html is None:
        _print(policy, row)
    result(
        version=policy.version,
        digest=row.digest if row else None,
        approved_by=row.operator if row else None,
        approved_at=row.approved_at.isoformat() if row else None,
        versions=versions,
        policy=policy.model_dump(mode="json"),
    )


def read_policy(peer: Peer, file: Path | None) -> Policy:
    """The policy in ``file``, or in the home's policy.toml, as the next version.

    Raises MutualsError: USAGE where there is no such file, INPUT_QUALITY naming each problem.
    """
    from mutuals.policy.approval import next_version
    from mutuals.policy.draft import parse_policy_toml

    path = file or peer.home.root / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MutualsError(
            ErrorCode.USAGE, f"There is no file {path}.", hint="Start from a first one: mutuals policy init"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise MutualsError(ErrorCode.USAGE, f"{path} cannot be read as text.") from error
    with peer.store.transaction() as tx:
        version = next_version(tx)
    return parse_policy_toml(text, version=version, file=str(path))


def _approved(peer: Peer, version: int | None) -> tuple[Policy, PolicyRow]:
    from mutuals.policy.current import verify_policy

    with peer.store.transaction() as tx:
        rows = tx.policies.list()
        row = next((held for held in reversed(rows) if version in (None, held.version)), None)
        if row is None:
            known = ", ".join(str(held.version) for held in rows)
            raise MutualsError(
                ErrorCode.USAGE,
                f"There is no version {version} of the policy." if rows else "No policy was approved yet.",
                hint=f"There are: {known}." if rows else "Write one: mutuals policy init",
            )
        return verify_policy(tx, row), row


def _print(policy: Policy, row: PolicyRow | None) -> None:
    from mutuals.agreement.blocks import to_terminal
    from mutuals.agreement.policy_text import describe_policy

    say(to_terminal(policy.title, describe_policy(policy, row)))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MutualsError(ErrorCode.LOCAL, f"{path} cannot be written: {error.strerror}.") from error

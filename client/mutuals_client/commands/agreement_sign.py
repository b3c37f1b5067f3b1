"""``mutuals agreement propose``, ``accept``, ``amend``, ``counter`` and ``sign``: an agreement gets its signatures."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.commands.agreement_diff import say_changes
from mutuals_client.commands.agreement_show import read_draft, say_about_card
from mutuals_client.commands.agreement_signed import Then, finish, partner_of, proposal_of
from mutuals_client.console import OperatorCommand, confirm, open_peer, say
from mutuals_client.next_steps import naming
from mutuals_client.rehearsal import rehearse_signing

if TYPE_CHECKING:
    from mutuals.identity.operators import OperatorKeys
    from mutuals.models.agreement import Agreement
    from mutuals.peer import Peer
    from mutuals.store.rows import AgreementRow, PartnerRow

ID = typer.Argument(..., metavar="ID", help="The agreement's id or digest, or its beginning.")
FILE = typer.Argument(..., metavar="FILE", help="The filled-in draft.")
SOURCE = typer.Option(..., metavar="NAME", help="Your source that takes part.")
SAME_SOURCE = typer.Option(None, metavar="NAME", help="Your source. [default: as before, columns too]")
MAP = typer.Option(
    [],
    "--map",
    metavar="FIELD=HEADING",
    help="A field you send, and its column where the name differs; repeatable.",
)
DRY_RUN = typer.Option(
    False, "-n", "--dry-run", help="Check and show it, and who would sign what; sign and send nothing."
)
NO_DECISION = "Nothing was signed or sent."


def register(group: typer.Typer) -> None:
    """Add the commands to the group ``agreement``."""
    for name, command in (
        ("propose", propose),
        ("accept", accept),
        ("counter", counter),
        ("amend", amend),
        ("sign", sign),
    ):
        group.command(name, cls=OperatorCommand)(command)


def propose(
    file: Path = FILE,
    partner: str = typer.Option(..., "--with", metavar="PARTNER", help="The partner to propose it to."),
    source: str = SOURCE,
    mapping: list[str] = MAP,
    dry_run: bool = DRY_RUN,
) -> None:
    """Sign an agreement and send it to the partner, at once or when it next connects.

    Example: mutuals agreement propose globex.toml --with globex --source crm
    """
    from mutuals.identity.partners import find_partner
    from mutuals.runs.signing import propose_agreement

    columns = _mapping(mapping)
    with open_peer() as peer:
        with peer.store.transaction() as tx:
            row = find_partner(tx, partner)
        agreement = _drafted(peer, row, file)
        with naming(_names(str(file), source, mapping)):
            _show_drafted(peer, agreement, source, columns)
        if dry_run:
            rehearse_signing(peer, row, agreement, ["proposal"])
            return
        keys = _decide(peer, row, agreement, "Sign this and propose it to")
        made = propose_agreement(peer, agreement, source, columns, keys)
        finish(peer, made, row, "proposed to", Then.ANSWER)


def amend(
    reference: str = ID,
    file: Path = FILE,
    source: str | None = SAME_SOURCE,
    mapping: list[str] = MAP,
    dry_run: bool = DRY_RUN,
) -> None:
    """Propose the next version of an agreement in force; it takes the place of this one when both have signed.

    Start from what there is: mutuals agreement draft --from A-7Q3K2M9X --out next.toml
    Example: mutuals agreement amend A-7Q3K2M9X next.toml
    """
    from mutuals.agreement.active import find_agreement, verify_stored
    from mutuals.runs.signing import propose_agreement

    with open_peer() as peer:
        with peer.store.transaction() as tx:
            old = find_agreement(tx, reference)
            earlier = verify_stored(old)
        partner = partner_of(peer, old)
        agreement = _drafted(peer, partner, file)
        if agreement.replaces != old.digest:
            raise MutualsError(
                ErrorCode.USAGE,
                f"{file} does not say that it replaces {old.agreement_id}.",
                hint=f"Write at its top: version = {earlier.version + 1} and on the next line "
                f'replaces = "{old.digest}"; mutuals agreement draft --from {old.agreement_id} does it for you.',
            )
        source, columns = _same_source(old, agreement, source, mapping)
        with naming(_names(str(file), source, mapping)):
            _show_drafted(peer, agreement, source, columns, compared=old)
        if dry_run:
            rehearse_signing(peer, partner, agreement, ["proposal"])
            return
        keys = _decide(peer, partner, agreement, "Sign this version and propose it to")
        made = propose_agreement(peer, agreement, source, columns, keys)
        finish(peer, made, partner, "amends the agreement with", Then.ANSWER)


def counter(
    reference: str = ID,
    file: Path = FILE,
    source: str = SOURCE,
    mapping: list[str] = MAP,
    reason: str | None = typer.Option(None, metavar="TEXT", help="Why; your partner will read it."),
    dry_run: bool = DRY_RUN,
) -> None:
    """Turn a partner's proposal down and propose another in its place.

    Start from what there is: mutuals agreement draft --from A-7Q3K2M9X --out ours.toml
    Example: mutuals agreement counter A-7Q3K2M9X ours.toml --source crm
    """
    from mutuals.agreement.lifecycle import refuse_accepted
    from mutuals.runs.signing import counter as sign_counter

    columns = _mapping(mapping)
    with open_peer() as peer:
        row, _, partner = proposal_of(peer, reference)
        refuse_accepted(row)
        agreement = _drafted(peer, partner, file)
        if agreement.replaces != row.replaces:
            raise MutualsError(
                ErrorCode.USAGE,
                f"{file} and {row.agreement_id} do not replace the same version.",
                hint=f"Start from it: mutuals agreement draft --from {row.agreement_id}",
            )
        with naming(_names(str(file), source, mapping)):
            _show_drafted(peer, agreement, source, columns, compared=row)
        if dry_run:
            rehearse_signing(peer, partner, agreement, ["proposal", "rejection"])
            return
        keys = _decide(peer, partner, agreement, f"Reject {row.agreement_id}, and sign and propose this to")
        made = sign_counter(peer, row.digest, agreement, source, columns, keys, reason=reason)
        finish(peer, made, partner, f"is proposed in place of {row.agreement_id} to", Then.ANSWER)


def accept(
    reference: str = ID, source: str = SOURCE, mapping: list[str] = MAP, dry_run: bool = DRY_RUN
) -> None:
    """Accept a partner's proposal: read it again, bind your source, sign.

    Example: mutuals agreement accept A-7Q3K2M9X --source crm --map city=Town
    """
    from mutuals.agreement.active import check_not_over
    from mutuals.agreement.binding import check_available
    from mutuals.agreement.proposal_checks import refuse_misnamed
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals.runs.signing import accept_agreement
    from mutuals_client.session import unlock_operator

    columns = _mapping(mapping)
    with open_peer() as peer:
        row, agreement, partner = proposal_of(peer, reference)
        check_not_over(row.agreement_id, agreement, peer.clock())
        check_available(agreement)
        refuse_misnamed(row.agreement_id, agreement, peer.card.card, partner)
        _require_signatory(peer, agreement)
        with naming(_names(row.agreement_id, source, mapping)):
            assessment = _check_acceptable(peer, row, agreement, source, columns)
        _show_for_decision(peer, row, agreement, partner)
        if dry_run:
            rehearse_signing(peer, partner, agreement, ["acceptance"], row, assessment)
            return
        if not confirm(_question("Sign this agreement with", partner.name, agreement)):
            raise MutualsError(ErrorCode.USAGE, "Nothing was signed.")
        keys = unlock_operator(peer, roles=SIGN_ROLES, act="sign agreements")
        made = accept_agreement(peer, row.digest, source, columns, keys)
        finish(peer, made, partner, "is {state} with", Then.MATCH)


def sign(reference: str = ID, dry_run: bool = DRY_RUN) -> None:
    """Sign as the second operator what another of yours has signed, where your policy asks for four eyes.

    Example: mutuals agreement sign A-7Q3K2M9X --operator bert
    """
    from mutuals.agreement.active import verify_stored
    from mutuals.agreement.assessed import require_assessment
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals.models.agreement import Side
    from mutuals.runs.signing import half_signed, sign_second
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        row, source = half_signed(peer, reference)
        agreement = verify_stored(row)
        partner = partner_of(peer, row)
        _show_for_decision(peer, row, agreement, partner)
        with peer.store.transaction() as tx:
            assessment = require_assessment(tx, agreement, peer.clock(), source=source, mapping=row.mapping)
        if dry_run:
            kind = "proposal" if row.own_side is Side.PROPOSER else "acceptance"
            rehearse_signing(peer, partner, agreement, [kind], row, assessment)
            return
        if not confirm(_question("Sign this as the second operator, with", partner.name, agreement)):
            raise MutualsError(ErrorCode.USAGE, NO_DECISION)
        keys = unlock_operator(peer, roles=SIGN_ROLES, act="sign agreements")
        made = sign_second(peer, row.digest, keys)
        following = Then.ANSWER if row.own_side is Side.PROPOSER else Then.MATCH
        finish(peer, made, partner, "is {state} with", following)


def _drafted(peer: Peer, partner: PartnerRow, file: Path) -> Agreement:
    from mutuals.agreement.draft import parse_draft
    from mutuals.identity.partners import partner_card

    return parse_draft(read_draft(file), peer.card.card, partner_card(partner), file=str(file))


def _same_source(
    old: AgreementRow, agreement: Agreement, source: str | None, pairs: list[str]
) -> tuple[str, dict[str, str]]:
    """The source and columns of the version before, save what was given."""
    columns = _mapping(pairs)
    if source is not None:
        return source, columns
    if old.source is None:
        raise MutualsError(
            ErrorCode.USAGE, "No source is bound to the version before; name one with --source."
        )
    sent = {field.name for field in agreement.proposer_sends}  # whoever drafts is the proposer
    return old.source, {key: value for key, value in old.mapping.items() if key in sent} | columns


def _show_drafted(
    peer: Peer,
    agreement: Agreement,
    source: str,
    columns: dict[str, str],
    *,
    compared: AgreementRow | None = None,
) -> None:
    """Check who signs and what can be checked of a draft, and show it."""
    from mutuals.agreement.render import render_terminal

    _require_signatory(peer, agreement)
    _check_proposable(peer, agreement, source, columns)
    say(render_terminal(agreement), "")
    if compared is not None:
        say_changes(compared, agreement)


def _decide(peer: Peer, partner: PartnerRow, agreement: Agreement, start: str) -> OperatorKeys:
    """Ask, and unlock who signs."""
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals_client.session import unlock_operator

    if not confirm(_question(start, partner.name, agreement)):
        raise MutualsError(ErrorCode.USAGE, NO_DECISION)
    return unlock_operator(peer, roles=SIGN_ROLES, act="sign agreements")


def _check_proposable(peer: Peer, agreement: Agreement, source: str, columns: dict[str, str]) -> None:
    """Say what is wrong before a person reads and signs."""
    from mutuals.agreement.active import check_not_over
    from mutuals.agreement.amendment import amended
    from mutuals.agreement.assessed import require_assessment
    from mutuals.agreement.binding import bind_source, check_available
    from mutuals.agreement.proposal_checks import refuse_repeated
    from mutuals.models.agreement import Side

    partner = agreement.party(Side.PARTNER).fingerprint
    with peer.store.transaction() as tx:
        refuse_repeated(tx, agreement)
        amended(tx, agreement, partner, peer.clock())
    check_not_over(f"“{agreement.title}”", agreement, peer.clock())
    check_available(agreement)
    mapping = bind_source(peer, agreement, Side.PROPOSER, source, columns)
    with peer.store.transaction() as tx:
        require_assessment(tx, agreement, peer.clock(), source=source, mapping=mapping)


def _check_acceptable(
    peer: Peer, row: AgreementRow, agreement: Agreement, source: str, columns: dict[str, str]
) -> str:
    """Say what is wrong before a person is asked for a passphrase; the digest of the own risk assessment."""
    from mutuals.agreement.amendment import amended
    from mutuals.agreement.assessed import require_assessment
    from mutuals.agreement.binding import bind_source
    from mutuals.models.agreement import AgreementState, Side

    mapping = bind_source(peer, agreement, Side.PARTNER, source, columns)
    with peer.store.transaction() as tx:
        if row.state is AgreementState.PROPOSED:
            amended(tx, agreement, row.partner, peer.clock())
        return require_assessment(tx, agreement, peer.clock(), source=source, mapping=mapping)


def _show_for_decision(peer: Peer, row: AgreementRow, agreement: Agreement, partner: PartnerRow) -> None:
    from mutuals.agreement.diff import base_of
    from mutuals.agreement.render import local_view, render_terminal
    from mutuals.identity.partners import partner_card

    _require_signatory(peer, agreement)
    with peer.store.transaction() as tx:
        view = local_view(tx, row, agreement, peer.clock())
        compared = base_of(tx, row)
    say(render_terminal(agreement, view), "")
    if compared is not None:
        say_changes(compared, agreement)
    say_about_card(partner_card(partner), partner.fingerprint)


def _require_signatory(peer: Peer, agreement: Agreement) -> None:
    """Raise MutualsError (NOT_ENTITLED) where the acting operator may not sign it; before anything is shown."""
    from mutuals.agreement.signing import mandated_acts, signing_roles
    from mutuals_client.session import require_acting

    mandate = " with a standing mandate" if mandated_acts(agreement) else ""
    require_acting(
        peer, signing_roles(agreement), f"sign an agreement{mandate}" if mandate else "sign agreements"
    )


def _question(start: str, partner: str, agreement: Agreement) -> str:
    from mutuals.agreement.lifecycle import mandated_acts

    acts = mandated_acts(agreement)
    mandate = f", and permit every {' and '.join(acts)} under it in advance" if acts else ""
    return f"{start} {partner}{mandate}?"


def _names(reference: str, source: str | None, pairs: list[str]) -> dict[str, str]:
    """The placeholders in hints on the risk assessment, and what this command line has for them."""
    named = "".join(f" --source {quote(name)}" for name in [source] if name)
    mapped = "".join(f" --map {quote(pair)}" for pair in pairs)
    return {
        "FILE-OR-ID": quote(reference),
        " --source NAME": f"{named or ' --source NAME'}{mapped}",
        " --map ...": f"{named}{mapped}",
    }


def _mapping(pairs: list[str]) -> dict[str, str]:
    """``--map city=Town`` as a dictionary. Raises MutualsError (USAGE)."""
    columns: dict[str, str] = {}
    for pair in pairs:
        name, equals, heading = pair.partition("=")
        if not equals or not name.strip() or not heading.strip() or name.strip() in columns:
            raise MutualsError(
                ErrorCode.USAGE,
                "--map takes FIELD=HEADING, each field once.",
                hint='For example: --map city="Town or city"',
            )
        columns[name.strip()] = heading.strip()
    return columns

"""The report on a run as one HTML page without a network, a script or a contact's data.

html = report_page(report)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from mutuals import __version__
from mutuals.agreement.document import agreement_id
from mutuals.agreement.page import page, text
from mutuals.models.run import RunState
from mutuals.wording import counted
from mutuals_client.report_figures import Sets, venn_svg
from mutuals_client.report_parts import Row, bars, plain_table
from mutuals_client.report_style import STYLE
from mutuals_client.report_words import event_words, percent, state_sentence, what_each_learned
from mutuals_client.source_report import REASONS

if TYPE_CHECKING:
    from mutuals.models.statistics import RunStatistics
    from mutuals.runs.report import RunReport

_GOOD = frozenset({RunState.DONE, RunState.COUNT_ONLY})
_BAD = frozenset(
    {
        RunState.FAILED,
        RunState.HALF_REVEALED,
        RunState.STALE,
        RunState.EXPIRED,
        RunState.BELOW_THRESHOLD,
    }
)
_KIB = 1024
_MINUTE = 60


def report_page(report: RunReport) -> str:
    """The whole page. Whatever either company wrote stays text."""
    title = f"Run {report.run.run_id}: {report.own} and {report.partner}"
    body = "\n".join(part for section in _sections(report) for part in section)
    return page(title, body, style=STYLE)


def _sections(report: RunReport) -> Iterator[Iterator[str]]:
    yield _head(report)
    if report.counted:
        yield _overlap(report)
    statistics = report.statistics
    if statistics is not None:
        if statistics.pairs is not None:
            yield _by_type(report, statistics)
        yield _who_took_part(report, statistics)
    yield _moved(report)
    yield _learned(report)
    if statistics is not None and statistics.efforts:
        yield _timing(statistics)
    yield _references(report)
    yield _foot(report)


def _head(report: RunReport) -> Iterator[str]:
    run = report.run
    kind = "yes" if run.state in _GOOD else "no" if run.state in _BAD else "open"
    yield '<header><p class="over">Report on a run of mutuals</p>'
    yield f"<h1>{text(report.own)} and {text(report.partner)}</h1>"
    yield (
        f'<p class="quiet">Run {text(run.run_id)}, opened {_day(run.opened_at)}, under agreement '
        f"{text(agreement_id(run.agreement))}, “{text(report.agreement.title)}”</p>"
    )
    yield (
        f'<p class="state"><span class="mark {kind}">{text(run.state.value.replace("_", " "))}</span> '
        f"{text(state_sentence(report))}</p>"
    )
    if run.reason:
        yield f'<p class="quiet">Recorded reason: {text(run.reason)}</p>'
    if report.waits_for:
        yield f'<p class="quiet">Waits for {text(report.waits_for)}.</p>'
    yield "</header>"


def _overlap(report: RunReport) -> Iterator[str]:
    run = report.run
    count = run.count or 0
    yield '<section><h2 class="first">The overlap</h2>'
    yield (
        f'<p class="lead">Of the {counted(report.own_identifiers, "identifier")} that {text(report.own)} put in, '
        f"<strong>{count:,}</strong> {_is(count)} also on the list of {text(report.partner)}: "
        f"<strong>{percent(report.own_rate)}</strong>.{_contacts(report)}</p>"
    )
    sets = Sets(report.own, report.partner, report.own_identifiers, run.partner_size, count)
    yield f'<div class="pair"><figure>{venn_svg(sets)}<figcaption>Areas are in true proportion.</figcaption></figure>'
    rows: list[Row] = [
        (report.own, f"{report.own_identifiers:,}", percent(report.own_rate)),
        (report.partner, f"{run.partner_size:,}", percent(report.partner_rate)),
    ]
    yield from plain_table(
        "Identifiers put in",
        ("", "Identifiers", "Of these shared"),
        rows,
        total=("In both", f"{count:,}", ""),
    )
    yield "</div>"
    if report.padded:
        yield (
            '<p class="quiet">Sizes are padded under this agreement: a partner’s announced size may exceed its list by '
            "up to a quarter, so its true rate is at least the one shown.</p>"
        )
    yield "</section>"


def _contacts(report: RunReport) -> str:
    contacts = report.run.contacts
    if contacts is None:
        return ""
    rate = (
        f", {percent(report.contact_rate)} of those that took part" if report.contact_rate is not None else ""
    )
    return (
        f" They belong to <strong>{contacts:,}</strong> {'contact' if contacts == 1 else 'contacts'}{rate}."
    )


def _by_type(report: RunReport, statistics: RunStatistics) -> Iterator[str]:
    pairs, found = statistics.pairs or {}, statistics.contacts or {}
    yield "<section><h2>By type of identifier</h2>"
    rows = [
        (
            _kind(kind),
            f"{pairs.get(kind, 0):,}",
            f"{put_in:,}",
            percent(pairs.get(kind, 0) / put_in if put_in else None),
        )
        for kind, put_in in statistics.identifiers.items()
    ]
    yield from plain_table("Shared identifiers by type", ("Type", "Shared", "Put in", "Rate"), rows)
    if found:
        yield f"<p>How the shared contacts of {text(report.own)} were found:</p>"
        yield from bars(
            "Shared contacts by what they were found by", {_found_by(k): n for k, n in found.items()}
        )
    yield "</section>"


def _who_took_part(report: RunReport, statistics: RunStatistics) -> Iterator[str]:
    left_out = sum(statistics.excluded.values())
    whole = statistics.eligible + left_out
    yield "<section><h2>Who took part, and who did not</h2>"
    yield f"<p>{text(report.own)} had {counted(whole, 'contact')} in its source. "
    yield (
        f"<strong>{statistics.eligible:,}</strong> took part, with "
        f"{counted(report.own_identifiers, 'identifier')}; {left_out:,} did not. Consent, notice and objections were "
        "checked before anything was sent"
        + (f", for the purpose “{text(report.agreement.consent.purpose)}”.</p>")
    )
    taking = {"took part": statistics.eligible}
    yield from bars("Contacts of the source", taking | _worded(statistics.excluded), first=True)
    if statistics.withheld:
        reasons = (f"{count:,} {reason}" for reason, count in _worded(statistics.withheld).items())
        yield f"<p>Identifiers of these contacts that stayed out all the same: {text(', '.join(reasons))}.</p>"
    if statistics.padding:
        dummies = counted(statistics.padding, "random dummy", "random dummies")
        yield f'<p class="quiet">{dummies} padded the announced size.</p>'
    yield "</section>"


def _moved(report: RunReport) -> Iterator[str]:
    moved = report.moved
    yield "<section><h2>What was sent and received</h2>"
    if not report.exchange_began:
        yield "<p>No record of a contact was sent or received in this run.</p></section>"
        return
    done, made = report.envelopes
    if not report.exchanged:
        yield (
            f"<p>The exchange is not complete. Of {counted(made, 'envelope')} prepared, {done:,} "
            f"{'was' if done == 1 else 'were'} acknowledged by {text(report.partner)}.</p>"
        )
    sent, came = f"{report.own} sent", f"{report.partner} sent"
    received = _listed(report.fields_promised) if report.exchanged and moved.records_received else "none"
    rows = [
        (sent, f"{moved.contacts_sent:,}", f"{moved.records_sent:,}", _listed(moved.fields_sent)),
        (came, f"{moved.contacts_received:,}", f"{moved.records_received:,}", received),
    ]
    yield from plain_table("Records exchanged", ("", "Contacts", "Records", "Fields"), rows, words=3)
    if moved.withheld:
        yield f"<p>Shared contacts that {text(report.own)} held back; {text(report.partner)} sees which, never why:</p>"
        yield from bars("Shared contacts held back", _worded(moved.withheld))
    if report.exchanged and moved.records_received:
        yield (
            f'<p class="quiet">Of {counted(moved.records_received, "record")} received, {report.held:,} '
            f"{_is(report.held)} still held at the time of this report.</p>"
        )
    if report.exports:
        files = [
            (_moment(one.at), f"{one.rows:,}", one.operator, _listed(one.fields)) for one in report.exports
        ]
        yield from plain_table(
            "Files taken out", ("Taken out as a file", "Rows", "Operator", "Fields"), files, words=2
        )
    yield "</section>"


def _learned(report: RunReport) -> Iterator[str]:
    yield '<section><h2>What each side learned</h2><div class="learned">'
    for part in what_each_learned(report):
        yield f"<div><h3>{text(part.heading)}</h3>"
        yield "".join(f"<p>{text(sentence)}</p>" for sentence in part.sentences)
        yield "</div>"
    yield "</div></section>"


def _timing(statistics: RunStatistics) -> Iterator[str]:
    yield "<section><h2>Time and volume</h2>"
    rows: list[Row] = []
    minor: set[int] = set()
    for act, effort in statistics.efforts.items():
        spent = sum(effort.seconds.values())
        rows.append((act.capitalize(), _duration(spent), _bytes(effort.sent), _bytes(effort.received)))
        minor.update(range(len(rows), len(rows) + len(effort.seconds)))
        rows += [(stage, _duration(seconds), "", "") for stage, seconds in effort.seconds.items()]
    columns = ("Step", "Time", "Sent", "Received")
    yield from plain_table("Time and volume on this side", columns, rows, minor=frozenset(minor))
    yield '<p class="quiet">Bytes of messages, without what transport and encryption add.</p></section>'


def _references(report: RunReport) -> Iterator[str]:
    run, agreement, head = report.run, report.agreement, report.head
    yield "<section><h2>Agreement and log</h2><dl>"
    facts: list[Row] = [
        ("Agreement", f"{agreement_id(run.agreement)}, “{agreement.title}”, {report.agreement_state.value}"),
        ("In force", f"{_day(agreement.valid_from)} to {_day(agreement.valid_until)}"),
        ("Purpose", agreement.purpose),
        ("Digest of the agreement", run.agreement),
        ("Session", run.sid.hex()),
    ]
    if run.th:
        facts.append(("Transcript both signed", run.th.hex()))
    if report.moved.preview:
        facts.append(("Preview that was sent", report.moved.preview))
    computed = f"{run.engine} ({run.backend})" if run.backend else run.engine
    facts.append(("Engine and profile", f"{computed}, {agreement.matching.profile}"))
    facts.append(("Opened by", f"{report.own if run.role.value == 'initiator' else report.partner}"))
    if head is not None:
        cosigned = f"cosigned by {report.partner}" if head.cosigned else "not cosigned yet"
        facts.append(
            (
                "Newest head of the log",
                f"{head.size:,} of {head.entries:,} entries, {_moment(head.at)}, {cosigned}",
            )
        )
        facts.append(("Its root", head.root))
    yield "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in facts)
    yield "</dl>"
    rows = [
        (f"{one.number:,}", _moment(one.at), event_words(one.event), ", ".join(one.operators))
        for one in report.milestones
    ]
    yield from plain_table(
        "Entries about this run in the agreement’s log", ("No.", "When", "What", "Who"), rows, words=1
    )
    yield "</section>"


def _foot(report: RunReport) -> Iterator[str]:
    yield (
        "<footer><p><strong>This page holds no contact’s data:</strong> no name, address, number or id of a contact, "
        "nor a hash of one. It has counts, dates, and the names of companies and operators.</p>"
        f"<p>Made on {_moment(report.made_at)} at {text(report.own)} by mutuals {text(__version__)} from its own "
        "records. It is one side’s account; the log that both sides sign is checked with "
        f"<code>mutuals audit verify {text(agreement_id(report.run.agreement))}</code>.</p></footer>"
    )


def _worded(counts: Mapping[str, int]) -> dict[str, int]:
    """Reasons in words, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {REASONS.get(reason, reason.replace("_", " ")): count for reason, count in ordered}


def _kind(kind: str) -> str:
    return {"email": "E-mail address", "phone": "Phone number"}.get(kind, kind)


def _found_by(kinds: str) -> str:
    names = [{"email": "e-mail", "phone": "phone"}.get(kind, kind) for kind in kinds.split("+")]
    return f"by {names[0]} alone" if len(names) == 1 else f"by {' and '.join(names)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _day(at: date) -> str:
    at = at.astimezone(UTC) if isinstance(at, datetime) else at
    return f"{at.day} {at:%B %Y}"


def _moment(at: datetime) -> str:
    return f"{_day(at)}, {at.astimezone(UTC):%H:%M} UTC"


def _duration(seconds: float) -> str:
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _bytes(size: int) -> str:
    if size < _KIB:
        return f"{size} bytes"
    value, units = size / _KIB, ["KiB", "MiB", "GiB", "TiB"]
    while value >= _KIB and len(units) > 1:
        value, units = value / _KIB, units[1:]
    return f"{value:.1f} {units[0]}"

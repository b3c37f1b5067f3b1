"""What a CRM exported and a partner answered goes back into that CRM under its own ids and headings, untouched."""

from __future__ import annotations

import csv
import errno
import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pairing import PASSPHRASE, PURPOSE, Company, Pair, contact
from support.policies import approve, category
from support.revealed import Snapshot, reveal_once

from mutuals.consent.decision import decide
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import verify_act
from mutuals.identity.home import Kdf
from mutuals.identity.operators import OperatorKeys, create_operator, unlock
from mutuals.obligations.revoke import carry_out, plan_revocation
from mutuals.runs import whole_file
from mutuals.runs.campaign import default_heading, shape_campaign
from mutuals.runs.export import open_received, write_export
from mutuals.runs.export_approval import approve_export
from mutuals.runs.handover import take_on
from mutuals.runs.tables import Style, disarm, write_table
from mutuals.runs.transforms import Column
from mutuals.sources import SourceDefinition, read_source
from mutuals.sources.consent_decision import with_decision
from mutuals.sources.detect import Wishes, understand
from mutuals.sources.mapping import ConsentDecision, ConsentGrant
from mutuals.store.rows import SourceRow

EXPORTS = Path(__file__).parents[1] / "data" / "exports"
SAYS_YES = {
    "hubspot.csv": ("Legal basis for processing contact's data", "Freely given consent from contact"),
    "salesforce-api.csv": ("Data_Sharing_Consent__c", "yes"),
    "salesforce-report.csv": ("Data Sharing Consent", "YES"),
    "dynamics365.xlsx": ("Sharing", "Yes"),
    "zoho.csv": ("Data Processing Basis", "Consent - Obtained"),
    "pipedrive.csv": ("Person - Sharing", "Yes"),
    "generic.txt": ("Datenweitergabe", "Ja"),
}
HEADINGS = {
    "hubspot.csv": "Record ID",
    "salesforce-api.csv": "Id",
    "salesforce-report.csv": "Contact ID",
    "dynamics365.xlsx": "(Do Not Modify) Contact",
    "zoho.csv": "Record Id",
    "pipedrive.csv": "Person - ID",
}
FIELD = "Right SA: city"
SAID = ("=1+1", '0049, "Ost";=cmd', "Zeile\n=2", "+49 30 901820", "🎉", "007", "-@x", "plain")
ELIGIBLE = (0, 3, 5, 6)
"""Ann, Dora, Flo and Gül: Ben objects, Carl and Ed did not say yes."""


def understood(name: str) -> SourceDefinition:
    definition = SourceDefinition(name="crm", path=str(EXPORTS / name), format="csv")
    return understand(definition, Wishes()).definition


def own_ids(name: str) -> list[str]:
    ids: list[str] = read_source(understood(name)).frame["contact_id"].to_list()
    return ids


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """All contacts of all CRMs were shared; the partner sent ``city``."""
    ids = [own for name in SAYS_YES for own in own_ids(name)]
    left = [contact(own, f"p{number}@example.com") for number, own in enumerate(ids)]
    right = [
        contact(f"R{number}", f"p{number}@example.com", city=SAID[number % len(SAID)])
        for number in range(len(ids))
    ]
    sends = ({"name": "city", "departments": ("marketing",), "retention_days": 60},)
    root = tmp_path_factory.mktemp("pair")
    made = reveal_once(root / "revealed", left, right, partner_sends=sends)
    return made.exchanged(root / "done")


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path / "homes") as pair:
        yield pair


def reads(company: Company, name: str, path: Path | None = None) -> SourceDefinition:
    """Have the company's source be this export, with a decision on consent."""
    column, value = SAYS_YES[name]
    day = company.clock().date() - timedelta(days=30)
    grant = ConsentGrant(purpose=PURPOSE, column=column, values=(value,), given_on=day)
    definition = with_decision(understood(name), ConsentDecision(grants=(grant,), notified_on=day))
    if path is not None:
        definition = definition.model_copy(update={"path": str(path)})
    with company.peer.store.transaction() as tx:
        tx.sources.put(SourceRow("crm", definition.model_dump_json(), company.clock()))
        return decide(tx, definition, company.keys, company.clock())


def write(
    company: Company, run_id: str, path: Path, keys: OperatorKeys | None = None, **options: Any
) -> dict[str, Any]:
    """Export; what was left out and what was guarded."""
    operator = keys or company.keys
    received = open_received(company.peer, run_id, operator)
    shaping = {name: options.pop(name) for name in ("own", "headings", "onto_own") if name in options}
    shape = shape_campaign(company.peer, received, operator, **shaping)
    guarded = write_export(company.peer, received, path, operator, shape=shape, **options)
    return {"withheld": received.withheld, "guarded": guarded, "shape": shape}


def refused(code: ErrorCode, act: Callable[..., Any], *arguments: Any, **options: Any) -> MutualsError:
    with pytest.raises(MutualsError) as caught:
        act(*arguments, **options)
    assert caught.value.code is code, caught.value.message
    assert caught.value.hint
    return caught.value


def rows_of(path: Path, delimiter: str = ",") -> list[list[str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.reader(stream, delimiter=delimiter, strict=True))


@pytest.mark.parametrize("name", SAYS_YES)
def test_what_a_crm_exported_goes_back_under_its_own_ids_and_headings(
    pair: Pair, snapshot: Snapshot, tmp_path: Path, name: str
) -> None:
    definition = reads(pair.left, name)
    assert definition.mapping is not None
    email = definition.mapping.emails[0]
    out = tmp_path / "campaign.csv"
    found = write(pair.left, snapshot.run_id, out, own=[email], raw=True)
    heading, *rows = rows_of(out, definition.delimiter if name in {"pipedrive.csv", "generic.txt"} else ",")
    assert heading[0] == HEADINGS.get(name, definition.mapping.contact_id)
    assert heading[-2:] == [email, FIELD]
    everybody = own_ids(name)
    first = [own for other in SAYS_YES for own in own_ids(other)].index(everybody[0])
    mails = ["ann", "ben", "carl", "dora", "ed", "flo", "guel"]
    assert sorted((row[0], row[-2], row[-1]) for row in rows) == sorted(
        (everybody[number], f"{mails[number]}@example.com", SAID[(first + number) % len(SAID)])
        for number in ELIGIBLE
    )
    others = 7 * (len(SAYS_YES) - 1)
    assert found["withheld"] == {"no_consent": 2, "not_in_source": others, "suppressed": 1}
    mark = name in {"dynamics365.xlsx", "zoho.csv", "pipedrive.csv"}
    assert out.read_bytes().startswith(b"\xef\xbb\xbf") == mark
    if name == "dynamics365.xlsx":  # without these two Dynamics takes no row back
        assert heading[1:3] == ["(Do Not Modify) Row Checksum", "(Do Not Modify) Modified On"]
        assert {row[1] for row in rows} == {"abc="}


def test_a_heading_of_the_crm_is_never_taken_silently(pair: Pair, snapshot: Snapshot, tmp_path: Path) -> None:
    reads(pair.left, "hubspot.csv")
    out = tmp_path / "out.csv"
    received = open_received(pair.left.peer, snapshot.run_id, pair.left.keys)
    arguments = (pair.left.peer, received, pair.left.keys)
    # In the file, known to be HubSpot's, and written a little otherwise: HubSpot assigns all of them by itself.
    for own in ("First Name", "email", "Lifecycle Stage", "phone_number", " Contact Owner "):
        error = refused(ErrorCode.USAGE, shape_campaign, *arguments, headings={"city": own})
        assert "overwrite" in error.message
    for wrong in ({"city": " "}, {"city": "a\nb"}, {"city": "=cmd"}, {"town": "Town"}, {"city": "x" * 201}):
        refused(ErrorCode.USAGE, shape_campaign, *arguments, headings=wrong)
    for twice in ({"city": "record id"}, {"city": "Email"}):
        options = {"headings": twice, "onto_own": True, "own": ["Email"]}
        refused(ErrorCode.USAGE, shape_campaign, *arguments, **options)
    write(pair.left, snapshot.run_id, out, headings={"city": "Partner segment"})
    assert rows_of(out)[0] == ["Record ID", "Partner segment"]
    write(pair.left, snapshot.run_id, out, headings={"city": "Email"}, onto_own=True, force=True)
    assert rows_of(out)[0] == ["Record ID", "Email"]


def test_the_partners_name_is_no_formula_either() -> None:
    assert default_heading("Vélo Verde", "tier") == "Vélo Verde: tier"
    assert default_heading("=HYPERLINK()", "tier") == "'=HYPERLINK(): tier"
    assert default_heading("Acme;=cmd", "tier") == "Acme;'=cmd: tier"


def test_own_columns_are_named_as_the_source_has_them(pair: Pair, snapshot: Snapshot, tmp_path: Path) -> None:
    reads(pair.left, "hubspot.csv")
    out = tmp_path / "out.csv"
    write(pair.left, snapshot.run_id, out, own=["associated company", "First Name"])
    heading, *rows = rows_of(out)
    assert heading == ["Record ID", "Associated Company", "First Name", FIELD]
    assert {(row[1], row[2]) for row in rows} == {
        ('Müller, "Söhne" & Co', "Ann"),
        ("Multi\nline", "Dora"),
        ("Plain", "Flo"),
        ("Tab\tand; semicolon", "Gül"),
    }
    for own in (["Nothing"], ["Email", "email"], ["Record ID"]):
        refused(ErrorCode.USAGE, write, pair.left, snapshot.run_id, tmp_path / "a.csv", own=own)


def test_own_columns_leave_only_through_whom_the_policy_names(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    reads(pair.left, "hubspot.csv")
    out = tmp_path / "out.csv"
    approve(
        pair.left,
        category("contact", fields=("First Name",)),
        category("reach", fields=("Email",), export={"departments": ("sales",)}),
    )
    error = refused(
        ErrorCode.NOT_ENTITLED, write, pair.left, snapshot.run_id, out, own=["First Name", "Email"]
    )
    assert "may not export “Email”. export of category reach" in error.message
    error = refused(ErrorCode.NOT_ENTITLED, write, pair.left, snapshot.run_id, out, own=["Phone Number"])
    assert "no category" in error.message
    assert not out.exists()
    # What was allowed when it was opened must be at the moment the file appears.
    received = open_received(pair.left.peer, snapshot.run_id, pair.left.keys)
    shape = shape_campaign(pair.left.peer, received, pair.left.keys, own=["First Name"])
    approve(pair.left, category("contact", fields=("Last Name",)))
    arguments = (pair.left.peer, received, out, pair.left.keys)
    refused(ErrorCode.NOT_ENTITLED, write_export, *arguments, shape=shape)
    assert not out.exists()


def test_an_approval_covers_the_own_columns_it_names_and_no_other(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    left = pair.left
    reads(left, "hubspot.csv")
    kdf = Kdf(memory_kib=8, iterations=1)
    row = create_operator("bea", ("analyst",), "marketing", PASSPHRASE, kdf=kdf, now=left.clock())
    take_on(left.peer, row, left.keys)
    bea = unlock(row, PASSPHRASE)
    names = category("contact", fields=("First Name", "Email"))
    approve(left, names, four_eyes=("export",))
    out = tmp_path / "out.csv"
    approve_export(left.peer, snapshot.run_id, "bea", left.keys)
    error = refused(ErrorCode.NOT_AUTHORISED_YET, write, left, snapshot.run_id, out, bea, own=["Email"])
    assert "“Email”" in error.message
    assert "--own Email" in (error.hint or "")
    refused(ErrorCode.USAGE, approve_export, left.peer, snapshot.run_id, "bea", left.keys, ["Nothing"])
    refused(
        ErrorCode.NOT_ENTITLED, approve_export, left.peer, snapshot.run_id, "bea", left.keys, ["Last Name"]
    )
    approve_export(left.peer, snapshot.run_id, "bea", left.keys, ["email"])
    refused(ErrorCode.NOT_AUTHORISED_YET, write, left, snapshot.run_id, out, bea, own=["First Name"])
    assert not out.exists()
    write(left, snapshot.run_id, out, bea, own=["Email"])
    again = tmp_path / "again.csv"
    refused(ErrorCode.NOT_AUTHORISED_YET, write, left, snapshot.run_id, again, bea, own=["Email"])
    with left.peer.store.transaction() as tx:
        entry = next(e.body for e in tx.log.entries(snapshot.digest) if e.event == "run.exported")
    act = verify_act(entry["act"].encode(), bytes.fromhex(entry["act_signature"]))
    assert (act.facts["own"], act.facts["approved_by"], entry["own"]) == (["Email"], ["anna"], ["Email"])
    assert entry["delete_by"] == str((left.clock() + timedelta(days=60)).date())


def test_whoever_withdraws_while_the_records_are_open_stops_the_export(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    left = pair.left
    reads(left, "hubspot.csv")
    received = open_received(left.peer, snapshot.run_id, left.keys)
    plan = plan_revocation(left.peer, ["10001"], "withdrawal", left.keys)
    carry_out(left.peer, plan, left.keys)
    refused(ErrorCode.RUN_STATE, write_export, left.peer, received, tmp_path / "a.csv", left.keys)
    assert "10001" not in dict(open_received(left.peer, snapshot.run_id, left.keys).rows)


def test_without_the_source_nothing_is_exported(pair: Pair, snapshot: Snapshot) -> None:
    """Nobody could say who objects by now."""
    pair.left.path.unlink()
    refused(ErrorCode.INPUT_QUALITY, open_received, pair.left.peer, snapshot.run_id, pair.left.keys)


def test_parquet_says_where_it_is_from_and_until_when_it_may_be_kept(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    reads(pair.left, "zoho.csv")
    out = tmp_path / "out.parquet"
    found = write(pair.left, snapshot.run_id, out, own=["First Name"])
    assert found["guarded"] == 0
    frame = pl.read_parquet(out)
    assert frame.schema == {"Record Id": pl.String, "First Name": pl.String, FIELD: pl.String}
    assert set(frame["Record Id"]) == {own_ids("zoho.csv")[number] for number in ELIGIBLE}
    facts = {name: value for name, value in pl.read_parquet_metadata(out).items() if "mutuals" in name}
    with pair.left.peer.store.transaction() as tx:
        (agreement,) = tx.agreements.list()
    assert facts == {
        "mutuals.agreement": agreement.agreement_id,
        "mutuals.run": snapshot.run_id,
        "mutuals.purpose": "Each party for its own part.",
        "mutuals.delete_by": str((pair.left.clock() + timedelta(days=60)).date()),
    }
    with pair.left.peer.store.transaction() as tx:
        (export,) = tx.exports.list(snapshot.run_id)
    assert (export.file, export.fields) == (str(out), ("city",))  # own columns are nobody else's business


# --- the file ---

TEXT = st.lists(st.sampled_from([*"=+-@,;\t\r\n\"' 0a🎉é＝", "cmd|", "007"]), max_size=9).map("".join)
OWN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(TEXT, min_size=1, max_size=4), own=OWN, delimiter=st.sampled_from(",;\t"))
def test_every_value_comes_back_as_it_was_and_none_is_a_formula(
    tmp_path_factory: pytest.TempPathFactory, values: list[str], own: str, delimiter: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "values.csv"
    rows = [(f"00{number}", {"city": value, "own Name": own}) for number, value in enumerate(values)]
    columns = [("Name", "own Name", Column.TEXT), (FIELD, "city", Column.TEXT)]

    def written(content: Sequence[tuple[str, Mapping[str, Any]]], **style: Any) -> list[list[str]]:
        chosen = Style(contact="Record ID", delimiter=delimiter, verbatim=frozenset({"own Name"}), **style)
        write_table(path, columns, content, force=True, style=chosen, before_visible=lambda: None)
        return rows_of(path, delimiter)

    plain = [["Record ID", "Name", FIELD], *([own_id, own, row["city"]] for own_id, row in rows)]
    assert written(rows, raw=True, mark=True) == plain
    assert [row[:2] for row in written(rows)] == [row[:2] for row in plain]
    # A spreadsheet may cut at any separator, whatever the file was written with.
    written([(own_id, {"city": row["city"]}) for own_id, row in rows])
    for cut in ",;\t":
        lines = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""), delimiter=cut)
        for cell in (cell for line in lines for cell in line):
            begins = cell.lstrip("\t\r\n")
            assert not begins.startswith(("=", "@", "＝")), cell
            assert not begins.startswith(("+", "-")) or disarm(begins) == begins, cell


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    rows = [(f"id{number}", {"city": f"{number * 7919:x}" * 20}) for number in range(500)]
    for name in ("out.csv", "out.parquet"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            error = refused(
                ErrorCode.LOCAL,
                write_table,
                tmp_path / name,
                [("city", "city", Column.TEXT)],
                rows,
                before_visible=lambda: pytest.fail("recorded, although nothing is there"),
            )
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert os.strerror(errno.EFBIG) in error.message
        assert list(tmp_path.iterdir()) == []


@contextmanager
def _only_named() -> Iterator[None]:
    """As on a file system that has no files without a name."""
    flag = os.O_TMPFILE
    del os.O_TMPFILE
    try:
        yield
    finally:
        os.O_TMPFILE = flag  # type: ignore[misc]  # a constant, to a type checker


@pytest.mark.parametrize("named", [False, True])
def test_a_file_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path, named: bool) -> None:
    path = tmp_path / "out.csv"

    def appear() -> None:
        path.write_text("mine")

    with _only_named() if named else nullcontext():
        with pytest.raises(FileExistsError):
            whole_file.write_whole(path, lambda stream: stream.write(b"x"), before_visible=appear)
        assert (path.read_text(), len(list(tmp_path.iterdir()))) == ("mine", 1)
        whole_file.write_whole(
            path, lambda stream: stream.write(b"x"), force=True, before_visible=lambda: None
        )
        assert (path.read_text(), path.stat().st_mode & 0o777) == ("x", 0o600)
        assert len(list(tmp_path.iterdir())) == 1


def test_a_killed_export_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom mutuals.runs.whole_file import write_whole\n"
        "write_whole(Path(sys.argv[1]), lambda s: s.write(b'secret'), before_visible=lambda: os.kill(os.getpid(), 9))"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out.csv")], check=False)
    assert ended.returncode == -9
    assert list(tmp_path.iterdir()) == []

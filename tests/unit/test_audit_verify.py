"""Recomputing a log: from the store, and by a third party with nothing but a bundle and the two cards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.audit import change, checkpoints, entries, meet, overwrite, put_back, save, write_entry
from support.pairing import Company, Pair, contact, paired

from mutuals.audit.bundle import export_bundle, verify_bundles
from mutuals.audit.clearing import clear_faults
from mutuals.audit.notes import parse_note
from mutuals.audit.stored import verify_store
from mutuals.audit.verify import Report
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import sign_act
from mutuals.identity.cards import card_bytes
from mutuals.models.agreement import Side
from mutuals_client import main

ROWS = [contact(str(number), f"person{number}@example.com") for number in range(3)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, dict[Side, Path]]]:
    """Two companies after a match and a contact, and copies of their stores."""
    folder = tmp_path_factory.mktemp("pair")
    with paired(folder, dict.fromkeys(Side, ROWS)) as made:
        made.match()
        meet(made.left, made.right)
        yield made, {side: save(one, folder / side.value) for side, one in made.sides.items()}


@pytest.fixture
def pair(saved: tuple[Pair, dict[Side, Path]]) -> Pair:
    made, copies = saved
    for side, company in made.sides.items():
        overwrite(company, copies[side])
    return made


def reports(company: Company) -> list[Report]:
    with company.peer.store.transaction() as tx:
        return verify_store(tx, company.peer)


def bundle(company: Company, digest: str) -> bytes:
    with company.peer.store.transaction() as tx:
        return export_bundle(tx, company.peer, digest)


def changed(data: bytes, *path: str | int, to: Any) -> bytes:
    value = json.loads(data)
    place = value
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to(place[path[-1]]) if callable(to) else to
    return json.dumps(value).encode()


def cards(pair: Pair) -> list[Any]:
    return [company.peer.card for company in (pair.left, pair.right)]


def test_a_store_says_what_was_checked_and_what_not(pair: Pair) -> None:
    act = sign_act(pair.left.keys, "test.act", pair.digest, {}, pair.left.clock())
    write_entry(pair.left, pair.digest, "test.signed", **act.evidence())
    agreement, own = reports(pair.left)
    assert agreement.sound
    assert own.sound
    assert agreement.right["cosignatures of the partner"] == 1
    assert agreement.right["statements over the agreement"] == 2
    assert agreement.right["operators' signatures"] >= 1
    assert any("1 of" in sentence and "not cosigned" in sentence for sentence in agreement.unchecked)
    assert own.right["heads in agreements' logs"] >= 1


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE log SET body = '{}' WHERE event = 'run.counted'", "was changed, removed, added or moved"),
        ("DELETE FROM log WHERE event = 'run.counted'", "not numbered one after the other"),
        (
            "UPDATE checkpoints SET note = cast(replace(note, 'mutuals/', 'mutual/') AS BLOB)",
            "a checkpoint of it is",
        ),
        ("UPDATE checkpoints SET size = size + 1 WHERE own", "kept as another than it is"),
        ("UPDATE checkpoints SET cosignature = substr(cosignature, 1, 30)", "a checkpoint of it is"),
        ("UPDATE statements SET signature = zeroblob(64)", "the statement of the"),
        ("UPDATE log SET body = '[' WHERE event = 'run.counted'", "cannot be read"),
    ],
)
def test_a_change_by_hand_is_named(pair: Pair, statement: str, sentence: str) -> None:
    change(pair.left, (statement, ()))
    found = [problem for report in reports(pair.left) for problem in report.problems]
    assert any(sentence in problem for problem in found), found


def test_an_operators_signature_that_does_not_fit_is_named(pair: Pair) -> None:
    act = sign_act(pair.left.keys, "test.act", pair.digest, {"count": 1}, pair.left.clock())
    evidence = act.evidence()
    write_entry(
        pair.left, pair.digest, "test.forged", **{**evidence, "act": evidence["act"].replace("1", "2", 1)}
    )
    assert any("signature of entry" in one for report in reports(pair.left) for one in report.problems)


def test_a_third_party_needs_the_two_cards_alone(pair: Pair) -> None:
    data = [bundle(company, pair.digest) for company in (pair.left, pair.right)]
    left, right, both = verify_bundles(data, cards(pair))
    assert left.sound
    assert right.sound
    assert both.sound
    assert left.right["own checkpoints"] == left.right["cosignatures of the partner"] == 1
    assert both.right == {"remembered checkpoints": 2, "runs with one transcript": 1}
    assert not {"person", "example.com"} & set(data[0].decode().replace("@", " ").split())
    for row in ROWS:
        assert row["email"].encode() not in data[0]


def test_a_bundle_without_the_partners_card_says_what_it_could_not_check(pair: Pair) -> None:
    (report,) = verify_bundles([bundle(pair.left, pair.digest)], cards(pair)[:1])
    assert report.sound
    assert any("card is not at hand" in sentence for sentence in report.unchecked)
    with pytest.raises(MutualsError) as refused:
        verify_bundles([bundle(pair.left, pair.digest)], cards(pair)[1:])
    assert refused.value.code is ErrorCode.PEER_IDENTITY


def test_bundles_carry_consistency_proofs(pair: Pair) -> None:
    write_entry(pair.left, pair.digest)
    meet(pair.left, pair.right)
    data = bundle(pair.left, pair.digest)
    (report,) = verify_bundles([data], cards(pair))
    assert report.right["consistency proofs"] == 1
    forged = changed(data, "checkpoints", 1, "consistency", 0, to="00" * 32)
    (report,) = verify_bundles([forged], cards(pair))
    assert any("proof of its checkpoint" in problem for problem in report.problems)


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("entries", 2, "event"), "test.other"),
        (("entries", 2, "body"), {"other": 1}),
        (("entries", 2, "at"), "2020-01-01T00:00:00.000000Z"),
        (("entries", 2, "salt"), "00" * 32),
        (("entries", 2, "seq"), 9),
        (("entries",), lambda value: value[:-1]),
        (("entries",), lambda value: value[:2] + value[3:]),
        (("entries",), lambda value: [value[1], value[0], *value[2:]]),
        (("checkpoints", 0, "note"), lambda value: value.replace("mutuals", "mutual")),
        (("partner_checkpoints", 0), lambda value: value.replace("A", "B", 1)),
        (("document",), lambda value: value.replace("Test campaign", "Best campaign")),
        (("statements", 0, "signature"), "00" * 64),
        (("partner",), "00" * 32),
        (("agreement",), "00" * 32),
    ],
)
def test_a_changed_bundle_is_not_sound(pair: Pair, path: tuple[str | int, ...], to: Any) -> None:
    data = changed(bundle(pair.left, pair.digest), *path, to=to)
    report = verify_bundles([data], cards(pair))[0]
    if path == ("partner",):
        assert any("card is not at hand" in sentence for sentence in report.unchecked)
    else:
        assert not report.sound


def test_two_bundles_that_contradict_each_other_are_told(pair: Pair) -> None:
    """Left rewrote its log and signed it anew, as only it can; what right remembers is another one."""
    data = bundle(pair.right, pair.digest)
    change(
        pair.left, ("UPDATE log SET event = 'test.other' WHERE seq = 4", ()), ("DELETE FROM checkpoints", ())
    )
    forged = bundle(pair.left, pair.digest)
    alone, other, both = verify_bundles([forged, data], cards(pair))
    assert alone.sound
    assert other.sound
    assert any("that the other's log does not have" in problem for problem in both.problems)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"entries": ' * 9000, b'{"format": "x"}'])
def test_what_is_no_bundle_is_refused(pair: Pair, data: bytes) -> None:
    with pytest.raises(MutualsError) as refused:
        verify_bundles([data], cards(pair))
    assert refused.value.code is ErrorCode.INPUT_QUALITY


def test_a_fault_stays_in_the_log_with_its_evidence(pair: Pair, tmp_path: Path) -> None:
    copy = save(pair.left, tmp_path / "yesterday.sqlite")
    write_entry(pair.left, pair.digest)
    meet(pair.left, pair.right)
    known = checkpoints(pair.right, pair.digest, own=False)[-1]
    put_back(pair.left, copy)
    meet(pair.left, pair.right)
    (report,) = verify_bundles([bundle(pair.right, pair.digest)], cards(pair))
    assert any("nobody has cleared" in problem for problem in report.problems)
    (fault,) = [entry.body for entry in entries(pair.right, pair.digest) if entry.event == "log.fault"]
    assert parse_note(fault["known"].encode()).text == parse_note(known.note).text
    for company in (pair.left, pair.right):
        clear_faults(company.peer, pair.digest, "Agreed by telephone.", company.keys)
    meet(pair.left, pair.right)
    assert all(report.sound for company in (pair.left, pair.right) for report in reports(company))


class Line:
    """The command line on one company's home."""

    def __init__(self, company: Company, capsys: pytest.CaptureFixture[str]) -> None:
        self.company, self.capsys = company, capsys

    def __call__(self, *words: str, code: int = 0) -> str:
        self.capsys.readouterr()
        home = [] if "--bundle" in words else ["--home", str(self.company.peer.home.root)]
        assert main.run([*words, *home]) == code
        main.reset_settings()
        return self.capsys.readouterr().out


def test_the_commands(pair: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = Line(pair.left, capsys)
    agreement = pair.digest[:12]
    assert "run counted" in line("audit", "log", agreement)
    told = json.loads(line("audit", "log", "--json"))
    assert {entry["agreement"] for entry in told["entries"]} == {None, pair.digest}
    assert "Nothing is wrong." in line("audit", "verify")
    note = line("audit", "checkpoint", agreement)
    assert len(parse_note(note.encode()).signatures) == 2
    told = json.loads(line("audit", "checkpoint", agreement, "--json"))
    assert (told["checkpoint"], told["cosigned"], len(told["keys"])) == (note, True, 2)
    files = [tmp_path / "left.json", tmp_path / "right.json"]
    for file, company in zip(files, (pair.left, pair.right), strict=True):
        Line(company, capsys)("audit", "export", agreement, "--out", str(file))
        (tmp_path / f"{file.stem}.card").write_bytes(card_bytes(company.peer.card))
    check = ["audit", "verify", "--json"]
    check += [word for file in files for word in ("--bundle", str(file))]
    check += [word for file in files for word in ("--card", str(file.with_suffix(".card")))]
    told = json.loads(line(*check))
    assert told["sound"]
    assert len(told["logs"]) == 3
    files[0].write_bytes(changed(files[0].read_bytes(), "entries", 1, "event", to="test.other"))
    told = json.loads(line(*check, code=1))
    assert not told["sound"]
    change(pair.left, ("UPDATE log SET event = 'test.other' WHERE event = 'run.counted'", ()))
    assert "Something is wrong" in line("audit", "verify", code=1)
    line("audit", "verify", "--card", "nowhere", code=2)
    line("audit", "export", "A-XXXXXXXX", "--out", str(tmp_path / "none"), code=6)
    line("audit", "clear", agreement, "--reason", " ", code=2)

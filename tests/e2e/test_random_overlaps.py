"""Over real loopback TLS with each engine: whatever the two lists look like, both sides get the exact overlap."""

from __future__ import annotations

import random
import socket
from collections import defaultdict
from collections.abc import Iterator

import pytest
from support.assessed import accept, propose
from support.engines import ENGINES
from support.pairing import Company, Pair, Row, agreement_between, contact, deliver, paired

from mutuals.engines.workers import WorkerPool
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Side
from mutuals.models.run import Role, Run
from mutuals.runs.mandates import grant_standing_mandate
from mutuals.runs.match import initiate_match
from mutuals.runs.reveal import initiate_reveal
from mutuals.runs.spool import load_overlap
from mutuals.transport.connection import connect
from mutuals_server.log import ServerLog
from mutuals_server.serve import PeerServer

ALWAYS = {"reveal": "mandate", "exchange": "mandate"}
SOMEBODY = [contact("X1", "somebody@example.com")]


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2) as pool:
        yield pool


def agree_on(pair: Pair, engine: str) -> str:
    """An agreement like the first, with this engine; its digest."""
    left, right = pair.sides[Side.PROPOSER], pair.sides[Side.PARTNER]
    terms = agreement_between(left, right, {"engine": engine}, permission=ALWAYS, title=f"With {engine}")
    digest = propose(left.peer, terms, "crm", {}, left.keys)
    deliver(left, right)
    accept(right.peer, digest, "crm", {}, right.keys)
    deliver(right, left)
    for side in (left, right):
        grant_standing_mandate(side.peer, digest, side.keys)
    return digest


@pytest.fixture(scope="module")
def agreements(pair: Pair) -> dict[str, str]:
    """One agreement for each engine."""
    return {engine: agree_on(pair, engine) for engine in ENGINES}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, pool: WorkerPool) -> Iterator[Pair]:
    """Two companies; the partner serves on a real port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    root = tmp_path_factory.mktemp("pair")
    rows = dict.fromkeys(Side, SOMEBODY)
    with paired(root, rows, endpoint=f"localhost:{port}", permission=ALWAYS) as pair:
        right = pair.right.peer
        server = PeerServer(right, pool, f"127.0.0.1:{port}", log=ServerLog(right.clock, root / "server.log"))
        server.start()
        yield pair
        server.stop(0)


def carry_out(pair: Pair, pool: WorkerPool, agreement: str) -> Run:
    """A match and a reveal, as the command line does them."""
    with connect(pair.left.peer, pair.left.partner()) as connection:
        with connection.match() as stream:
            run = initiate_match(pair.left.peer, agreement, stream, pool)
        with connection.reveal() as stream:
            return initiate_reveal(pair.left.peer, run.run_id, stream)


def pairs_found(pair: Pair, run: Run) -> list[tuple[str, str]]:
    """The contact ids of both sides, joined by rank."""

    def overlap(company: Company) -> list[str]:
        return [ids[0] for ids in load_overlap(company.peer, company.run(run.run_id)).pairs]

    return sorted(zip(overlap(pair.left), overlap(pair.right), strict=True))


def true_pairs(left: list[Row], right: list[Row]) -> list[tuple[str, str]]:
    """What the lists share, by identifiers that exactly one contact of each side holds."""

    def holders(rows: list[Row]) -> dict[str, str]:
        held: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            for cell in (row["email"], row["phone"]):
                for value in filter(None, cell.split(";")):
                    held[value.strip().lower().replace(" ", "")].add(row["contact_id"])
        return {value: next(iter(ids)) for value, ids in held.items() if len(ids) == 1}

    one, other = holders(left), holders(right)
    return sorted((one[value], other[value]) for value in one.keys() & other.keys())


def draw_list(chance: random.Random, prefix: str, people: list[int]) -> list[Row]:
    """A list that knows ``people``, each by some of its handles, spelled anyhow, some shared or doubled."""
    rows: list[Row] = []
    for number, person in enumerate(people):
        emails = [f"Person{person}@Example.com", f"p{person}@work.example.com"]
        phones = [f"+49 151 1234 {person:04}"]
        chosen = chance.sample(emails, chance.choice((1, 1, 2)))
        if chance.random() < 0.1:
            chosen.append("info@shop.example.com")
        if chance.random() < 0.1:
            chosen.append(chosen[0].upper())
        phone = ";".join(phones) if chance.random() < 0.4 else ""
        rows.append(contact(f"{prefix}{number}", " ; ".join(chosen), phone))
        if chance.random() < 0.05:
            rows.append(contact(f"{prefix}{number}b", chosen[0]))
    chance.shuffle(rows)
    return rows


SHAPES = {
    "one and one, shared": ([1], [1]),
    "equal, half shared": (range(60), range(30, 90)),
    "very unequal": (range(3), range(400)),
    "all shared": (range(80), range(80)),
    "a few in many": (range(300), range(295, 305)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(2))
def test_overlap_is_exact_on_both_sides_with_each_engine(
    pair: Pair, pool: WorkerPool, agreements: dict[str, str], shape: str, seed: int
) -> None:
    chance = random.Random(f"{shape} {seed}")
    left, right = (
        draw_list(chance, prefix, list(people)) for prefix, people in zip("LR", SHAPES[shape], strict=True)
    )
    truth = true_pairs(left, right)
    pair.left.write(left)
    pair.right.write(right)
    for engine, agreement in agreements.items():
        if not truth:
            with pytest.raises(MutualsError) as caught:
                carry_out(pair, pool, agreement)
            assert caught.value.code in (ErrorCode.BELOW_THRESHOLD, ErrorCode.SET_TOO_SMALL)
            continue
        run = carry_out(pair, pool, agreement)
        assert (run.role, run.engine) == (Role.INITIATOR, engine)
        assert pairs_found(pair, run) == truth


@pytest.mark.parametrize(
    ("left", "right", "code"),
    [
        (range(20), range(20, 40), ErrorCode.BELOW_THRESHOLD),
        (range(0), range(20), ErrorCode.SET_TOO_SMALL),
        (range(20), range(0), ErrorCode.SET_TOO_SMALL),
        (range(0), range(0), ErrorCode.SET_TOO_SMALL),
    ],
)
def test_nothing_shared_or_an_empty_list_ends_without_an_overlap(
    pair: Pair, pool: WorkerPool, left: range, right: range, code: ErrorCode
) -> None:
    pair.left.write([contact(f"L{i}", f"person{i}@example.com") for i in left])
    pair.right.write([contact(f"R{i}", f"person{i}@example.com") for i in right])
    with pytest.raises(MutualsError) as caught:
        carry_out(pair, pool, pair.digest)
    assert caught.value.code is code

"""A source in a PostgreSQL database, on a real server: types, batches, reading only, and errors without data."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import postgres

from mutuals.errors import ErrorCode, MutualsError
from mutuals.sources import ContactTable, SourceDefinition, read_source
from mutuals.sources.detect import Wishes, understand
from mutuals.sources.formats import frames, open_table
from mutuals.sources.formats import sql as reader

TABLE = """
CREATE SCHEMA crm;
CREATE TABLE crm."Contacts" (
    "Customer ID" bigint PRIMARY KEY, "Email" text, phone varchar(40), "Do not contact" boolean, born date,
    seen timestamptz, spent numeric(10,2), weight double precision, tags text[], extra jsonb, photo bytea, key uuid
);
INSERT INTO crm."Contacts" VALUES
    (1, 'ann@example.com', '+49 30 1', false, '1980-02-29', '2026-03-01 10:00:00+02', 12.50, 2.0, '{vip,"a b"}',
     '{"a": 1}', '\\x00', '00000000-0000-0000-0000-000000000001'),
    (2, NULL, '+49 30 2', true, NULL, NULL, 3.00, 'NaN', NULL, '["x", 1]', NULL, NULL),
    (3, 'cy@example.com', NULL, NULL, '2000-01-01', NULL, NULL, NULL, '{}', NULL, NULL, NULL);
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A database with a table of three contacts."""
    if reason := postgres.missing():
        pytest.skip(reason)
    from sqlalchemy import create_engine

    name = postgres.new_database("template0")
    place = postgres.url_of(name)
    engine = create_engine(place)
    with engine.begin() as connection:
        connection.exec_driver_sql(TABLE)
    engine.dispose()
    yield place
    postgres.drop_database(name)


def source(url: str, table: str | None = "crm.Contacts", query: str | None = None) -> SourceDefinition:
    start = SourceDefinition(name="crm", path=url, format="sql", table=table, query=query)
    return understand(start, Wishes()).definition


def read(url: str, table: str | None = "crm.Contacts", query: str | None = None) -> ContactTable:
    return read_source(source(url, table, query))


def test_every_type_comes_as_a_person_would_write_it(url: str) -> None:
    table = read(url)
    assert table.frame["contact_id"].to_list() == ["1", "2", "3"]
    assert table.frame["suppressed"].to_list() == [False, True, False]
    fields = table.frame.select("born", "spent", "weight", "tags", "extra", "photo").rows()
    assert fields[0] == ("1980-02-29", "12.50", "2", "vip;a b", "", "")
    assert fields[1] == ("", "3", "nan", "", "x;1", "")
    assert fields[2] == ("2000-01-01", "", "", "", "", "")
    assert table.frame["seen"][0][:10] == "2026-03-01"
    assert table.frame["key"][0] == "00000000-0000-0000-0000-000000000001"


def test_a_select_is_read_in_batches_by_a_cursor_of_the_server(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "ROWS_AT_ONCE", 100)
    monkeypatch.setattr(frames, "ROWS_AT_ONCE", 100)
    query = "SELECT n AS id, 'a' || n || '@x.de' AS email, false AS opt_out FROM generate_series(1, 250) n"
    definition = source(url, None, query)
    sheets = list(open_table(definition).sheets([0]))
    assert [len(sheet.rows) for sheet in sheets] == [100, 100, 50, 0]
    assert sheets[2].rows[-1] == 251


@pytest.mark.parametrize(
    ("table", "query", "said"),
    [
        ("crm.nobody", None, "there is no such table"),
        (None, "SELECT surname FROM crm.\"Contacts\" WHERE phone = '+49 30 1'", "there is no such column"),
        (None, 'WITH gone AS (DELETE FROM crm."Contacts" RETURNING *) SELECT * FROM gone', "only reads"),
        (None, "SELECT setval('s', 1), '+49 30 1' AS phone", "there is no such table"),
        (None, "SELECT 'ann@example.com'::int AS id", "not of the type"),
        (None, "SELECT * FRM x", "not well written"),
        (None, "SELECT 'infinity'::date AS id, '+49 30 1' AS email, false AS opt_out", "cannot be read"),
    ],
)
def test_what_the_database_refuses_is_one_sentence_without_data(
    url: str, table: str | None, query: str | None, said: str
) -> None:
    with pytest.raises(MutualsError, match=said) as caught:
        read(url, table, query)
    assert caught.value.code is ErrorCode.INPUT_QUALITY
    assert "ann@" not in str(caught.value)
    assert "49 30" not in str(caught.value)
    assert len(read(url).frame) == 3


def test_a_server_that_is_not_there_is_said(url: str) -> None:
    with pytest.raises(MutualsError, match="it cannot be reached") as caught:
        source("postgresql+psycopg://ann@127.0.0.1:1/crm")
    assert caught.value.code is ErrorCode.INPUT_QUALITY

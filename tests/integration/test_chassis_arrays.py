"""Lists bound to statements reach PostgreSQL as they are, whatever stands in them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.databases import Databases
from services.chassis.connection import Engine
from services.chassis.database import transaction
from services.chassis.statements import often, sql

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
ROWS = {
    "text": st.lists(
        st.none() | TEXTS | st.sampled_from(["NULL", "", " ", '"', "\\", "{}", ",", "'", "\\'", "a\nb\tc"])
    ),
    "bigint": st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)),
    "boolean": st.lists(st.none() | st.booleans()),
    "bytea": st.lists(st.none() | st.binary(max_size=20)),
    "timestamptz": st.lists(
        st.none() | st.integers(0, 2**42).map(lambda millis: EPOCH + timedelta(milliseconds=millis))
    ),
    "float8": st.lists(st.none() | st.floats(allow_nan=False)),
}


@pytest.fixture(scope="module")
def engine(postgres_server: Databases) -> Engine:
    return Engine(postgres_server.admin.url, 1, "test-arrays")


@pytest.mark.parametrize("kind", ROWS)
def test_every_value_of_a_list_comes_back_as_it_went(engine: Engine, kind: str) -> None:
    statement = sql(f"SELECT * FROM unnest(:values ::{kind}[]) WITH ORDINALITY o(value, n) ORDER BY n")

    @settings(max_examples=60, deadline=timedelta(seconds=5), derandomize=True)
    @given(ROWS[kind])
    def round_trip(values: Sequence[Any]) -> None:
        with transaction(engine) as connection:
            back = [row.value for row in connection.execute(statement, {"values": values})]
        assert [bytes(value) if isinstance(value, memoryview) else value for value in back] == values

    round_trip()


@pytest.mark.parametrize("kind", ROWS)
def test_a_long_list_of_one_value_comes_back_as_it_went(engine: Engine, kind: str) -> None:
    prepared = often(f"SELECT value FROM (SELECT unnest(:values ::{kind}[]) AS value) listed")

    @settings(max_examples=60, deadline=timedelta(seconds=5), derandomize=True)
    @given(ROWS[kind].filter(bool), st.integers(10, 40))
    def round_trip(values: Sequence[Any], times: int) -> None:
        listed = [values[0]] * times
        with transaction(engine) as connection:
            back = [row.value for row in connection.execute(prepared, {"values": listed})]
        assert [bytes(value) if isinstance(value, memoryview) else value for value in back] == listed

    round_trip()


@pytest.mark.parametrize("kind", ["uuid", "jsonb", "json", "int", "date", "timestamptz", "boolean", "bytea"])
def test_a_long_list_of_nothing_is_of_the_type_that_the_statement_names(engine: Engine, kind: str) -> None:
    prepared = often(f"SELECT count(*) FROM unnest(:values ::{kind}[]) value WHERE value IS NULL")
    for _ in range(6):  # as it stands, and as a plan
        with transaction(engine) as connection:
            assert connection.execute(prepared, {"values": [None] * 12}).scalar_one() == 12


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uuid", "01a22970-414a-76d8-be5a-e7e8072589f7"),
        ("jsonb", '{"a": "b"}'),
        ("int", 2**31 - 1),
        ("bigint", -(2**63)),
    ],
)
def test_a_long_list_of_one_value_is_of_the_type_that_the_statement_names(
    engine: Engine, kind: str, value: object
) -> None:
    prepared = often(f"SELECT DISTINCT value::text FROM unnest(:values ::{kind}[]) value")
    for _ in range(6):  # as it stands, and as a plan
        with transaction(engine) as connection:
            assert connection.execute(prepared, {"values": [value] * 12}).scalar_one() == str(value)


def test_documents_come_back_as_they_went(engine: Engine) -> None:
    documents = ['{"a": "quote \\" backslash \\\\ brace } comma ,"}', "[]", None]

    with transaction(engine) as connection:
        statement = sql("SELECT value::text FROM unnest(:values ::jsonb[]) WITH ORDINALITY o(value, n) ORDER BY n")
        back = list(connection.execute(statement, {"values": documents}).scalars())

    assert back == documents

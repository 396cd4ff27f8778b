"""Lists bound to statements reach PostgreSQL as they are, whatever stands in them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.databases import Databases
from services.chassis.database import create_engine, transaction

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
def engine(postgres_server: Databases) -> sa.Engine:
    return create_engine(postgres_server.admin.url, 1, "test-arrays")


@pytest.mark.parametrize("kind", ROWS)
def test_every_value_of_a_list_comes_back_as_it_went(engine: sa.Engine, kind: str) -> None:
    statement = sa.text(f"SELECT * FROM unnest(:values ::{kind}[]) WITH ORDINALITY o(value, n) ORDER BY n")

    @settings(max_examples=60, deadline=timedelta(seconds=5), derandomize=True)
    @given(ROWS[kind])
    def round_trip(values: Sequence[Any]) -> None:
        with transaction(engine) as connection:
            back = [row.value for row in connection.execute(statement, {"values": values})]
        assert [bytes(value) if isinstance(value, memoryview) else value for value in back] == values

    round_trip()


def test_documents_come_back_as_they_went(engine: sa.Engine) -> None:
    documents = ['{"a": "quote \\" backslash \\\\ brace } comma ,"}', "[]", None]

    with transaction(engine) as connection:
        statement = sa.text("SELECT value::text FROM unnest(:values ::jsonb[]) WITH ORDINALITY o(value, n) ORDER BY n")
        back = list(connection.execute(statement, {"values": documents}).scalars())

    assert back == documents

"""How many SQL statements something costs, counted by PostgreSQL itself."""

import contextlib
from collections.abc import Iterator

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a class under a function's name

from tests.support.eventually import eventually
from tests.support.running_shop import Shop

_CALLS = """SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
            JOIN pg_roles r ON r.oid = s.userid WHERE d.datname = r.rolname AND d.datname = %s AND s.query LIKE %s"""
_RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usename = datname AND state = 'active'"


class Count:
    """Statements that ran in a service's database while its block ran; set at its end."""

    statements = -1


@contextlib.contextmanager
def counted(shop: Shop, service: str, like: str = "%") -> Iterator[Count]:
    """Count the statements (of this form) of a service's API: its worker is frozen meanwhile."""
    count, name = Count(), f"oms_{service}"
    with (
        contextlib.closing(shop.stack.postgres.databases.connect()) as connection,
        connection.cursor() as cursor,
        shop.frozen(f"{service}-worker"),
    ):
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        # The server goes on with what the frozen worker asked last, and counts it at its end.
        eventually(lambda: _assert_at_rest(cursor, name), within=10)
        before = _number(cursor, _CALLS, name, like)
        yield count
        count.statements = _number(cursor, _CALLS, name, like) - before


def _assert_at_rest(cursor: Cursor, database: str) -> None:
    running = _number(cursor, _RUNNING, database)
    assert running == 0, f"{running} statements are under way in {database}"


def _number(cursor: Cursor, query: str, *values: str) -> int:
    cursor.execute(query, values)
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])

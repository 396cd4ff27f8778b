"""The outbox keeps headers as they are written: nobody asks for parts of them, and jsonb takes them apart and sorts.

The session of the relay that leads is ended first. It may hold the table for as long as the broker takes to answer,
longer than a migration waits; and one of the build before has a plan of the old type, which PostgreSQL refuses once the
type has changed ("cached plan must not change result type"), an error that ends its process. It makes a new session,
and a plan only after some looks. Where another role migrates than the one the services run as, and may not end its
sessions, such a worker ends, and its supervisor starts it anew.

The table is rewritten, and nothing is placed meanwhile: long only where a great many events wait for a broker.
"""

from alembic import op

revision = "chassis_0004"
down_revision = "chassis_0003"

# Whoever holds the relay's advisory lock (`database.RELAY_LOCK`).
SQL = """
SELECT pg_terminate_backend(a.pid, 2000) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND (l.classid, l.objid, l.objsubid) = (0, 1869443841, 1)
    AND a.datname = current_database() AND pg_has_role(a.usesysid, 'USAGE');
ALTER TABLE outbox ALTER COLUMN headers TYPE json USING headers::text::json;
"""


def upgrade() -> None:
    """End the session of the relay that leads, and change the type."""
    op.execute(SQL)

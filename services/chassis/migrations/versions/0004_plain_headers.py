"""The outbox keeps headers as they are written: nobody asks for parts of them, and jsonb takes them apart and sorts.

A relay of the build before has a plan of the old type, which PostgreSQL refuses once the type has changed ("cached
plan must not change result type"), an error that ends its process. Its session is ended instead: it makes a new one.
"""

from alembic import op

revision = "chassis_0004"
down_revision = "chassis_0003"

SQL = """
ALTER TABLE outbox ALTER COLUMN headers TYPE json USING headers::text::json;
-- Whoever holds the relay's advisory lock.
SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND (l.classid, l.objid, l.objsubid) = (0, 0x6F6D7301, 1)
    AND a.datname = current_database() AND a.usename = current_user;
"""


def upgrade() -> None:
    """Change the type and end the session of the relay that leads."""
    op.execute(SQL)

"""What the last audit found, and when that was."""

from alembic import op

revision = "chassis_0002"
down_revision = "chassis_0001"

SQL = """
CREATE TABLE audits (
    invariant  text PRIMARY KEY,
    violations bigint      NOT NULL,
    audited_at timestamptz NOT NULL
);
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(SQL)

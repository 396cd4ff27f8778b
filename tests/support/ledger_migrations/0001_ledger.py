"""Accounts and their entries."""

from alembic import op

revision = "ledger_0001"
down_revision = None

SQL = """
-- One row a key: locked before anything of the key is written, it counts the key's entries and events.
CREATE TABLE accounts (
    key     text PRIMARY KEY,
    entries bigint NOT NULL,
    events  bigint NOT NULL
);
CREATE TABLE entries (
    key      text   NOT NULL,
    position bigint NOT NULL,
    event_id text   NOT NULL,
    note     text   NOT NULL,
    PRIMARY KEY (key, position)
);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(SQL)

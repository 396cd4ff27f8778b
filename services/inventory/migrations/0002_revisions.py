"""Revisions of orders: which one a reservation knows, and what it holds for both sides of an open one."""

import sqlalchemy as sa
from alembic import op

revision = "inventory_0002"
down_revision = "inventory_0001"

# Constant defaults, so the table is not rewritten.
SQL = """
ALTER TABLE reservations
    ADD COLUMN revision int NOT NULL DEFAULT 0 CHECK (revision >= 0),
    ADD COLUMN revising jsonb;
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(sa.text(SQL))

"""Which receipts of returns were put back on hand: a receipt is once, under whatever event id it comes."""

import sqlalchemy as sa
from alembic import op

revision = "inventory_0005"
down_revision = "inventory_0004"

# A constant default: the table is not rewritten.
SQL = "ALTER TABLE reservations ADD COLUMN receipts jsonb NOT NULL DEFAULT '[]'"


def upgrade() -> None:
    """Add the column."""
    op.execute(sa.text(SQL))

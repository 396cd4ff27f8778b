"""Which shipments were taken out of stock: a shipment is taken once, under whatever event id it comes."""

import sqlalchemy as sa
from alembic import op

revision = "inventory_0003"
down_revision = "inventory_0002"

# A constant default: the table is not rewritten.
SQL = "ALTER TABLE reservations ADD COLUMN shipments jsonb NOT NULL DEFAULT '[]'"


def upgrade() -> None:
    """Add the column."""
    op.execute(sa.text(SQL))

"""The numbers of an order's parcels: who has packed and labelled one keeps its number, whoever ships first."""

import sqlalchemy as sa
from alembic import op

revision = "order_0003"
down_revision = "order_0002"

# Numbers: [[vendor or null, location, number of their next shipment], …].
SQL = """
CREATE TABLE parcels (
    order_id    uuid  PRIMARY KEY,
    last_number int   NOT NULL CHECK (last_number >= 0),
    numbers     jsonb NOT NULL
);
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(sa.text(SQL))

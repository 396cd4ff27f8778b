"""A sum of bigints that is a bigint: the built-in one is numeric, a third of what the sums of analytics cost."""

import sqlalchemy as sa
from alembic import op

revision = "order_0005"
down_revision = "order_0004"

# Out of its range it fails, as the cast of a numeric would.
SQL = """
CREATE AGGREGATE bigint_sum(bigint) (
    SFUNC = int8pl, STYPE = bigint, INITCOND = 0, COMBINEFUNC = int8pl, PARALLEL = SAFE
);
"""


def upgrade() -> None:
    """Create the aggregate."""
    op.execute(sa.text(SQL))

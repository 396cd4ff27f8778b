"""A provider's name of a refund settles one refund, also where two orders report it in the same moment."""

import sqlalchemy as sa
from alembic import op

revision = "order_0004"
down_revision = "order_0003"

SQL = """
DROP INDEX refunds_reference;
CREATE UNIQUE INDEX refunds_reference ON refunds (provider_reference) WHERE provider_reference IS NOT NULL;
"""


def upgrade() -> None:
    """Make the index unique."""
    op.execute(sa.text(SQL))

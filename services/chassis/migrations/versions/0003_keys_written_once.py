"""Idempotency keys are written once, with their answers: no room need be left for later versions of their rows.

The columns of the answer stay nullable while builds that claim a key first may run beside.
"""

from alembic import op

revision = "chassis_0003"
down_revision = "chassis_0002"

SQL = "ALTER TABLE idempotency_keys RESET (fillfactor)"


def upgrade() -> None:
    """Fill its pages."""
    op.execute(SQL)

"""What was sent stays, whom it was sent to may go."""

from alembic import op

revision = "notification_0002"
down_revision = "notification_0001"

# NOT VALID: rows that stand hold to it already.
SQL = """
ALTER TABLE notifications
    DROP CONSTRAINT a_recipient_unless_waiting,
    ADD CONSTRAINT a_recipient_while_open
        CHECK (status IN ('waiting', 'sent', 'failed') OR recipient IS NOT NULL) NOT VALID;
"""


def upgrade() -> None:
    """Let mails that are at their end be without an address."""
    op.execute(SQL)

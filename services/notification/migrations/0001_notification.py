"""Subjects, and the notifications about them."""

from alembic import op

revision = "notification_0001"
down_revision = None

SQL = """
-- One row a key (an order's id or a SKU): what its mails need, and the count of its events.
CREATE TABLE subjects (
    key        text PRIMARY KEY,
    kind       text        NOT NULL CHECK (kind IN ('order', 'variant')),
    email      text,
    locale     text,
    -- Null for an order whose OrderPlaced is still to come.
    facts      jsonb,
    events     bigint      NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX subjects_updated_at ON subjects USING brin (updated_at);

CREATE TABLE notifications (
    id             uuid PRIMARY KEY,
    subject        text        NOT NULL,
    event_id       uuid        NOT NULL,
    channel        text        NOT NULL CHECK (channel = 'email'),
    audience       text        NOT NULL CHECK (audience IN ('customer', 'operator')),
    template       text        NOT NULL,
    recipient      text,
    facts          jsonb       NOT NULL,
    correlation_id text        NOT NULL,
    traceparent    text,
    status         text        NOT NULL CHECK (status IN ('waiting', 'queued', 'sending', 'sent', 'failed', 'held')),
    -- When something has to happen next: the next try of a queued one, the end of the claim of one being sent.
    due_at         timestamptz NOT NULL DEFAULT now(),
    claim          uuid,
    attempts       int         NOT NULL DEFAULT 0,
    failure        text,
    smtp_status    int,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    sent_at        timestamptz,
    CONSTRAINT a_claim_while_sending CHECK ((status = 'sending') = (claim IS NOT NULL)),
    CONSTRAINT a_recipient_unless_waiting CHECK (status = 'waiting' OR recipient IS NOT NULL),
    -- Subject first: an event belongs to one subject, and a subject's notifications are found by this index too.
    CONSTRAINT once_an_event UNIQUE (subject, event_id, channel, audience)
) WITH (fillfactor = 80);
CREATE INDEX notifications_open ON notifications (status, due_at) WHERE status <> 'sent';
CREATE INDEX notifications_recipient ON notifications (recipient, id);
CREATE INDEX notifications_updated_at ON notifications USING brin (updated_at);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(SQL)

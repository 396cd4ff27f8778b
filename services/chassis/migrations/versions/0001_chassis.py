"""Tables that every service has: outbox, inbox, positions, parked and dead events, breaker, deadlines, answers."""

from alembic import op

revision = "chassis_0001"
down_revision = None

SQL = """
-- Rows live for milliseconds: without eager vacuum the relay would step over the dead ones at every look.
CREATE TABLE outbox (
    seq           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id            uuid        NOT NULL,
    aggregatetype text        NOT NULL,
    aggregateid   text        NOT NULL,
    type          text        NOT NULL,
    payload       bytea       NOT NULL,
    topic         text        NOT NULL,
    headers       jsonb       NOT NULL,
    sequence      bigint      NOT NULL CHECK (sequence > 0),
    created_at    timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE inbox (
    consumer   text        NOT NULL,
    event_id   uuid        NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_claimed_at ON inbox USING brin (claimed_at);

CREATE TABLE consumer_progress (
    consumer     text   NOT NULL,
    topic        text   NOT NULL,
    partition    int    NOT NULL,
    next_offset  bigint NOT NULL,
    caught_up_at timestamptz,
    PRIMARY KEY (consumer, topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE parked_keys (
    consumer    text        NOT NULL,
    topic       text        NOT NULL,
    key         text        NOT NULL,
    state       text        NOT NULL CHECK (state IN ('waiting', 'retrying', 'dead')),
    attempts    int         NOT NULL,
    due_at      timestamptz NOT NULL,
    fingerprint text        NOT NULL,
    error       text        NOT NULL,
    parked_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, topic, key)
);
CREATE INDEX parked_keys_due ON parked_keys (consumer, due_at) WHERE state <> 'dead';

CREATE TABLE parked_events (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer     text        NOT NULL,
    topic        text        NOT NULL,
    key          text        NOT NULL,
    partition    int         NOT NULL,
    "offset"     bigint      NOT NULL,
    event_id     uuid        NOT NULL,
    record_key   bytea,
    value        bytea,
    headers      jsonb       NOT NULL,
    timestamp_ms bigint      NOT NULL,
    parked_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (consumer, topic, partition, "offset")
);
CREATE INDEX parked_events_key ON parked_events (consumer, topic, key, id);

CREATE TABLE dead_events (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer  text        NOT NULL,
    topic     text        NOT NULL,
    key       text        NOT NULL,
    partition int         NOT NULL,
    "offset"  bigint      NOT NULL,
    event_id  uuid        NOT NULL,
    value     bytea,
    headers   jsonb       NOT NULL,
    error     text        NOT NULL,
    actor     text        NOT NULL,
    died_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX dead_events_died_at ON dead_events (died_at);

CREATE TABLE breakers (
    consumer    text        NOT NULL,
    topic       text        NOT NULL,
    fingerprint text        NOT NULL,
    build_id    text        NOT NULL,
    opened_at   timestamptz NOT NULL DEFAULT now(),
    resumed_at  timestamptz,
    reason      text,
    actor       text
);
-- One a build: where two of them run side by side, each is stopped for its own faults.
CREATE UNIQUE INDEX breakers_open ON breakers (consumer, build_id) WHERE resumed_at IS NULL;

-- One row: since when, without a break, this service has been whole.
CREATE TABLE deadline_watch (
    id          boolean PRIMARY KEY DEFAULT true CHECK (id),
    ticked_at   timestamptz NOT NULL,
    whole_since timestamptz NOT NULL
);
INSERT INTO deadline_watch (ticked_at, whole_since) VALUES ('-infinity', now());

CREATE TABLE idempotency_keys (
    caller       text        NOT NULL,
    key          text        NOT NULL,
    request_hash text,
    status       int,
    headers      jsonb,
    body         bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
) WITH (fillfactor = 80);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys USING brin (created_at);

-- What was decided once for the life of this database.
CREATE TABLE facts (name text PRIMARY KEY, value text NOT NULL);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(SQL)

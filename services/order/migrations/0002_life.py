"""The whole life of an order: edits, partial shipments and their tracking, refunds, returns, saved addresses."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "order_0002"
down_revision = "order_0001"

# Added columns have constant defaults, so no table is rewritten. NOT VALID: rows that stand hold to it already.
SQL = """
ALTER TABLE orders
    ADD COLUMN refunded_minor  bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
    ADD COLUMN refunding_minor bigint NOT NULL DEFAULT 0 CHECK (refunding_minor >= 0),
    ADD COLUMN conceded_minor  bigint NOT NULL DEFAULT 0 CHECK (conceded_minor >= 0),
    ADD COLUMN payment_failed  boolean NOT NULL DEFAULT false,
    ADD COLUMN payment_status  text NOT NULL DEFAULT 'pending' CHECK (payment_status IN
        ('pending', 'paid', 'refund_due', 'partially_refunded', 'refunded', 'failed')),
    ADD COLUMN granted_discount_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN revision        int NOT NULL DEFAULT 0,
    ADD COLUMN delivered_at    timestamptz,
    ADD COLUMN ship_by         timestamptz,
    ADD COLUMN overdue_at      timestamptz,
    ADD CONSTRAINT orders_refunds CHECK (refunded_minor + refunding_minor <= recorded_minor),
    DROP CONSTRAINT orders_pending_operation_check,
    ADD CONSTRAINT orders_pending_operation_check
        CHECK (pending_operation IN ('reserving', 'allocating', 'revising')) NOT VALID;
UPDATE orders SET granted_discount_minor = discount_minor, payment_status = CASE
    WHEN recorded_minor > CASE WHEN status <> 'cancelled' OR refund_waived THEN total_minor ELSE 0 END THEN 'refund_due'
    WHEN recorded_minor >= total_minor THEN 'paid' ELSE 'pending' END;
ALTER TABLE orders ADD CONSTRAINT orders_granted_discount CHECK (granted_discount_minor >= discount_minor) NOT VALID;
UPDATE orders o SET delivered_at = h.created_at
    FROM order_history h WHERE h.order_id = o.id AND h.status = 'delivered' AND h.previous_status = 'shipped';

ALTER TABLE order_items
    ADD COLUMN shipped_quantity  int NOT NULL DEFAULT 0,
    ADD COLUMN returned_quantity int NOT NULL DEFAULT 0,
    ADD COLUMN added_at          timestamptz,
    ADD CONSTRAINT order_items_shipped CHECK (shipped_quantity BETWEEN 0 AND quantity),
    ADD CONSTRAINT order_items_returned CHECK (returned_quantity BETWEEN 0 AND shipped_quantity);
UPDATE order_items i SET shipped_quantity = s.units FROM (
    SELECT order_id, (line ->> 0)::uuid AS id, sum((line ->> 2)::int) AS units
    FROM shipments, jsonb_array_elements(lines) line GROUP BY 1, 2) s
    WHERE i.order_id = s.order_id AND i.id = s.id;

-- For the timeline: the event that was taken, [type, topic, partition, offset, time in ms, its own cause], where it
-- came by Kafka; and what was told of the change, [[event id, type], ...].
ALTER TABLE order_history ADD COLUMN cause jsonb, ADD COLUMN told jsonb;
-- The history is append-only; whoever is erased takes the words along that people wrote about them, and nothing else.
DROP TRIGGER append_only ON order_history;
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON order_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_but_for_words BEFORE UPDATE ON order_history FOR EACH ROW
    WHEN (NEW.note IS NOT NULL OR to_jsonb(NEW) - 'note' IS DISTINCT FROM to_jsonb(OLD) - 'note')
    EXECUTE FUNCTION refuse_change();
-- What others told of an order that did not change it: mails sent, stock that left or came back.
CREATE TABLE order_notes (
    order_id uuid        NOT NULL,
    event_id uuid        NOT NULL,
    cause    jsonb       NOT NULL,
    detail   text,
    PRIMARY KEY (order_id, event_id)
);

-- What lets a browser open a stream for a while; of a ticket only its hash is kept.
CREATE TABLE stream_tickets (
    digest     bytea PRIMARY KEY,
    order_id   uuid        NOT NULL,
    internal   boolean     NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX stream_tickets_expiry ON stream_tickets (expires_at);

-- What a payment is paid back; never more than was recorded, which the order's own CHECK sees to.
CREATE TABLE refunds (
    id                 uuid PRIMARY KEY,
    order_id           uuid        NOT NULL,
    status             text        NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    amount_minor       bigint      NOT NULL CHECK (amount_minor > 0),
    conceded_minor     bigint      NOT NULL CHECK (conceded_minor BETWEEN 0 AND amount_minor),
    shipping_minor     bigint      NOT NULL CHECK (shipping_minor >= 0),
    currency           text        NOT NULL,
    reason             text        NOT NULL,
    note               text,
    lines              jsonb       NOT NULL,
    provider           text        NOT NULL,
    reference          text        NOT NULL,
    provider_reference text,
    failure_code       text,
    created_at         timestamptz NOT NULL,
    settled_at         timestamptz
);
CREATE INDEX refunds_order ON refunds (order_id, created_at, id);
CREATE INDEX refunds_reference ON refunds (provider_reference) WHERE provider_reference IS NOT NULL;

-- Edits of the lines: what the order is to have once its stock is held.
CREATE TABLE order_revisions (
    order_id   uuid        NOT NULL,
    revision   int         NOT NULL CHECK (revision > 0),
    status     text        NOT NULL CHECK (status IN ('pending', 'applied', 'rejected')),
    lines      jsonb       NOT NULL,
    totals     jsonb       NOT NULL,
    reason     text        CHECK (reason IN ('insufficient_stock', 'timeout', 'cancelled')),
    shortages  jsonb       NOT NULL,
    actor_type text        NOT NULL,
    actor_id   text        NOT NULL,
    created_at timestamptz NOT NULL,
    settled_at timestamptz,
    PRIMARY KEY (order_id, revision)
);
CREATE UNIQUE INDEX order_revisions_pending ON order_revisions (order_id) INCLUDE (created_at)
    WHERE status = 'pending';
-- Shipments: numbered within their order, in parts, with what carriers tell of them.
ALTER TABLE shipments
    ADD COLUMN number     text,
    ADD COLUMN vendor_id  text,
    ADD COLUMN unexpected boolean NOT NULL DEFAULT false;
UPDATE shipments s SET number = n.number FROM (
    SELECT s.id, o.order_number || '-' || row_number() OVER (PARTITION BY s.order_id ORDER BY s.shipped_at, s.id)
        AS number
    FROM shipments s JOIN orders o ON o.id = s.order_id) n WHERE n.id = s.id;
ALTER TABLE shipments
    ALTER COLUMN number SET NOT NULL,
    ADD CONSTRAINT shipments_number UNIQUE (number);
-- A carrier's event once a shipment, whoever repeats it.
CREATE TABLE shipment_events (
    shipment_id uuid        NOT NULL,
    event_id    text        NOT NULL,
    type        text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    place       text,
    message     text,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (shipment_id, event_id)
);
-- Goods that come back; that of no line more does than had left, the CHECK on order_items sees to.
CREATE TABLE returns (
    id             uuid PRIMARY KEY,
    order_id       uuid        NOT NULL,
    return_number  text        NOT NULL UNIQUE,
    status         text        NOT NULL CHECK (status IN
        ('requested', 'approved', 'declined', 'partially_received', 'received')),
    expected       boolean     NOT NULL,
    note           text,
    decline_reason text,
    lines          jsonb       NOT NULL,
    requested_at   timestamptz NOT NULL,
    decided_at     timestamptz,
    received_at    timestamptz
);
CREATE INDEX returns_order ON returns (order_id, requested_at, id);
CREATE SEQUENCE return_numbers MINVALUE 0 START 0;
-- 32 bytes in hex, made once for the database's life.
INSERT INTO facts (name, value)
    SELECT 'return_number_key', replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
-- Checkout: what customers keep, and what inventory's alerts said last of each variant.
CREATE TABLE addresses (
    id          uuid PRIMARY KEY,
    customer_id text        NOT NULL,
    label       text,
    fields      jsonb       NOT NULL,
    version     int         NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
CREATE INDEX addresses_customer ON addresses (customer_id, created_at, id);
CREATE TABLE stock_told (
    sku          text PRIMARY KEY,
    availability text        NOT NULL CHECK (availability IN ('in_stock', 'low_stock', 'out_of_stock')),
    told_at      timestamptz NOT NULL
);

-- Lists. Bytewise, so that the index of the numbers finds those that begin with something.
ALTER TABLE orders ALTER COLUMN order_number TYPE text COLLATE "C";
-- A page of one status, or of all, is merged from those of each pair: a few rows of each, however rare it is.
CREATE INDEX orders_statuses_created ON orders (status, payment_status, created_at, id);
CREATE INDEX orders_statuses_updated ON orders (status, payment_status, updated_at, id);
CREATE INDEX orders_total ON orders (total_minor, id);
CREATE INDEX orders_request ON orders (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX orders_email ON orders (lower(customer_email), created_at) WHERE customer_email IS NOT NULL;
CREATE INDEX orders_ship_by ON orders (ship_by) WHERE status = 'processing' AND ship_by IS NOT NULL;
CREATE INDEX order_items_sku ON order_items (sku, order_id);
CREATE INDEX shipments_tracking ON shipments (tracking_number) WHERE tracking_number IS NOT NULL;

-- What the analytics are answered from: facts by the day on which an order was placed, in each time zone, and the same
-- added up by month, quarter and year (`grain`). All of them are counts or sums, so those of a period are the sums of
-- its days.
-- `scope` is `all`, or `vendor:` and an id: orders as that vendor sees them.
CREATE TABLE analytics_facts (
    zone     text   NOT NULL,
    grain    text   NOT NULL,
    day      date   NOT NULL,
    scope    text   NOT NULL,
    measure  text   NOT NULL,
    key      text   NOT NULL,
    currency text   NOT NULL,
    n        bigint NOT NULL,
    PRIMARY KEY (zone, grain, day, scope, measure, key, currency)
) WITH (fillfactor = 80);
CREATE TABLE analytics_products (
    zone          text   NOT NULL,
    grain         text   NOT NULL,
    day           date   NOT NULL,
    scope         text   NOT NULL,
    sku           text   COLLATE "C" NOT NULL,
    currency      text   NOT NULL,
    units         bigint NOT NULL,
    revenue_minor bigint NOT NULL,
    orders        bigint NOT NULL,
    PRIMARY KEY (zone, grain, day, scope, sku, currency)
) WITH (fillfactor = 80);
-- Read by pair over days, refreshed by day.
CREATE TABLE analytics_pairs (
    zone     text   NOT NULL,
    grain    text   NOT NULL,
    day      date   NOT NULL,
    scope    text   NOT NULL,
    sku_a    text   COLLATE "C" NOT NULL,
    sku_b    text   COLLATE "C" NOT NULL,
    currency text   NOT NULL,
    orders   bigint NOT NULL,
    PRIMARY KEY (zone, scope, currency, sku_a, sku_b, grain, day)
) WITH (fillfactor = 80);
CREATE INDEX analytics_pairs_day ON analytics_pairs (zone, day) WHERE grain = 'day';
-- Days whose orders have changed since the facts were counted.
CREATE TABLE analytics_stale (
    zone text NOT NULL,
    day  date NOT NULL,
    PRIMARY KEY (zone, day)
);
-- Until when changes were looked for, and until when the facts are complete.
CREATE TABLE analytics_state (
    zone       text PRIMARY KEY,
    scanned_at timestamptz,
    as_of      timestamptz
);
CREATE INDEX orders_updated ON orders USING brin (updated_at) WITH (autosummarize = on);
"""


def upgrade() -> None:
    """Add the columns and tables, and the key of the links by which orders are followed, made once."""
    op.execute(sa.text(SQL))
    remember = sa.text("INSERT INTO facts (name, value) VALUES ('tracking_key', :key)")
    op.get_bind().execute(remember, {"key": secrets.token_hex(32)})

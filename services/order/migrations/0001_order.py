"""Orders, their lines, history and shipments, payments, requests by Kafka, the catalog's projection."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "order_0001"
down_revision = None

SQL = """
CREATE TABLE orders (
    id                    uuid PRIMARY KEY,
    order_number          text        NOT NULL UNIQUE,
    request_id            text,
    customer_id           text,
    customer_email        text,
    locale                text        NOT NULL,
    currency              text        NOT NULL,
    subtotal_minor        bigint      NOT NULL,
    discount_minor        bigint      NOT NULL,
    tax_minor             bigint      NOT NULL,
    shipping_minor        bigint      NOT NULL,
    total_minor           bigint      NOT NULL CHECK (total_minor >= 0),
    shipping_address      jsonb       NOT NULL,
    billing_address       jsonb       NOT NULL,
    shipping_method       text        NOT NULL,
    payment_method        text        NOT NULL,
    notes                 text,
    external_reference    text,
    metadata              jsonb       NOT NULL,
    status                text        NOT NULL CHECK (status IN
        ('pending', 'confirmed', 'processing', 'shipped', 'delivered', 'cancelled', 'refunded')),
    reservation_status    text        NOT NULL CHECK (reservation_status IN
        ('pending', 'reserved', 'rejected', 'allocated', 'released', 'expired')),
    pending_operation     text        CHECK (pending_operation IN ('reserving', 'allocating')),
    recorded_minor        bigint      NOT NULL CHECK (recorded_minor >= 0),
    refund_waived         boolean     NOT NULL,
    confirm_when_reserved boolean     NOT NULL,
    payment_provider      text,
    payment_reference     text,
    cancel_reason         text,
    shortages             jsonb       NOT NULL,
    held                  jsonb       NOT NULL,
    reserved_until        timestamptz,
    deadline_at           timestamptz,
    stuck_reason          text,
    version               int         NOT NULL,
    events                bigint      NOT NULL,
    created_at            timestamptz NOT NULL,
    updated_at            timestamptz NOT NULL,
    confirmed_at          timestamptz,
    cancelled_at          timestamptz
) WITH (fillfactor = 60);
CREATE INDEX orders_created ON orders (created_at, id);
CREATE INDEX orders_customer ON orders (customer_id, created_at, id);
CREATE INDEX orders_deadline ON orders (deadline_at) WHERE deadline_at IS NOT NULL;
CREATE INDEX orders_stuck ON orders (created_at) WHERE stuck_reason IS NOT NULL;
-- By the begin of the wait: placing, or confirming.
CREATE INDEX orders_awaiting ON orders (coalesce(confirmed_at, created_at)) INCLUDE (pending_operation)
    WHERE pending_operation IS NOT NULL;

-- Without a foreign key on purpose: it costs 40 % of placing, and lines are written with their order only.
CREATE TABLE order_items (
    order_id         uuid   NOT NULL,
    position         int    NOT NULL,
    id               uuid   NOT NULL,
    sku              text   NOT NULL,
    product_name     text   NOT NULL,
    variant_name     text   NOT NULL,
    vendor_id        text,
    quantity         int    NOT NULL CHECK (quantity > 0),
    unit_price_minor bigint NOT NULL,
    discount_minor   bigint NOT NULL,
    tax_minor        bigint NOT NULL,
    total_minor      bigint NOT NULL,
    PRIMARY KEY (order_id, position)
);
CREATE INDEX order_items_vendor ON order_items (vendor_id, order_id) WHERE vendor_id IS NOT NULL;

CREATE TABLE order_history (
    order_id        uuid        NOT NULL,
    version         int         NOT NULL,
    previous_status text,
    status          text        NOT NULL,
    reason          text        NOT NULL,
    note            text,
    public          boolean     NOT NULL,
    actor_type      text        NOT NULL,
    actor_id        text        NOT NULL,
    event_id        text,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (order_id, version)
);
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE shipments (
    id                 uuid PRIMARY KEY,
    order_id           uuid        NOT NULL,
    location           text        NOT NULL,
    carrier            text        NOT NULL,
    tracking_number    text,
    estimated_delivery text,
    lines              jsonb       NOT NULL,
    shipped_at         timestamptz NOT NULL,
    delivered_at       timestamptz
);
CREATE INDEX shipments_order ON shipments (order_id);

-- A provider's reference is used once over all orders.
CREATE TABLE payments (
    provider     text        NOT NULL,
    reference    text        NOT NULL,
    order_id     uuid        NOT NULL,
    amount_minor bigint      NOT NULL,
    currency     text        NOT NULL,
    recorded_at  timestamptz NOT NULL,
    PRIMARY KEY (provider, reference)
);
CREATE INDEX payments_order ON payments (order_id);

-- Requests by Kafka: the id is the idempotency key; events counts those on order.events.v1 under it.
CREATE TABLE order_requests (
    request_id   text PRIMARY KEY,
    content_hash text,
    order_id     uuid,
    events       bigint      NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- The catalog's projection: the newest version of each SKU.
CREATE TABLE catalog_variants (
    sku          text PRIMARY KEY,
    product_name text    NOT NULL,
    variant_name text    NOT NULL,
    vendor_id    text,
    price_minor  bigint  NOT NULL,
    currency     text    NOT NULL,
    active       boolean NOT NULL,
    version      bigint  NOT NULL
) WITH (fillfactor = 80);

CREATE SEQUENCE order_numbers MINVALUE 0 START 0;
"""


def upgrade() -> None:
    """Create the tables, and the key of this database's order numbers, made once."""
    op.execute(SQL)
    remember = sa.text("INSERT INTO facts (name, value) VALUES ('order_number_key', :key)")
    op.get_bind().execute(remember, {"key": secrets.token_hex(32)})

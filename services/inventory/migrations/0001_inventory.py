"""Variants, stock levels, the movement ledger, reservations."""

from alembic import op

revision = "inventory_0001"
down_revision = None

SQL = """
-- One row a SKU: locked before its levels, it counts the events of its key, a column a topic.
CREATE TABLE skus (
    sku                 text PRIMARY KEY CHECK (length(sku) BETWEEN 1 AND 128),
    product_name        text        NOT NULL,
    variant_name        text        NOT NULL,
    vendor_id           text,
    price_minor         bigint      NOT NULL CHECK (price_minor >= 0),
    currency            text        NOT NULL,
    low_stock_threshold int         CHECK (low_stock_threshold >= 0),
    active              boolean     NOT NULL,
    retired             boolean     NOT NULL,
    version             bigint      NOT NULL,
    low_stock_open      boolean     NOT NULL DEFAULT false,
    out_of_stock_open   boolean     NOT NULL DEFAULT false,
    catalog_events      bigint      NOT NULL DEFAULT 0,
    stock_events        bigint      NOT NULL DEFAULT 0,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX skus_alerts ON skus (sku) WHERE low_stock_open OR out_of_stock_open;

CREATE TABLE stock_levels (
    sku          text   NOT NULL,
    location     text   NOT NULL,
    on_hand      bigint NOT NULL CHECK (on_hand >= 0),
    reserved     bigint NOT NULL CHECK (reserved >= 0),
    allocated    bigint NOT NULL CHECK (allocated >= 0),
    safety_stock bigint NOT NULL DEFAULT 0 CHECK (safety_stock >= 0),
    version      bigint NOT NULL,
    PRIMARY KEY (sku, location),
    CONSTRAINT never_oversold CHECK (on_hand >= reserved + allocated)
) WITH (fillfactor = 50);

CREATE TABLE reservations (
    order_id    uuid PRIMARY KEY,
    status      text        NOT NULL CHECK (status IN
        ('reserved', 'rejected', 'allocated', 'expired', 'released', 'shipped', 'cancelled_first')),
    lines       jsonb       NOT NULL,
    deadline_at timestamptz,
    events      bigint      NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX reservations_deadline ON reservations (deadline_at) WHERE deadline_at IS NOT NULL;
CREATE INDEX reservations_finished ON reservations USING brin (updated_at);

CREATE TABLE stock_movements (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku             text        NOT NULL,
    location        text        NOT NULL,
    kind            text        NOT NULL CHECK (kind IN ('received', 'reserved', 'released', 'reservation_expired',
                                                         'allocated', 'shipped', 'adjusted', 'written_off')),
    on_hand         bigint      NOT NULL,
    reserved        bigint      NOT NULL,
    allocated       bigint      NOT NULL,
    on_hand_after   bigint      NOT NULL,
    reserved_after  bigint      NOT NULL,
    allocated_after bigint      NOT NULL,
    reason          text,
    reference       text,
    order_id        uuid,
    actor           text        NOT NULL,
    event_id        uuid        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    -- SKU first: the ledger of a SKU is read by this index too.
    CONSTRAINT once_an_event UNIQUE (sku, location, event_id, kind)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stock_movements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(SQL)

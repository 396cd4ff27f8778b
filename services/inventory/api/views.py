"""How stock is shown."""

from services.chassis.audit import Audit
from services.chassis.events import from_micros
from services.chassis.money import decimal_string
from services.inventory.api import models
from services.inventory.domain.ledger import LedgerRow
from services.inventory.domain.reservations import Reservation
from services.inventory.domain.stock import StockLevel
from services.inventory.domain.variants import Variant


def variant_of(variant: Variant) -> models.Variant:
    """Return what is shown of a variant."""
    return models.Variant(
        sku=variant.sku,
        product_name=variant.product_name,
        variant_name=variant.variant_name,
        vendor_id=variant.vendor_id,
        price=decimal_string(variant.price_minor, variant.currency),
        currency=variant.currency,
        low_stock_threshold=variant.low_stock_threshold,
        active=variant.active,
        version=variant.version,
    )


def level_of(level: StockLevel) -> models.StockLevel:
    """Return what is shown of a level."""
    return models.StockLevel(
        sku=level.sku,
        location=level.location,
        on_hand=level.on_hand,
        reserved=level.reserved,
        allocated=level.allocated,
        safety_stock=level.safety_stock,
        available=level.available,
        version=level.version,
    )


def reservation_of(reservation: Reservation) -> models.Reservation:
    """Return what is shown of a reservation."""
    return models.Reservation(
        order_id=reservation.order_id,
        status=reservation.status.value,
        expires_at=None if reservation.expires_at is None else from_micros(reservation.expires_at),
        lines=[
            models.ReservationLine(sku=line.sku, location=line.location, quantity=line.quantity)
            for line in reservation.lines
        ],
    )


def movement_of(row: LedgerRow) -> models.Movement:
    """Return what is shown of a movement."""
    return models.Movement(
        id=row.id,
        sku=row.sku,
        location=row.location,
        kind=row.kind.value,
        delta=models.Buckets(on_hand=row.on_hand, reserved=row.reserved, allocated=row.allocated),
        after=models.Buckets(on_hand=row.on_hand_after, reserved=row.reserved_after, allocated=row.allocated_after),
        reason=row.reason,
        reference=row.reference,
        order_id=row.order_id,
        actor=row.actor,
        event_id=row.event_id,
        created_at=row.created_at,
    )


def audit_of(audit: Audit) -> models.Audit:
    """Return what an audit found."""
    return models.Audit(
        ok=not audit.differences,
        **audit.looked_at,
        differences=audit.differences,
    )

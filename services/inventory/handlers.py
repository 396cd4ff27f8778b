"""What inventory does with events, commands and deadlines: load, decide in the domain, keep, emit."""

from collections.abc import Callable, Sequence
from typing import Any

from schemas.contracts import (
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderRevised,
    OrderRevisionRejected,
    OrderRevisionRequested,
    OrderShipped,
    ReturnReceived,
)
from services.chassis.commands import Submitted
from services.chassis.events import Cause, Received, new_id
from services.chassis.unit_of_work import Due
from services.inventory.domain import commands, revisions
from services.inventory.domain.commands import (
    AdjustStock,
    PutVariant,
    ReceiveStock,
    Refusal,
    RefusalCode,
    RetireVariant,
)
from services.inventory.domain.reservations import OrderEvent, Outcome, Terms, expire, react
from services.inventory.domain.returns import put_back, remembered, sellable
from services.inventory.domain.revisions import RevisionEvent
from services.inventory.domain.stock import Because, StockLevel
from services.inventory.domain.variants import Variant
from services.inventory.unit_of_work import InventoryUnitOfWork

_ACTOR = "inventory"


def release_stock(cancelled: Sequence[Received[OrderCancelled]], uow: InventoryUnitOfWork) -> None:
    """Reacts to: order.OrderCancelled.  Emits: StockReleased."""
    for received in cancelled:
        _react(received, uow)


def ship_stock(shipped: Sequence[Received[OrderShipped]], uow: InventoryUnitOfWork) -> None:
    """Reacts to: order.OrderShipped.  Emits: StockShipped."""
    for received in shipped:
        _react(received, uow)


def restock_returned(returned: Sequence[Received[ReturnReceived]], uow: InventoryUnitOfWork) -> None:
    """Reacts to: order.ReturnReceived.  Emits: StockRestocked, where anything can be sold again."""
    for received in returned:
        event, units = received.event, sellable(received.event)
        if not units.keys() <= uow.variants.keys():
            uow.tx.defer(received, "ReturnReceived_of_unknown_sku")
            continue
        because = Because(
            event_id=received.event_id, actor=_ACTOR, order_id=event.order_id, reference=event.return_number
        )
        reservation = uow.reservation(event.order_id) or remembered(event)
        told = put_back(event, reservation, uow.stock, because, uow.now)
        if told is not None:
            uow.tell(reservation, [told], received.cause)
            uow.caused(units, received.cause)


def reserve_stock(placed: Sequence[Received[OrderPlaced]], uow: InventoryUnitOfWork) -> None:
    """Reacts to: order.OrderPlaced.  Emits: StockReserved | StockRejected."""
    for received in placed:
        _react(received, uow)


def allocate_stock(confirmed: Sequence[Received[OrderConfirmed]], uow: InventoryUnitOfWork) -> None:
    """Reacts to: order.OrderConfirmed.  Emits: StockAllocated | StockShortfall."""
    for received in confirmed:
        _react(received, uow)


def release_surplus(revised: Sequence[Received[OrderRevised]], uow: InventoryUnitOfWork) -> None:
    """Reacts to: order.OrderRevised.  Emits: nothing."""
    for received in revised:
        _react(received, uow, revisions.react)


def withdraw_revisions(rejected: Sequence[Received[OrderRevisionRejected]], uow: InventoryUnitOfWork) -> None:
    """Reacts to: order.OrderRevisionRejected.  Emits: nothing."""
    for received in rejected:
        _react(received, uow, revisions.react)


def reserve_difference(requested: Sequence[Received[OrderRevisionRequested]], uow: InventoryUnitOfWork) -> None:
    """Reacts to: order.OrderRevisionRequested.  Emits: StockReserved | StockRejected."""
    for received in requested:
        _react(received, uow, revisions.react)


def _react(
    received: Received[OrderEvent] | Received[RevisionEvent],
    uow: InventoryUnitOfWork,
    decide: Callable[..., Outcome] = react,
) -> None:
    order_id = received.event.order_id
    because = Because(event_id=received.event_id, actor=_ACTOR, order_id=order_id)
    terms = Terms(now=uow.now, ttl_seconds=uow.settings.reservation_ttl_seconds, because=because)
    moved = len(uow.stock.movements)
    outcome = decide(received.event, uow.reservation(order_id), uow.stock, terms)
    if outcome.parked is not None:
        uow.tx.defer(received, outcome.parked)
        return
    uow.tell(outcome.reservation, outcome.told, received.cause)
    uow.caused((movement.sku for movement in uow.stock.movements[moved:]), received.cause)


def expire_reservations(uow: InventoryUnitOfWork, due: Due) -> int:
    """Reacts to: a reservation's deadline.  Emits: StockReservationExpired."""
    overdue = uow.lock_overdue(due)
    for reservation in overdue:
        deadline_id = new_id()
        cause = Cause(correlation_id=reservation.order_id, causation_id=deadline_id)
        because = Because(event_id=deadline_id, actor=_ACTOR, order_id=reservation.order_id)
        terms = Terms(now=uow.now, ttl_seconds=uow.settings.reservation_ttl_seconds, because=because)
        held = [line.sku for line in reservation.lines]
        uow.tell(reservation, [expire(reservation, uow.stock, terms)], cause)
        uow.caused(held, cause)
    return len(overdue)


def put_variant(submitted: Submitted[PutVariant], uow: InventoryUnitOfWork) -> Variant | Refusal:
    """Publish a variant.  Emits: VariantPublished."""
    variant = commands.put(submitted.command, uow.variants.get(submitted.command.sku))
    if isinstance(variant, Variant):
        uow.publish(variant, variant.publish(uow.now), submitted.cause)
        uow.caused([variant.sku], submitted.cause)
    return variant


def retire_variant(submitted: Submitted[RetireVariant], uow: InventoryUnitOfWork) -> Variant | Refusal:
    """Take a variant out of the catalog.  Emits: VariantRetired."""
    variant = uow.variants.get(submitted.command.sku)
    if variant is None:
        return _unknown(submitted.command.sku)
    foreign = commands.refuse_foreign(variant, submitted.command.only_of_vendor)
    if foreign is not None:
        return foreign
    if not variant.retired:
        uow.publish(variant, variant.retire(uow.now), submitted.cause)
        uow.caused([variant.sku], submitted.cause)
    return variant


def receive_stock(submitted: Submitted[ReceiveStock], uow: InventoryUnitOfWork) -> StockLevel | Refusal:
    """Add units that came in."""
    if submitted.command.sku not in uow.variants:
        return _unknown(submitted.command.sku)
    uow.caused([submitted.command.sku], submitted.cause)
    return commands.receive(submitted.command, uow.stock)


def adjust_stock(submitted: Submitted[AdjustStock], uow: InventoryUnitOfWork) -> StockLevel | Refusal:
    """Correct a level."""
    if submitted.command.sku not in uow.variants:
        return _unknown(submitted.command.sku)
    uow.caused([submitted.command.sku], submitted.cause)
    return commands.adjust(submitted.command, uow.stock)


def _unknown(sku: str) -> Refusal:
    return Refusal(RefusalCode.UNKNOWN_SKU, f"no variant has the SKU {sku!r}; PUT it first")


# In a wave what frees stock stands first, so that it can serve what comes behind it.
HANDLERS: dict[type[Any], Any] = {
    OrderCancelled: release_stock,
    OrderShipped: ship_stock,
    OrderRevised: release_surplus,
    OrderRevisionRejected: withdraw_revisions,
    ReturnReceived: restock_returned,
    OrderPlaced: reserve_stock,
    OrderRevisionRequested: reserve_difference,
    OrderConfirmed: allocate_stock,
}
COMMANDS: dict[type[Any], Any] = {
    PutVariant: put_variant,
    RetireVariant: retire_variant,
    ReceiveStock: receive_stock,
    AdjustStock: adjust_stock,
}

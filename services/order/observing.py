"""What is said of orders that changed, once the change stands: metrics, and a log line for each."""

from collections.abc import Iterator, Mapping, Sequence

from services.chassis import metrics
from services.chassis.line_log import LineLog
from services.chassis.settings import VERSION
from services.order.domain.history import Change
from services.order.domain.orders import Order
from services.order.domain.statuses import OrderStatus

# The two ends that placing can have.
_SETTLED = (OrderStatus.CONFIRMED, OrderStatus.CANCELLED)
_LOG = LineLog("services.order.changes", event="order_changed", service="order", version=VERSION)


def observe(changed: Sequence[Order], requests: Mapping[str, str]) -> None:
    """Count and log what became of orders in one transaction.

    Args:
        changed: the orders, with what was added to their history.
        requests: id of a cause → the request id of its caller.

    """
    for order in changed:
        for change in order.history:
            if change.previous_status is not change.status:
                _count(order, change)
    _LOG.write(_lines(changed, requests))


def _count(order: Order, change: Change) -> None:
    outcome = _outcome(order, change)
    metrics.ORDERS.labels(outcome).inc()
    if change.status in _SETTLED:
        metrics.SAGA_DURATION.labels(outcome).observe((change.at - order.created_at) / 1_000_000)


def _outcome(order: Order, change: Change) -> str:
    """Return what became of an order: the reason where it was cancelled, else its status."""
    if change.previous_status is None:
        return "placed"
    if change.status is OrderStatus.CANCELLED and order.cancel_reason is not None:
        return order.cancel_reason.value
    return change.status.value


def _lines(changed: Sequence[Order], requests: Mapping[str, str]) -> Iterator[dict[str, str | float | None]]:
    for order in changed:
        first = order.version - len(order.history) + 1
        for version, change in enumerate(order.history, start=first):
            yield {
                "order_id": order.id,
                "version": version,
                "status": change.status.value,
                "reason": change.reason,
                "actor_type": change.actor.type,
                "actor_id": change.actor.id,
                # Of the event that caused it, or of the request, as the timeline names it.
                "event_id": change.event_id,
                "request_id": requests.get(change.event_id or ""),
            }

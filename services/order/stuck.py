"""Orders that wait too long, with the next step for each, for whoever is called at night."""

from rich.console import Console
from rich.table import Table

from services.order.repository.stuck import StuckOrder
from services.order.unit_of_work import OrderUnitOfWork


def report(uow: OrderUnitOfWork) -> int:
    """List orders that wait: for what, since when, what stands in the way, what to do next."""
    stuck = uow.stuck()
    table = Table("order", "number", "status", "waits for", "since", "deadline", "next step")
    for order in stuck:
        deadline = order.deadline_at.isoformat(timespec="seconds") if order.deadline_at else "-"
        since = order.since.isoformat(timespec="seconds")
        state = (order.status, order.waits_for, since, deadline)
        table.add_row(order.order_id, order.order_number, *state, next_step(order))
    Console().print(table if stuck else "no order is stuck")
    return 0


def next_step(order: StuckOrder) -> str:
    """Return what an operator does about an order."""
    if order.parked is not None:
        return f"{order.parked}; repair the cause, then `parked retry --key {order.order_id}`"
    if order.unpublished:
        return "its event waits in the outbox; look at the relay's /readyz and the broker"
    if order.waits_for == "stock_shortfall":
        return "it was sent on without stock; restock and ship, or cancel it"
    return "inventory has not answered; look at its worker's /readyz and `parked list`"

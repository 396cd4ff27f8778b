"""Orders that wait too long, with the next step for each, for whoever is called at night."""

from math import isinf

from rich.console import Console

from services.order.repository.stuck import StuckOrder
from services.order.unit_of_work import OrderUnitOfWork

# A consumer that is well looks every second.
_BEHIND_SECONDS = 10.0


def report(uow: OrderUnitOfWork) -> int:
    """List orders that wait: for what, since when, what stands in the way, what to do next.

    Each is one line that begins with its id, whole however narrow the terminal; what is to be run stands below it.
    """
    stuck = uow.stuck()
    # A console that wraps nothing and reads no markup into what is shown.
    console = Console(soft_wrap=True, markup=False, highlight=False, emoji=False)
    for order in stuck:
        since = order.since.isoformat(timespec="seconds")
        deadline = order.deadline_at.isoformat(timespec="seconds") if order.deadline_at else "none"
        waits = f"{order.status}, waits for {order.waits_for} since {since}, deadline {deadline}"
        console.print(f"{order.order_id} {order.order_number} {waits}: {next_step(order)}\n")
    console.print(f"{len(stuck)} stuck" if stuck else "no order is stuck")
    return 0


def next_step(order: StuckOrder) -> str:
    """Return what an operator does about an order."""
    if order.parked is not None:
        return f"{order.parked}; repair the cause, then\n    parked retry --key {order.order_id}"
    if order.unpublished:
        return "its event waits in the outbox; look at the relay's /readyz and the broker"
    if order.behind_seconds is not None and order.behind_seconds > _BEHIND_SECONDS:
        for_long = "never yet" if isinf(order.behind_seconds) else f"{order.behind_seconds:.0f} s ago"
        return f"our own consumer is behind (caught up {for_long}); look at the order worker's /readyz and the broker"
    if order.waits_for == "stock_shortfall":
        return "it was sent on without stock; restock and ship, or cancel it"
    return "inventory has not answered; look at its worker's /readyz and `parked list`"

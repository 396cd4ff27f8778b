"""Orders that wait too long, with the next step for each, for whoever is called at night."""

from rich.console import Console

from services.order.unit_of_work import OrderUnitOfWork


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
        console.print(f"{order.order_id} {order.order_number} {waits}: {order.next_step}")
        console.print(f"    {order.command}\n" if order.command else "")
    console.print(f"{len(stuck)} stuck" if stuck else "no order is stuck")
    return 0

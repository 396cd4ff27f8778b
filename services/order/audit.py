"""The audit: proves that payments, history and totals of all orders agree."""

from services.chassis import audit
from services.order.unit_of_work import OrderUnitOfWork


def report(uow: OrderUnitOfWork) -> int:
    """Prove that payments, history and totals agree; print what differs and exit 1."""
    return audit.report(uow.audit())

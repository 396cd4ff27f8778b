"""Erasing a customer from what has ended."""

from services.chassis.commands import Submitted
from services.order.domain.erasure import EraseCustomer, erase, has_ended
from services.order.domain.history import When
from services.order.unit_of_work import OrderUnitOfWork


def erase_customer(submitted: Submitted[EraseCustomer], uow: OrderUnitOfWork) -> tuple[int, int]:
    """Erase a customer and their saved addresses; return how many orders were erased, and how many have not ended."""
    command = submitted.command
    when = When(now=uow.now, actor=command.actor, event_id=submitted.cause.causation_id)
    uow.addresses.erase(command.customer_id)
    erased = left = 0
    for order in uow.lock_of_customer(command.customer_id):
        content = erase(order, uow.content(order.id), when)
        if content is not None:
            uow.revise(content)
            erased += 1
        elif not has_ended(order):
            left += 1
    return erased, left

"""Erasing a customer from what has ended."""

from services.chassis.commands import Submitted
from services.order.domain.erasure import EraseCustomer, Erased, erase, has_ended
from services.order.domain.history import When
from services.order.unit_of_work import OrderUnitOfWork


def erase_customer(submitted: Submitted[EraseCustomer], uow: OrderUnitOfWork) -> Erased:
    """Erase a customer from their orders that have ended, and their saved addresses."""
    command = submitted.command
    when = When(now=uow.now, actor=command.actor, event_id=submitted.cause.causation_id)
    orders = uow.lock_of_customer(command.customer_id)
    addresses = uow.addresses.erase(command.customer_id)
    ended = [order for order in orders if has_ended(order, uow.returns.of(order.id))]
    contents = [erase(order, uow.content(order.id), when) for order in ended]
    newly = [content for content in contents if content is not None]
    for content in newly:
        uow.revise(content)
    ids = [order.id for order in ended]
    # Of all: somebody may have written another note since.
    uow.blank_words(ids)
    return Erased(ended=ids, newly=len(newly), left=len(orders) - len(ended), addresses=addresses)

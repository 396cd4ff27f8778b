"""What the handlers of commands have in common: the order that a command is about, and what became of it."""

from dataclasses import dataclass
from typing import Protocol

from services.chassis.commands import Submitted
from services.order.domain.history import Actor, When
from services.order.domain.orders import Order
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.unit_of_work import OrderUnitOfWork


class OrderCommand(Protocol):
    """A command on an order; `expected_versions` are those that the caller has read, None for any."""

    @property
    def order_id(self) -> str:
        """The order, which is locked."""

    @property
    def actor(self) -> Actor:
        """Who asks."""

    @property
    def note(self) -> str | None:
        """In the actor's words."""

    @property
    def expected_versions(self) -> frozenset[int] | None:
        """See the class."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command that was carried out, on this order."""

    order: Order


Outcome = Accepted | Refusal


def order_of(submitted: Submitted[OrderCommand], uow: OrderUnitOfWork) -> Order | Refusal:
    """Return the order that a command is about, or why it cannot be: it is gone, or not as the caller read it."""
    command = submitted.command
    order = uow.order(command.order_id)
    if order is None:
        return Refusal(RefusalCode.NOT_FOUND, f"there is no order {command.order_id!r} for you")
    if command.expected_versions is not None and order.version not in command.expected_versions:
        detail = f"order {order.number} has version {order.version}; read it again"
        return Refusal(RefusalCode.VERSION_CHANGED, detail, facts={"version": order.version})
    return order


def when_of(submitted: Submitted[OrderCommand], uow: OrderUnitOfWork) -> When:
    """Return when, by whom and why a command changes its order."""
    command = submitted.command
    return When(now=uow.now, actor=command.actor, event_id=submitted.cause.causation_id, note=command.note)

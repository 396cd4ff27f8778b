"""Erases a customer, for whoever answers their request to be forgotten."""

from functools import partial
from typing import Annotated

import typer

from services.chassis.commands import Commands
from services.chassis.counting import counted
from services.chassis.events import Cause, new_id
from services.chassis.idempotency import Answer
from services.order.domain.erasure import EraseCustomer, Erased
from services.order.domain.history import Actor
from services.order.unit_of_work import OrderUnitOfWork

_DONE, _UNKNOWN = 200, 404


def erase(
    commands: Commands[OrderUnitOfWork],
    customer_id: Annotated[str, typer.Option(help="the customer, as their tokens name them")],
    actor: Annotated[str, typer.Option(help="who erases, for the history")] = "operator",
) -> int:
    """Blank who a customer was in orders that have ended, and delete their saved addresses; what was paid stays.

    It ends with the command that does the same with the mails about these orders, and with 1 where nothing is known of
    the customer: an id that was mistyped must not look erased.
    """
    command = EraseCustomer(customer_id=customer_id, actor=Actor(type="admin", id=actor))
    job_id = new_id()

    answer = commands.submit(command, caller=actor, cause=Cause(job_id, job_id), render=partial(_told, customer_id))
    typer.echo(answer.body.decode())
    return 0 if answer.status == _DONE else 1


def _told(customer_id: str, erased: Erased, _uow: OrderUnitOfWork) -> Answer:
    if not (erased.ended or erased.left or erased.addresses):
        return Answer(_UNKNOWN, f"nothing is known of a customer {customer_id!r}: look at the id".encode(), {})
    addresses = f"saved addresses erased: {erased.addresses}"
    if not (erased.ended or erased.left):
        return Answer(_DONE, f"{addresses}; no order is of customer {customer_id!r}".encode(), {})
    lines = [f"{counted(erased.newly, 'order')} erased, {erased.left} not ended yet and left; {addresses}"]
    if erased.ended:
        orders = " ".join(f"--order-id {order_id}" for order_id in erased.ended)
        lines.append(f"for their mails: python -m services.notification erase {orders}")
    return Answer(_DONE, "\n".join(lines).encode(), {})

"""Erases a customer, for whoever answers their request to be forgotten."""

from typing import Annotated

import typer

from services.chassis.commands import Commands
from services.chassis.events import Cause, new_id
from services.chassis.idempotency import Answer
from services.order.domain.erasure import EraseCustomer, Erased
from services.order.domain.history import Actor
from services.order.unit_of_work import OrderUnitOfWork


def erase(
    commands: Commands[OrderUnitOfWork],
    customer_id: Annotated[str, typer.Option(help="the customer, as their tokens name them")],
    actor: Annotated[str, typer.Option(help="who erases, for the history")] = "operator",
) -> int:
    """Blank who a customer was in orders that have ended, and delete their saved addresses; what was paid stays.

    It ends with the command that does the same with the mails about these orders.
    """
    command = EraseCustomer(customer_id=customer_id, actor=Actor(type="admin", id=actor))
    job_id = new_id()

    answer = commands.submit(command, caller=actor, cause=Cause(job_id, job_id), render=_told)
    typer.echo(answer.body.decode())
    return 0


def _told(erased: Erased, _uow: OrderUnitOfWork) -> Answer:
    lines = [f"{erased.newly} orders erased, {erased.left} left that have not ended yet"]
    if erased.ended:
        orders = " ".join(f"--order-id {order_id}" for order_id in erased.ended)
        lines.append(f"for their mails: python -m services.notification erase {orders}")
    return Answer(200, "\n".join(lines).encode(), {})

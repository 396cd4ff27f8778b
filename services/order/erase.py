"""Erases a customer, for whoever answers their request to be forgotten."""

from typing import Annotated

import typer

from services.chassis.commands import Commands
from services.chassis.events import Cause, new_id
from services.chassis.idempotency import Answer
from services.order.domain.erasure import EraseCustomer
from services.order.domain.history import Actor
from services.order.unit_of_work import OrderUnitOfWork


def erase(
    commands: Commands[OrderUnitOfWork],
    customer_id: Annotated[str, typer.Option(help="the customer, as their tokens name them")],
    actor: Annotated[str, typer.Option(help="who erases, for the history")] = "operator",
) -> int:
    """Blank who a customer was in orders that have ended, and delete their saved addresses; what was paid stays."""
    command = EraseCustomer(customer_id=customer_id, actor=Actor(type="admin", id=actor))
    job_id = new_id()

    def told(outcome: tuple[int, int], _uow: OrderUnitOfWork) -> Answer:
        erased, left = outcome
        return Answer(200, f"{erased} orders erased, {left} left that have not ended yet".encode(), {})

    answer = commands.submit(command, caller=actor, cause=Cause(job_id, job_id), render=told)
    typer.echo(answer.body.decode())
    return 0

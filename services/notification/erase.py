"""Erases whom mails went to, for whoever answers a customer's request to be forgotten."""

from typing import Annotated
from uuid import UUID

import typer

from services.chassis.commands import Commands
from services.chassis.counting import counted
from services.chassis.events import Cause, new_id
from services.chassis.idempotency import Answer
from services.notification.domain.erasure import EraseOrders
from services.notification.unit_of_work import NotificationUnitOfWork


def erase(
    commands: Commands[NotificationUnitOfWork],
    order_id: Annotated[list[UUID], typer.Option(help="an order, as `order erase` names it; once for each")],
) -> int:
    """Blank whom the mails about orders went to, and what they said; that they were sent stays."""
    command, job_id = EraseOrders([str(each) for each in order_id]), new_id()
    answer = commands.submit(command, caller="operator", cause=Cause(job_id, job_id), render=_told)
    typer.echo(answer.body.decode())
    return 0


def _told(outcome: tuple[int, int], _uow: NotificationUnitOfWork) -> Answer:
    erased, left = outcome
    return Answer(200, f"{counted(erased, 'mail')} erased, {left} not sent yet and left".encode(), {})

"""Notification's HTTP API: what was sent to whom, and what was not, for admins."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from services.chassis.errors import Problem
from services.chassis.http.answers import answer
from services.chassis.http.call import Call
from services.chassis.http.documents import Page
from services.chassis.http.endpoint import Api
from services.chassis.http.lists import PageQuery, Position, paging
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer
from services.notification.domain.notifications import (
    Audience,
    Notification,
    NotificationStatus,
    SubjectKind,
    Template,
)
from services.notification.unit_of_work import NotificationUnitOfWork

NotificationId = Annotated[UUID, Field(description="the notification's id")]
NotificationCall = Call[NotificationUnitOfWork]

notifications = Api("notifications", prefix="/api/v1/notifications", about="What was told to whom")


class NotificationOut(BaseModel):
    """A notification."""

    model_config = {"title": "Notification"}

    id: str = Field(description="also the left part of the mail's Message-ID")
    order_id: str | None = Field(description="the order that it is about; null for one about stock")
    sku: str | None = Field(description="the variant that it is about; null for one about an order")
    event_id: str = Field(description="the event that it tells of")
    template: Template
    channel: str = Field(examples=["email"])
    audience: Audience
    recipient: str | None = Field(
        description="the address; null while its order is not known yet, and once it was erased"
    )
    status: NotificationStatus = Field(
        description="waiting (for its OrderPlaced), queued, sending, sent, failed, or held: it may have been sent"
    )
    attempts: int = Field(description="tries so far")
    failure: str | None = Field(description="stable code of what went wrong last", examples=["recipient_refused"])
    smtp_status: int | None = Field(description="the mail server's last reply code", examples=[550])
    next_attempt_at: datetime | None = Field(description="when it is tried next; null unless it is queued")
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None


class NotificationQuery(PageQuery):
    """Which notifications."""

    order_id: UUID | None = Field(None, description="about this order")
    recipient: str | None = Field(None, min_length=1, max_length=254, description="to exactly this address")
    status: NotificationStatus | None = None
    template: Template | None = None

    def filters(self) -> dict[str, str]:
        """Return column → value."""
        wanted = {
            "subject": self.order_id,
            "recipient": self.recipient,
            "status": self.status,
            "template": self.template,
        }
        return {column: str(value) for column, value in wanted.items() if value is not None}


@notifications.get("/", allow={Role.ADMIN}, answers={200: Page[NotificationOut]}, refuses=["invalid_cursor"])
def list_notifications(call: NotificationCall, query: NotificationQuery) -> Answer:
    """List notifications.

    The newest first.
    """
    wanted = paging(query, UUID)
    after = None if wanted.after is None else str(wanted.after[0])
    with call.queries() as uow:
        rows = uow.page(query.filters(), after=after, limit=wanted.fetch)
    return wanted.answer(rows, position=_position, show=_shown)


@notifications.get("/<notification_id>/", allow={Role.ADMIN}, answers={200: NotificationOut})
def show_notification(call: NotificationCall, notification_id: NotificationId) -> Answer:
    """Show a notification."""
    with call.queries() as uow:
        row = uow.find(str(notification_id))
    if row is None:
        raise Problem(404, "not_found", f"no notification {notification_id}")
    return answer(_shown(row))


def _position(row: Notification) -> Position:
    return (row.id,)


def _shown(row: Notification) -> NotificationOut:
    return NotificationOut(
        id=row.id,
        order_id=row.subject if row.kind is SubjectKind.ORDER else None,
        sku=row.subject if row.kind is SubjectKind.VARIANT else None,
        event_id=row.event_id,
        template=row.template,
        channel=row.channel,
        audience=row.audience,
        recipient=row.recipient,
        status=row.status,
        attempts=row.attempts,
        failure=row.failure,
        smtp_status=row.smtp_status,
        next_attempt_at=row.due_at if row.status is NotificationStatus.QUEUED else None,
        created_at=row.created_at,
        updated_at=row.updated_at,
        sent_at=row.sent_at,
    )

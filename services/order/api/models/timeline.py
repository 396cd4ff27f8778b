"""The timeline of an order, as it is shown."""

from datetime import datetime

from pydantic import BaseModel, Field


class TimelineEntry(BaseModel):
    """One event, request or deadline of an order's saga."""

    id: str = Field(description="of the event, or of the request")
    type: str = Field(description="fullname of the event; `request` or `deadline` for what came by no topic")
    service: str = Field(description="whose it is; the caller's role for a request", examples=["order", "inventory"])
    topic: str | None
    partition: int | None = Field(description="null where it is not known: the service does not read its own topic")
    offset: int | None
    at: datetime = Field(description="when it was written, or happened")
    caused_by: str | None = Field(description="id of what it names as its cause")
    depth: int = Field(description="how many entries it stands below")
    latency_ms: float | None = Field(description="since its cause; null where that is not known")
    detail: str | None = Field(description="what it did, in codes", examples=["pending → confirmed"])


class Timeline(BaseModel):
    """Every event of an order's saga across the services, each behind its cause."""

    order_id: str
    order_number: str
    data: list[TimelineEntry]

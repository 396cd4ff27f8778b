"""Streams of what becomes of an order."""

from datetime import datetime

from pydantic import BaseModel, Field

from services.order.api.models.orders import HistoryRow


class StreamTicket(BaseModel):
    """What lets a browser open the stream of one order, until it expires."""

    url: str = Field(description="path to open, without a token")
    expires_at: datetime


class StreamedChange(HistoryRow):
    """The data of one event of a stream."""

    order_id: str
    version: int = Field(description="the order's version after the change; also the event's id")

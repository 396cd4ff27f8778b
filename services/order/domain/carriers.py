"""What carriers tell of a shipment, however late, twice or out of order.

A delivery is final, whenever it is told. Of everything else the latest counts, by the carrier's clock: an earlier
event that comes late changes no later state. So what a shipment's status is depends on what was told, and not on the
order in which it was. A clock that is ahead is believed up to the telling: else one such event would hide all others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class ShipmentStatus(StrEnum):
    """Where a shipment stands; derived."""

    SHIPPED = "shipped"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    ATTEMPTED_DELIVERY = "attempted_delivery"
    FAILURE = "failure"
    RETURNED_TO_SENDER = "returned_to_sender"
    DELIVERED = "delivered"


class CarrierEventType(StrEnum):
    """What a carrier tells; the symbols are those of `OrderTrackingUpdated.type`."""

    LABEL_PURCHASED = "label_purchased"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    ATTEMPTED_DELIVERY = "attempted_delivery"
    DELIVERED = "delivered"
    FAILURE = "failure"
    RETURNED_TO_SENDER = "returned_to_sender"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierEvent:
    """Something that a carrier told of a shipment; times in microseconds since the epoch.

    Args:
        event_id: the carrier's own; a shipment has it once.
        occurred_at: by the carrier's clock.
        place: where, as the carrier names its places.
        message: in the carrier's words.
        recorded_at: when we were told.

    """

    event_id: str
    type: CarrierEventType
    occurred_at: int
    place: str | None = None
    message: str | None = None
    recorded_at: int


_T, _S = CarrierEventType, ShipmentStatus
# What is not in here says nothing of where a shipment is.
_STATUS_BY_TYPE: Mapping[CarrierEventType, ShipmentStatus] = {
    _T.IN_TRANSIT: _S.IN_TRANSIT,
    _T.OUT_FOR_DELIVERY: _S.OUT_FOR_DELIVERY,
    _T.ATTEMPTED_DELIVERY: _S.ATTEMPTED_DELIVERY,
    _T.FAILURE: _S.FAILURE,
    _T.RETURNED_TO_SENDER: _S.RETURNED_TO_SENDER,
}
# Of two that happened in the same instant, what usually comes later.
_RANK = {status: n for n, status in enumerate(ShipmentStatus)}


def status_of(events: Sequence[CarrierEvent], delivered_at: int | None) -> ShipmentStatus:
    """Return where a shipment stands."""
    if delivered_at is not None:
        return _S.DELIVERED
    told = [
        (min(event.occurred_at, event.recorded_at), _STATUS_BY_TYPE[event.type])
        for event in events
        if event.type in _STATUS_BY_TYPE
    ]
    return max(told, key=lambda row: (row[0], _RANK[row[1]]), default=(0, _S.SHIPPED))[1]

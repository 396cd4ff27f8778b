"""What a log line says of the event that it is about: the same fields wherever one is logged.

Never personal data: a stranger may write an address where an id belongs, so only what can be an id is logged.
"""

import re

from services.chassis.events import TRACEPARENT, Record
from services.chassis.incoming import Item

Fields = dict[str, str | int]

_ID = re.compile(r"[0-9A-Za-z._:/-]{1,128}")


def of_item(item: Item, *, attempt: int) -> Fields:
    """Return the fields of an event on its way to its handler; `attempt` counts its tries from 1."""
    return of_event(item.received.event, item.received.record, item.received.event_id, attempt=attempt)


def of_event(event: object | None, record: Record, event_id: str, *, attempt: int) -> Fields:
    """Return the fields of an event and its record; `event` is None where it was not decoded."""
    ids = {name: getattr(event, name, None) for name in ("request_id", "order_id")}
    fields: Fields = {name: text for name, text in ids.items() if isinstance(text, str) and _ID.fullmatch(text)}
    trace = TRACEPARENT.fullmatch(record.header("traceparent") or "")
    if trace is not None:
        fields["trace_id"] = trace[1]
    if event is not None:
        fields["event_type"] = type(event).__name__
    place: Fields = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    return {**fields, "event_id": event_id, **place, "attempt": attempt}

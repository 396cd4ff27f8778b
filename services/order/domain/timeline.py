"""The timeline of an order: every event of its saga across the services, each below what caused it.

It is made of what the order's history remembers (the event that was taken, what was told of the change) and of what
others told without changing the order, such as mails. Entries are in causal order: a cause stands before its effects.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from schemas.contracts import NotificationFailed, NotificationSent, StockShipped
from services.order.domain.history import Change

# What others tell of an order that changes nothing of it.
NOTED = (NotificationSent, NotificationFailed, StockShipped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An event of another service, or of a storefront, as this service read it.

    Args:
        type: its fullname.
        at: when it was written to its topic, microseconds since the epoch.
        caused_by: id of the event or request that it names as its own cause.

    """

    event_id: str
    type: str
    topic: str
    partition: int
    offset: int
    at: int
    caused_by: str | None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A row of the order's history with what is known of its cause and its effects.

    Args:
        taken: the event that caused it; None for a request or a deadline.
        told: (event id, fullname) of what was told of it.

    """

    change: Change
    taken: Taken | None
    told: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event, request or deadline of the saga.

    Args:
        id: of the event, or of the request.
        type: fullname of the event; `request` or `deadline` for what came by no topic.
        service: whose it is.
        topic: None for what came by none.
        partition: None where it is not known: this service does not read its own topic.
        caused_by: id of the entry above it, or of something that this service has not seen.
        depth: how many entries it stands below.
        latency_us: microseconds since its cause; None where that is not known.
        detail: what it did, in codes.

    """

    id: str
    type: str
    service: str
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    at: int
    caused_by: str | None = None
    depth: int = 0
    latency_us: int | None = None
    detail: str | None = None


def timeline(history: Sequence[Recorded], notes: Sequence[Taken], topic: str) -> list[Entry]:
    """Return the entries of an order's timeline, in causal order.

    Args:
        history: all rows of the order, oldest first.
        notes: what others told without changing it.
        topic: of the order's own events.

    """
    entries: dict[str, Entry] = {}
    for entry in (*_of_history(history, topic), *map(_of_taken, notes)):
        entries.setdefault(entry.id, entry)
    return list(_in_causal_order(entries))


def _of_history(history: Sequence[Recorded], topic: str) -> Iterable[Entry]:
    for recorded in history:
        change = recorded.change
        cause = change.event_id or f"{change.order_id}/{change.at}"
        if recorded.taken is not None:
            yield replace(_of_taken(recorded.taken), detail=change.reason)
        else:
            kind = "deadline" if change.actor.type == "system" else "request"
            service = "order" if kind == "deadline" else change.actor.type
            yield Entry(id=cause, type=kind, service=service, at=change.at, detail=change.reason)
        for event_id, fullname in recorded.told:
            moved = f"{change.previous_status or 'new'} → {change.status}"
            yield Entry(
                id=event_id, type=fullname, service="order", topic=topic, at=change.at, caused_by=cause, detail=moved
            )


def _of_taken(taken: Taken) -> Entry:
    return Entry(
        id=taken.event_id,
        type=taken.type,
        service=taken.type.split(".")[-2],
        topic=taken.topic,
        partition=taken.partition,
        offset=taken.offset,
        at=taken.at,
        caused_by=taken.caused_by,
        detail=taken.detail,
    )


def _in_causal_order(entries: dict[str, Entry]) -> Iterable[Entry]:
    """Yield every entry below its cause; an entry whose cause is not there stands at the left."""
    effects: dict[str | None, list[Entry]] = {}
    for entry in sorted(entries.values(), key=lambda entry: (entry.at, entry.id)):
        effects.setdefault(entry.caused_by if entry.caused_by in entries else None, []).append(entry)
    waiting = [(entry, 0) for entry in reversed(effects.get(None, []))]
    while waiting:
        entry, depth = waiting.pop()
        cause = entries.get(entry.caused_by or "")
        yield replace(entry, depth=depth, latency_us=None if cause is None else max(0, entry.at - cause.at))
        waiting += [(effect, depth + 1) for effect in reversed(effects.get(entry.id, []))]

"""Who reads which event, and what it does then: what the services' tables of handlers say."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.chassis.incoming import Subscription

_TOLD = re.compile(r"Reacts to: (?P<event>.+?)\.  (?P<effect>.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A service's consumer of one topic.

    Args:
        service: its name.
        group: its Kafka group.
        topic: what it reads.
        reactions: fullname of each event that it handles → what it does then, in Markdown.
        malformed: what it does with a record that it cannot decode; None where it parks that.

    """

    service: str
    group: str
    topic: str
    reactions: Mapping[str, str]
    malformed: str | None


def readers(service: str, subscriptions: Iterable[Subscription[Any]]) -> Iterator[Reader]:
    """Yield a service's readers, a topic each.

    Raises ValueError for a handler whose docstring does not begin with `Reacts to: <event>.  <what follows>`.
    """
    for subscription in subscriptions:
        for topic in subscription.topics:
            foreign = subscription.foreign.get(topic)
            yield Reader(
                service=service,
                group=subscription.consumer,
                topic=topic,
                reactions={
                    event.FULLNAME: reaction(handler)
                    for event, handler in subscription.handlers.items()
                    if topic == event.TOPIC
                },
                malformed=None if foreign is None else reaction(foreign),
            )


def reaction(handler: Any) -> str:
    """Return what a handler does: its name, and what its docstring says of the effect."""
    told = _TOLD.match(handler.__doc__ or "")
    if told is None:
        raise ValueError(f"{handler.__qualname__} does not say what it reacts to")
    return f"`{handler.__name__}`. {told['effect']}"

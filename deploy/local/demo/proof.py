"""The proof: what must be so after the story, whatever happened in it, judged from the facts alone."""

from collections import Counter, defaultdict
from collections.abc import Callable

from deploy.local.demo.facts import REQUESTS, Facts, expected_mails
from deploy.local.demo.promises import Promise
from deploy.local.demo.topics import Event

_SHOWN = 3


def books_balance(facts: Facts) -> Promise:
    """Take the word of inventory's audit: levels are the sum of their movements, reservations hold what is held."""
    status, line = facts.audit
    return Promise("inventory's audit: the books balance", status == 0, line)


def units_add_up(facts: Facts) -> Promise:
    """Compare what was received with what is sold and left, SKU by SKU, in two services that share no database."""
    sold: Counter[str] = Counter()
    for order in facts.orders:
        if order["status"] != "cancelled":
            for item in order["items"]:
                sold[item["sku"]] += item["quantity"]
    left = facts.available
    wrong = [sku for sku, units in facts.received.items() if left[sku] < 0 or units != sold[sku] + left[sku]]
    figure = f"{sum(facts.received.values()):,} received = {sold.total():,} sold + {sum(left.values()):,} left"
    return Promise("every unit is accounted for, SKU by SKU", not wrong, _or_wrong(figure, wrong))


def orders_are_neither_lost_nor_doubled(facts: Facts) -> Promise:
    """Compare the orders of the API, those on the topic, and those that the story placed."""
    listed = Counter(order["id"] for order in facts.orders)
    told = Counter(event.key for event in facts.named("OrderPlaced"))
    kept = listed == told == Counter(facts.placed)
    figure = f"{len(facts.placed)} placed, {told.total()} on the topic, {listed.total()} in the API"
    return Promise("no order is lost, none is doubled", kept, figure)


def requests_are_answered_once(facts: Facts) -> Promise:
    """Count the answers to each different request by Kafka, however often it was sent."""
    records = [event for event in facts.events if event.topic == REQUESTS]
    asked = Counter(key for key, _ in {(event.key, event.value) for event in records})
    answers = facts.named("OrderPlaced", "OrderRequestRejected")
    answered = Counter(event.fields["request_id"] for event in answers if event.fields["request_id"] is not None)
    wrong = sorted((asked - answered) + (answered - asked))
    figure = f"{asked.total()} requests in {len(records)} records, {answered.total()} answers"
    return Promise("every Kafka request is answered exactly once", not wrong, _or_wrong(figure, wrong))


def mails_are_sent_once(facts: Facts) -> Promise:
    """Match the events that somebody is told of with the mails in the directory, and their addresses."""
    expected = expected_mails(facts.events)
    found = Counter((facts.notifications.get(mail.notification_id, ""), mail.recipient) for mail in facts.mails)
    missing, extra = (expected - found).total(), (found - expected).total()
    figure = f"{expected.total()} events to tell of, {found.total()} mails"
    if missing or extra:
        figure += f", {missing} missing, {extra} too many"
    return Promise("each mail arrived exactly once", not missing and not extra, figure)


def keys_are_in_sequence(facts: Facts) -> Promise:
    """Follow each key through the log: the first occurrences of its events count 1, 2, 3 …."""
    sequences: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    events = facts.named(*{event.name for event in facts.events if event.topic != REQUESTS})
    for event in sorted(events, key=_position):
        sequences[event.topic, event.key].append(event.sequence)
    wrong = [key for (_, key), seen in sequences.items() if seen != list(range(1, len(seen) + 1))]
    figure = f"{len(events)} events of {len(sequences)} keys"
    return Promise("the log has every key's events in order", not wrong, _or_wrong(figure, wrong))


def nothing_is_stuck(facts: Facts) -> Promise:
    """List the orders that wait too long, and those that still wait for inventory at all."""
    wrong = {order["order_number"] for order in [*facts.stuck, *(o for o in facts.orders if o["pending_operation"])]}
    figure = f"{len(facts.orders)} orders, {len(wrong)} of them wait"
    return Promise("no order is stuck", not wrong, _or_wrong(figure, sorted(wrong)))


def nothing_is_left_over(facts: Facts) -> Promise:
    """Count what was not published, and what was read and not handled."""
    counts = [*facts.outboxes.values(), *facts.parked.values()]
    outboxes = ", ".join(f"{service} {count}" for service, count in facts.outboxes.items())
    parked = sum(count or 0 for count in facts.parked.values())
    kept = all(count == 0 for count in counts)
    return Promise("outboxes are empty, no event is parked", kept, f"{outboxes}; parked {parked}")


PROOF: tuple[Callable[[Facts], Promise], ...] = (
    books_balance,
    units_add_up,
    orders_are_neither_lost_nor_doubled,
    requests_are_answered_once,
    keys_are_in_sequence,
    mails_are_sent_once,
    nothing_is_stuck,
    nothing_is_left_over,
)


def _position(event: Event) -> tuple[str, int, int]:
    return event.topic, event.partition, event.offset


def _or_wrong(figure: str, wrong: list[str]) -> str:
    if not wrong:
        return figure
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return f"{figure}; wrong: {', '.join(wrong[:_SHOWN])}{more}"

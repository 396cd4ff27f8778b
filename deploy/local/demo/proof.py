"""The proof: what must be so after the story, whatever happened in it, judged from the facts alone."""

from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal

from deploy.local.demo.catalog import CURRENCY
from deploy.local.demo.facts import REQUESTS, Facts, expected_mails
from deploy.local.demo.promises import Promise
from deploy.local.demo.topics import Event

_SHOWN = 3
_DIGITS = 2  # of the demo's currency


def stock_balances(facts: Facts) -> Promise:
    """Take the word of inventory's audit: levels are the sum of their movements, reservations hold what is held."""
    status, line = facts.audits["inventory"]
    return Promise("inventory's audit: the books balance", status == 0, line)


def orders_balance(facts: Facts) -> Promise:
    """Take the word of the order service's audit: payments, history, totals and what left agree."""
    status, line = facts.audits["order"]
    return Promise("the orders' audit: the books balance", status == 0, line)


def units_add_up(facts: Facts) -> Promise:
    """Compare what was received with what is sold and left, SKU by SKU, in two services that share no database."""
    sold: Counter[str] = Counter()
    for order in facts.orders:
        if order["status"] != "cancelled":
            for item in order["items"]:
                sold[item["sku"]] += item["quantity"]
    back: Counter[str] = Counter()
    for event in facts.named("StockRestocked"):
        for line in event.fields["lines"]:
            back[line["sku"]] += line["quantity"]
    left = facts.available
    wrong = [
        sku for sku, units in facts.received.items() if left[sku] < 0 or units + back[sku] != sold[sku] + left[sku]
    ]
    figure = f"{sum(facts.received.values()):,} received + {back.total():,} returned"
    figure += f" = {sold.total():,} sold + {sum(left.values()):,} left"
    return Promise("every unit is accounted for, SKU by SKU", not wrong, _or_wrong(figure, wrong))


def money_adds_up(facts: Facts) -> Promise:
    """Compare what the orders say was paid back with what the topic told of it."""
    told: defaultdict[str, Decimal] = defaultdict(Decimal)
    for event in facts.named("RefundIssued"):
        told[event.key] += Decimal(event.fields["amount_minor"]).scaleb(-_DIGITS)
    listed = {order["id"]: Decimal(order["refunded_amount"]) for order in facts.orders}
    wrong = [order["order_number"] for order in facts.orders if listed[order["id"]] != told[order["id"]]]
    figure = f"{sum(listed.values())} {CURRENCY} in the API, {sum(told.values())} on the topic"
    return Promise("what was paid back was paid back once", not wrong, _or_wrong(figure, wrong))


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
    stock_balances,
    orders_balance,
    units_add_up,
    money_adds_up,
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

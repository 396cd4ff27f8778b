"""Whether everything that was accepted came to its end, once: asked of the databases, the mailbox and the log."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes

from deploy.local.state import SERVICES
from tests.chaos.shop import PLENTY, TOPICS, UNITS, Orders, Shop
from tests.chaos.stories import Story, stories_of
from tests.support.eventually import eventually
from tests.support.log import Entry, Log, first_occurrences, sequence_faults


@dataclass(frozen=True, slots=True)
class Repeats:
    """What was seen more than once where the documents allow it.

    Args:
        records: topic → records in the log beyond the first of each event.
        mails: mails in the mailbox beyond the first of each Message-ID.

    """

    records: dict[str, int]
    mails: int


def await_rest(orders: Orders, within: float) -> None:
    """Wait until every accepted order has come to its end, is mailed, and nothing waits anywhere; else fail."""
    eventually(lambda: _require_rest(orders), within=within, every=0.5)


def require_intact(orders: Orders) -> Repeats:
    """Fail unless each accepted order has had its whole story, once; return what was repeated on the way.

    The figures are printed, to be seen with pytest's `-rP`.
    """
    shop, stories = orders.shop, _stories(orders)
    _require_movements(shop, stories)
    repeated = _require_mails(shop, stories)
    records = _require_log(shop, stories)
    _require_books(shop)
    print(f"{len(stories)} orders; attempts by outcome {orders.load.outcomes()}; repeated: {records}, {repeated} mails")
    return Repeats(records, repeated)


def _stories(orders: Orders) -> dict[str, Story]:
    confirmed = orders.shop.ask(
        "order",
        "SELECT id::text FROM orders WHERE external_reference = %s AND confirmed_at IS NOT NULL",
        orders.label,
    )
    return stories_of(orders.load.accepted, {order_id for (order_id,) in confirmed})


def _require_rest(orders: Orders) -> None:
    shop, stories = orders.shop, _stories(orders)
    assert stories, "no order was accepted"
    rows = shop.ask(
        "order",
        """SELECT id::text, status, reservation_status, cancel_reason, pending_operation FROM orders
           WHERE external_reference = %s""",
        orders.label,
    )
    assert {row[0] for row in rows} == stories.keys(), "the orders in the database are not those that were accepted"
    unfinished = Counter(row[1:] for row in rows if row[1:] != stories[row[0]].end)
    assert not unfinished, f"of {len(rows)} orders these are not at their end: {unfinished}"
    statuses = shop.ask(
        "notification",
        "SELECT status, count(*)::int FROM notifications WHERE subject = ANY(%s) GROUP BY status",
        list(stories),
    )
    wanted = sum(len(story.mails) for story in stories.values())
    assert statuses == [("sent", wanted)], f"{wanted} mails are to be sent, but there are {statuses}"
    for service in SERVICES:
        waiting = shop.ask(service, "SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM parked_keys)")
        assert waiting == [(0, 0)], f"{service} has (unpublished, parked) {waiting}"


def _require_movements(shop: Shop, stories: dict[str, Story]) -> None:
    """Each line of an order moved its units once a step."""
    rows = shop.ask(
        "inventory",
        """SELECT order_id::text, array_agg(kind ORDER BY kind, sku) FROM stock_movements
           WHERE order_id = ANY(%s::uuid[]) GROUP BY order_id""",
        list(stories),
    )
    moved: dict[str, list[str]] = dict(rows)
    for order_id, story in stories.items():
        wanted = [kind for kind in story.movements for _line in range(2)]
        assert moved.get(order_id, []) == wanted, f"order {order_id} moved stock as {moved.get(order_id)}"


def _require_mails(shop: Shop, stories: dict[str, Story]) -> int:
    """One notification an event; its mail is in the mailbox at least once, always with the same Message-ID."""
    rows = shop.ask(
        "notification",
        "SELECT id::text, subject, template, recipient FROM notifications WHERE subject = ANY(%s) ORDER BY template",
        list(stories),
    )
    for order_id, story in stories.items():
        templates = [template for _, subject, template, _ in rows if subject == order_id]
        assert templates == story.mails, f"order {order_id} has the notifications {templates}"
    wanted = {notification_id: recipient for notification_id, _, _, recipient in rows}
    found: Counter[str] = Counter()
    ours = set(wanted.values())
    for file in shop.stack.mails.glob("*.eml"):
        mail = message_from_bytes(file.read_bytes())
        if mail["X-Envelope-To"] in ours:
            notification_id = mail["Message-ID"].strip("<>").partition("@")[0]
            assert wanted.get(notification_id) == mail["X-Envelope-To"], f"{file} belongs to no notification"
            found[notification_id] += 1
    assert found.keys() == wanted.keys(), "mails that were noted as sent are not in the mailbox"
    return found.total() - len(found)


def _require_log(shop: Shop, stories: dict[str, Story]) -> dict[str, int]:
    """Read the topics independently: each key's first occurrences are its story, numbered 1 … n without a hole."""
    with contextlib.closing(Log(shop.stack.kafka.bootstrap_servers, TOPICS)) as log:
        log.settle()
        entries = log.entries
    assert not sequence_faults(entries), sequence_faults(entries)[:5]
    told: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        told[entry.topic, (entry.key or b"").decode()].append(entry)
    repeats: Counter[str] = Counter()
    for order_id, story in stories.items():
        for topic, wanted in story.told.items():
            repeats[topic] += _require_story(told[topic, order_id], wanted)
    return dict(repeats)


def _require_story(entries: Sequence[Entry], wanted: list[str]) -> int:
    """Return how many of a key's records repeat an earlier one, to the byte."""
    first = first_occurrences(entries)
    assert [entry.kind for entry in first] == wanted, f"the log tells {first}"
    original = {entry.event_id: entry for entry in first}
    for entry in entries:
        same = original[entry.event_id]
        assert (entry.partition, entry.value, entry.headers) == (same.partition, same.value, same.headers)
    return len(entries) - len(first)


def _require_books(shop: Shop) -> None:
    """Inventory's audit finds nothing, and every unit that was received is still there."""
    # An API that nobody asked anything since the database came back answers 503 once.
    audit = eventually(lambda: shop.admin("GET", "audit/"), within=5)
    assert audit["ok"], audit["differences"]
    receipts = shop.ask("inventory", "SELECT count(*) FROM stock_movements WHERE kind = 'received'")[0][0]
    on_hand = shop.ask("inventory", "SELECT sum(on_hand)::bigint FROM stock_levels")[0][0]
    assert on_hand == len(PLENTY) * UNITS + receipts - len(PLENTY)

"""What is so after the story, for the proof to judge: read once from REST, topics, metrics and the mail sink."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.demo.client import NOTIFICATIONS, ORDERS
from deploy.local.demo.mails import Mail
from deploy.local.demo.promises import StoryBroken
from deploy.local.demo.settings import OPERATOR
from deploy.local.demo.shop import Order, Shop
from deploy.local.demo.topics import Event
from deploy.local.services import ROOT, get
from deploy.local.state import SERVICES, StackState, service_environment
from schemas import contracts

REST_SECONDS = 30.0
AUDITED = ("inventory", "order")
_METRICS_SECONDS = 5.0
_AUDIT_SECONDS = 60.0
REQUESTS = contracts.OrderRequested.TOPIC
_TOLD_TO_CUSTOMERS = (
    "OrderPlaced",
    "OrderConfirmed",
    "OrderProcessingStarted",
    "OrderShipped",
    "OrderDelivered",
    "OrderCancelled",
    "ReturnApproved",
    "ReturnReceived",
    "RefundIssued",
)
_TOLD_TO_OPERATOR = ("LowStockReached", "OutOfStock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that the proof looks at.

    `received` (units by SKU) and `placed` (order ids) are what the story did; all else is what the system says of
    it. `available` is units by SKU. `audits` are service → the exit status of its audit command and its last line.
    `outboxes` and `parked` count events and keys by service, None where no metric says so. `notifications` are
    notification id → event id.
    """

    received: Mapping[str, int]
    placed: frozenset[str]
    orders: Sequence[Order]
    stuck: Sequence[Order]
    available: Mapping[str, int]
    events: Sequence[Event]
    mails: Sequence[Mail]
    notifications: Mapping[str, str]
    audits: Mapping[str, tuple[int, str]]
    outboxes: Mapping[str, int | None]
    parked: Mapping[str, int | None]

    def named(self, *names: str) -> list[Event]:
        """Return the events of these names, each once, however often its record lies in the log."""
        return first_occurrences(event for event in self.events if event.name in names)


def gather(shop: Shop) -> Facts:
    """Read everything, once the story has come to rest."""
    with ThreadPoolExecutor(len(AUDITED)) as pool:
        audits = dict(zip(AUDITED, pool.map(partial(run_audit, shop.state), AUDITED), strict=True))
    shop.log.read_to_end()
    return Facts(
        received=dict(shop.received),
        placed=frozenset(shop.placed),
        orders=shop.orders(),
        stuck=shop.admin.rows("order", f"{ORDERS}admin/", stuck="true"),
        available={sku: shop.available(sku) for sku in shop.received},
        events=list(shop.log.events),
        mails=shop.mailbox.mails(),
        notifications=_notifications(shop),
        audits=audits,
        outboxes={name: gauge(shop.state, name, "oms_outbox_pending") for name in SERVICES},
        parked={name: gauge(shop.state, name, "oms_parked_keys", absent=0) for name in SERVICES},
    )


def await_rest(shop: Shop) -> None:
    """Wait until nothing is under way: no order awaits inventory, the outboxes are empty, every mail has arrived.

    When it does not come to that in time the proof says so: it looks at the same facts.
    """
    try:
        shop.until("the story to come to rest", lambda: _is_at_rest(shop) or None, within=REST_SECONDS)
    except StoryBroken:
        return


def expected_mails(events: Iterable[Event]) -> Counter[tuple[str, str]]:
    """Return how often each (event id, recipient) is to be told: once for each event that somebody is told of."""
    known = first_occurrences(events)
    addresses = {event.key: event.fields["customer_email"] for event in known if event.name == "OrderPlaced"}
    expected: Counter[tuple[str, str]] = Counter()
    for event in known:
        if event.name in _TOLD_TO_OPERATOR:
            expected[event.id, OPERATOR] += 1
        elif event.name in _TOLD_TO_CUSTOMERS and event.fields.get("notify_customer", True):
            expected[event.id, addresses.get(event.key, "nobody known")] += 1
    return expected


def first_occurrences(events: Iterable[Event]) -> list[Event]:
    """Return each event once, the first time it lies in its partition."""
    return list({(event.topic, event.id): event for event in reversed(list(events))}.values())[::-1]


def run_audit(state: StackState, service: str) -> tuple[int, str]:
    """Run a service's own audit command; return its exit status and the last line that it printed."""
    done = subprocess.run(  # noqa: S603 - a command of a service of ours
        [sys.executable, "-m", f"services.{service}", "audit"],
        cwd=ROOT,
        env={**os.environ, **service_environment(state, service)},
        capture_output=True,
        text=True,
        timeout=_AUDIT_SECONDS,
        check=False,
    )
    lines = (done.stdout.strip() or done.stderr.strip() or "it printed nothing").splitlines()
    return done.returncode, lines[-1].strip()


def gauge(state: StackState, service: str, name: str, *, absent: int | None = None) -> int | None:
    """Return the sum of a gauge over its labels, as the service's worker tells it; `absent` where it tells nothing."""
    text = _metrics(state.services[service].metrics_url)
    values = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    ]
    return int(sum(values)) if values else absent


def _metrics(url: str) -> str:
    try:
        answer = get(url, timeout=_METRICS_SECONDS)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise StoryBroken(f"{url}: {type(error).__name__}") from error
    return answer.text


def _is_at_rest(shop: Shop) -> bool:
    if any(order["pending_operation"] for order in shop.orders()):
        return False
    if any(gauge(shop.state, service, "oms_outbox_pending") for service in SERVICES):
        return False
    shop.log.read_to_end()
    return len(shop.mailbox.mails()) >= expected_mails(shop.log.events).total()


def _notifications(shop: Shop) -> dict[str, str]:
    rows: list[dict[str, Any]] = shop.admin.rows("notification", NOTIFICATIONS)
    return {row["id"]: row["event_id"] for row in rows}

"""Each line of the demo's proof fails for its own reason, and the table of orders fits its terminal."""

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from deploy.local.demo.board import table_of
from deploy.local.demo.facts import REQUESTS, Facts
from deploy.local.demo.mails import Mail
from deploy.local.demo.promises import Promise, all_kept
from deploy.local.demo.proof import PROOF
from deploy.local.demo.settings import OPERATOR
from deploy.local.demo.stage import Stage
from deploy.local.demo.topics import Event

ORDERS, STOCK = "order.events.v1", "inventory.stock.v1"
EMAIL = "ada@customers.example"


def event(name: str, key: str, sequence: int, *, topic: str = ORDERS, **fields: Any) -> Event:
    return Event(
        topic=topic,
        partition=0,
        offset=sequence,
        key=key,
        id=f"{name}-{key}-{sequence}",
        sequence=sequence,
        type=f"oms.x.{name}",
        fields=fields,
        value=b"",
    )


def request(key: str, value: bytes = b"one basket") -> Event:
    return dataclasses.replace(event("OrderRequested", key, 0, topic=REQUESTS), value=value)


def order(identity: str, status: str = "confirmed", **fields: Any) -> dict[str, Any]:
    return {
        "id": identity,
        "order_number": f"ORD0000000{identity}",
        "status": status,
        "reservation_status": "allocated",
        "payment_status": "paid",
        "fulfillment_status": "unfulfilled",
        "refunded_amount": "0.00",
        "cancel_reason": None,
        "pending_operation": None,
        "reserved_until": None,
        "metadata": {},
        "shipping_address": {"first_name": "Ada"},
        "items": [{"sku": "MUG", "quantity": 2}],
        **fields,
    }


def mail(notification: str, recipient: str = EMAIL, subject: str = "We have your order ORD00000001") -> Mail:
    return Mail(recipient=recipient, subject=subject, notification_id=notification)


def rejected(key: str, sequence: int) -> Event:
    return event("OrderRequestRejected", key, sequence, request_id=key)


PLACED = event("OrderPlaced", "1", 1, request_id="web-1", customer_email=EMAIL)
CONFIRMED = event("OrderConfirmed", "1", 2)
RESTOCKED = event(
    "StockRestocked", "1", 1, topic="inventory.events.v1", lines=[{"sku": "MUG", "quantity": 1, "location": "main"}]
)
ISSUED = event("RefundIssued", "1", 3, amount_minor=1250)
LOW = event("LowStockReached", "MUG", 1, topic=STOCK)
TRUE = Facts(
    received={"MUG": 10},
    placed=frozenset({"1"}),
    orders=[order("1")],
    stuck=[],
    available={"MUG": 8},
    events=[request("web-1"), request("web-1"), request("web-2"), PLACED, CONFIRMED, PLACED, rejected("web-2", 1), LOW],
    mails=[mail("n1"), mail("n2"), mail("n3", OPERATOR, "Low stock: MUG")],
    notifications={"n1": PLACED.id, "n2": CONFIRMED.id, "n3": LOW.id},
    audits={"inventory": (0, "0 differences"), "order": (0, "0 differences")},
    outboxes={"order": 0},
    parked={"order": 0},
)
STOCK_BOOKS, ORDER_BOOKS, UNITS, MONEY, NO_LOSS, ANSWERS, SEQUENCE, MAILS, STUCK, LEFT = (
    judge.__name__ for judge in PROOF
)


def broken(facts: Facts) -> list[str]:
    return [judge.__name__ for judge in PROOF if not judge(facts).kept]


def changed(**fields: Any) -> Facts:
    return dataclasses.replace(TRUE, **fields)


def audited(**audits: tuple[int, str]) -> Facts:
    return changed(audits={**TRUE.audits, **audits})


def test_facts_as_they_should_be_break_no_promise() -> None:
    assert broken(TRUE) == []


def test_a_unit_on_the_shelf_again_and_money_paid_back_break_no_promise() -> None:
    facts = changed(
        orders=[order("1", refunded_amount="12.50")],
        available={"MUG": 9},
        events=[*TRUE.events, RESTOCKED, RESTOCKED, ISSUED, ISSUED],
        notifications={**TRUE.notifications, "n4": ISSUED.id},
        mails=[*TRUE.mails, mail("n4")],
    )
    assert broken(facts) == []


@pytest.mark.parametrize(
    ("facts", "promises"),
    [
        pytest.param(audited(inventory=(1, "1 difference")), [STOCK_BOOKS], id="inventory's audit finds a difference"),
        pytest.param(audited(order=(1, "1 difference")), [ORDER_BOOKS], id="the orders' audit finds a difference"),
        pytest.param(changed(available={"MUG": 7}), [UNITS], id="a unit is gone"),
        pytest.param(changed(received={"MUG": 1}, available={"MUG": -1}), [UNITS], id="a unit is oversold"),
        pytest.param(changed(orders=[order("1", "cancelled")]), [UNITS], id="a cancelled order still holds units"),
        pytest.param(changed(events=[*TRUE.events, RESTOCKED]), [UNITS], id="a unit that came back is not there"),
        pytest.param(changed(orders=[order("1", refunded_amount="12.50")]), [MONEY], id="a refund was told to nobody"),
        pytest.param(
            changed(
                events=[*TRUE.events, ISSUED],
                notifications={**TRUE.notifications, "n4": ISSUED.id},
                mails=[*TRUE.mails, mail("n4")],
            ),
            [MONEY],
            id="a refund is not the order's",
        ),
        pytest.param(changed(placed=frozenset({"1", "2"})), [NO_LOSS], id="an order is lost"),
        pytest.param(changed(orders=[order("1"), order("1")], available={"MUG": 6}), [NO_LOSS], id="an order is twice"),
        pytest.param(changed(events=[*TRUE.events, request("web-3")]), [ANSWERS], id="a request has no answer"),
        pytest.param(
            changed(events=[*TRUE.events, request("web-2", b"another basket")]),
            [ANSWERS],
            id="a changed request has no answer of its own",
        ),
        pytest.param(changed(events=[*TRUE.events, rejected("web-2", 2)]), [ANSWERS], id="a request is answered twice"),
        pytest.param(
            changed(events=[*TRUE.events, event("StockReserved", "1", 2, topic="inventory.events.v1")]),
            [SEQUENCE],
            id="a key's first event is missing",
        ),
        pytest.param(changed(mails=TRUE.mails[:2]), [MAILS], id="a mail is missing"),
        pytest.param(changed(mails=[*TRUE.mails, mail("n1")]), [MAILS], id="a mail came twice"),
        pytest.param(
            changed(mails=[mail("n1", "ben@customers.example"), *TRUE.mails[1:]]), [MAILS], id="a mail went astray"
        ),
        pytest.param(changed(stuck=TRUE.orders), [STUCK], id="an order is listed as stuck"),
        pytest.param(
            changed(orders=[order("1", pending_operation="allocating")]), [STUCK], id="an order waits for inventory"
        ),
        pytest.param(changed(outboxes={"order": 1}), [LEFT], id="an event is not published"),
        pytest.param(changed(outboxes={"order": None}), [LEFT], id="no metric tells of the outbox"),
        pytest.param(changed(parked={"order": 1}), [LEFT], id="a key is parked"),
    ],
)
def test_each_lie_breaks_its_promise(facts: Facts, promises: list[str]) -> None:
    assert broken(facts) == promises


def test_a_story_without_promises_has_kept_none() -> None:
    assert not all_kept([])
    assert not all_kept([Promise("kept", kept=True), Promise("broken", kept=False)])


def stage_of(width: int) -> tuple[Stage, Callable[[], list[str]]]:
    screen = Console(file=io.StringIO(), width=width, color_system=None)
    return Stage(screen), lambda: screen.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_table_fits_eighty_columns_with_all_that_it_has_to_say() -> None:
    stage, lines = stage_of(80)
    ended = {"reservation_status": "released", "payment_status": "refund_due", "cancel_reason": "customer_request"}
    crowd = {"metadata": {"crowd": "12 buyers"}}
    pending = {"reservation_status": "reserved", "reserved_until": "2026-01-01T10:00:00Z"}
    orders = [
        order("1", "cancelled", **ended),
        order("2", "delivered"),
        order("9", "delivered", fulfillment_status="partially_returned", refunded_amount="100.00"),
        order("3", "pending", **pending),
        *(order(str(n), "pending", pending_operation="reserving", **crowd) for n in range(4, 9)),
    ]

    stage.show(table_of(orders, [mail("n1"), mail("n2"), mail("n3", subject="Your order ORD00000004 …")]))

    rows = [" ".join(line.split()) for line in lines()]
    assert rows[0] == "who order status stock awaits / ended by mails"
    assert rows[1] == "Ada ORD00000001 cancelled released customer request, refund due 2"
    assert rows[2] == "Ada ORD00000002 delivered allocated - 0"
    assert rows[3] == "Ada ORD00000009 delivered allocated partly returned, 100.00 back 0"
    assert " payment until " in rows[4]
    assert rows[5] == "12 buyers 5 orders pending allocated inventory (reserving) 1"
    assert len(rows) == 6
    assert max(len(line.rstrip()) for line in lines()) <= 80


def test_what_is_recorded_has_the_same_words_whatever_the_screen() -> None:
    recorded = set()
    for width in (60, 80, 120):
        stage, _ = stage_of(width)
        stage.scene("The shop opens", "Variants come in by REST.")
        stage.promise(Promise("a long promise that is kept whatever the width of the terminal may be", True, "42"))
        recorded.add(stage.recorded)

    assert len(recorded) == 1
    assert "✓ a long promise" in recorded.pop()

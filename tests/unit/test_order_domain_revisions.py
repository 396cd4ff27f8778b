"""Edits of an order's lines: what they cost, when they are taken, and what each answer of inventory makes of them."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import contracts
from services.order.domain import edits, revisions
from services.order.domain.edits import AddItem, ChangeItem, Edit, RemoveItem, Repriced, Shop
from services.order.domain.lines import Held, Shortage
from services.order.domain.orders import Order, OrderContent
from services.order.domain.payments import confirm
from services.order.domain.refunds import Refundable
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.revisions import Revision, RevisionReason, RevisionStatus, Settled
from services.order.domain.shipments import may_advance
from services.order.domain.statuses import OrderStatus, PendingOperation, ReservationStatus
from tests.support.saga_builders import (
    ADMIN,
    CONFIRM_TERMS,
    NOW,
    OTHER_SKU,
    SECOND,
    SKU,
    a_line,
    a_payment,
    a_rate,
    a_reserved_order,
    a_variant,
    an_order,
    shop_terms,
    some_content,
    unhurried,
    when,
)
from tests.support.saga_events import stock_answer
from tests.support.saga_tables import REVISION_ANSWERS

TERMS = shop_terms()
SHOP = Shop({SKU: a_variant(), OTHER_SKU: a_variant(OTHER_SKU, 250)}, TERMS)
CONTENT = replace(some_content(a_line(), a_line(OTHER_SKU, 2, item_id="i-2")), subtotal_minor=500, shipping_minor=490)


def an_editable_order(status: str = "pending", **values: Any) -> Order:
    """Return an order that waits for nothing."""
    if status == "pending":
        return a_reserved_order(total_minor=990, **values)
    usual = {"reservation_status": ReservationStatus.ALLOCATED, "pending_operation": None, "deadline_at": None}
    return an_order(status, **{"total_minor": 990, **usual, **values})


def tried(
    edit: Edit, content: OrderContent = CONTENT, order: Order | None = None, shop: Shop = SHOP
) -> Repriced | Refusal:
    return edits.preview(order or an_editable_order(), content, edit, shop, item_id="new", now=NOW + SECOND)


def priced(edit: Edit, **values: Any) -> Repriced:
    found = tried(edit, **values)
    assert isinstance(found, Repriced)
    return found


def refused(edit: Edit, **values: Any) -> Refusal:
    found = tried(edit, **values)
    assert isinstance(found, Refusal)
    return found


GROWN = ChangeItem("i-1", 5)


def asked(order: Order, edit: Edit = GROWN) -> Revision:
    """Ask for an edit, so that its answer is awaited."""
    revision, _ = revisions.request(order, priced(edit, order=order), when(1, actor=ADMIN), TERMS)
    order.history.clear()
    return revision


def settle(order: Order, revision: Revision, answer: str, **values: Any) -> Settled | None:
    told = stock_answer(answer, revision=revision.revision, **values)
    return revisions.settle(told, Refundable(order, CONTENT, (), ()), revision, when(60, event_id="e-1"))


# --- what an edit comes to


def test_an_added_line_has_the_price_of_today_and_the_others_keep_theirs() -> None:
    found = priced(AddItem(SKU, 2)).content
    assert [(line.item_id, line.sku, line.quantity, line.unit_price_minor) for line in found.lines] == [
        ("i-1", SKU, 3, 100),
        ("i-2", OTHER_SKU, 2, 100),
        ("new", SKU, 2, 1000),
    ]
    assert found.lines[2].added_at == NOW + SECOND
    assert (found.subtotal_minor, found.shipping_minor) == (2500, 490)


def test_a_quantity_changes_at_the_price_that_was_agreed() -> None:
    found = priced(ChangeItem("i-1", 5))
    assert [(line.quantity, line.total_minor) for line in found.content.lines] == [(5, 500), (2, 200)]
    assert found.total_minor == 700 + 490


def test_a_line_goes_unless_it_is_the_last() -> None:
    found = priced(RemoveItem("i-1")).content
    assert [line.item_id for line in found.lines] == ["i-2"]
    assert refused(RemoveItem("i-2"), content=found).code is RefusalCode.LAST_ITEM


def test_a_discount_that_is_more_than_what_is_left_takes_all_of_it() -> None:
    content = replace(CONTENT, discount_minor=400)
    assert [line.discount_minor for line in priced(ChangeItem("i-1", 6), content=content).content.lines] == [300, 100]
    found = priced(RemoveItem("i-1"), content=content)
    assert (found.content.discount_minor, found.total_minor) == (200, 490)


def test_tax_and_shipping_are_those_of_the_new_lines() -> None:
    taxed = replace(TERMS, tax_rates={"DE": a_rate("0.10", inclusive=False)})
    found = priced(ChangeItem("i-1", 50), shop=Shop(SHOP.catalog, taxed))
    assert (found.content.shipping_minor, found.content.tax_minor, found.total_minor) == (0, 520, 5720)


def test_a_shipping_method_that_was_given_up_since_costs_what_was_agreed() -> None:
    content = replace(CONTENT, shipping_method="pigeon", shipping_minor=1)
    assert priced(ChangeItem("i-1", 4), content=content).total_minor == 601


@pytest.mark.parametrize(
    ("edit", "code", "pointer"),
    [
        (AddItem("NOPE", 1), "unknown_sku", "/sku"),
        (AddItem("OLD", 1), "inactive_variant", "/sku"),
        (AddItem("USD", 1), "mixed_currency", "/sku"),
        (AddItem(SKU, 101), "quantity_limit", "/quantity"),
        (ChangeItem("i-1", 101), "quantity_limit", "/quantity"),
    ],
)
def test_what_could_not_be_placed_cannot_be_edited_in(edit: Edit, code: str, pointer: str) -> None:
    more = {"OLD": a_variant("OLD", active=False), "USD": a_variant("USD", currency="USD")}
    found = refused(edit, shop=Shop({**SHOP.catalog, **more}, TERMS))
    assert [(fault.code, fault.pointer) for fault in found.faults] == [(code, pointer)]


def test_an_order_has_only_so_many_lines_and_only_so_much_of_money() -> None:
    content = replace(CONTENT, lines=tuple(a_line(item_id=f"i-{n}") for n in range(200)))
    assert refused(AddItem(SKU, 1), content=content).faults[0].code == "quantity_limit"
    dear = Shop({SKU: a_variant(price_minor=2**52)}, TERMS)
    assert refused(AddItem(SKU, 2), shop=dear).faults[0].code == "total_too_large"


@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 50)), min_size=1, max_size=6),
    st.integers(0, 100_000),
    st.sampled_from(["0", "0.07", "0.19"]),
    st.booleans(),
)
@unhurried
def test_the_sums_of_an_edited_order_agree_to_the_minor_unit(
    lines: list[tuple[int, int]], discount: int, rate: str, inclusive: bool
) -> None:
    rows = tuple(
        replace(a_line(item_id=f"i-{n}", quantity=quantity), unit_price_minor=price)
        for n, (price, quantity) in enumerate(lines)
    )
    terms = replace(TERMS, tax_rates={"DE": a_rate(rate, inclusive=inclusive)})
    found = priced(
        ChangeItem("i-0", 7),
        content=replace(CONTENT, lines=rows, discount_minor=discount),
        shop=Shop(SHOP.catalog, terms),
    )
    content = found.content
    assert content.subtotal_minor == sum(line.unit_price_minor * line.quantity for line in content.lines)
    assert content.discount_minor == sum(line.discount_minor for line in content.lines)
    assert content.discount_minor == min(discount, content.subtotal_minor)
    assert found.total_minor >= sum(line.total_minor for line in content.lines)


# --- when it is taken


@pytest.mark.parametrize("status", list(OrderStatus))
def test_an_order_is_edited_until_it_leaves_or_ends(status: OrderStatus) -> None:
    order = an_editable_order(status.value)
    found = edits.obstacle_of(order, CONTENT)
    if status in (OrderStatus.PENDING, OrderStatus.CONFIRMED, OrderStatus.PROCESSING):
        assert found is None
    else:
        assert found is not None
        assert found.code is RefusalCode.NOT_EDITABLE


def test_an_order_of_which_something_has_left_is_not_edited() -> None:
    content = replace(CONTENT, lines=(replace(a_line(), shipped_quantity=1), CONTENT.lines[1]))
    found = edits.obstacle_of(an_editable_order("processing"), content)
    assert found is not None
    assert found.code is RefusalCode.NOT_EDITABLE


@pytest.mark.parametrize("operation", list(PendingOperation))
def test_an_order_that_waits_for_inventory_is_not_edited(operation: PendingOperation) -> None:
    found = edits.obstacle_of(an_editable_order(pending_operation=operation), CONTENT)
    assert found is not None
    assert (found.code, found.facts) == (RefusalCode.OPERATION_IN_PROGRESS, {"pending_operation": operation})


def test_asking_changes_nothing_of_the_order_but_what_it_waits_for() -> None:
    order = an_editable_order()
    before = deepcopy(order)
    revision, told = revisions.request(order, priced(ChangeItem("i-1", 5)), when(1, actor=ADMIN), TERMS)
    [row] = order.history
    assert (row.reason, row.public) == ("revision_requested", False)
    changed = {"pending_operation", "deadline_at", "revision", "version", "updated_at", "history"}
    assert {n for n in Order.__slots__ if getattr(order, n) != getattr(before, n)} == changed  # type: ignore[attr-defined]
    assert (order.pending_operation, order.deadline_at) == (PendingOperation.REVISING, NOW + 301 * SECOND)
    assert (revision.status, revision.total_minor, revision.previous_total_minor) == ("pending", 1190, 990)
    assert [(line.item_id, line.sku, line.quantity) for line in told.lines] == [
        ("i-1", SKU, 5),
        ("i-2", OTHER_SKU, 2),
    ]
    assert (told.revision, told.requested_at) == (1, NOW + SECOND)


# --- what inventory answers


def test_the_code_s_table_of_answers_is_the_tests_own() -> None:
    assert {
        (answer.__name__, status.value): reaction.value
        for answer, row in revisions.REACTIONS.items()
        for status, reaction in row.items()
    } == {cell: "nothing" if word == "-" else word for cell, word in REVISION_ANSWERS.items()}


@pytest.mark.parametrize(("answer", "status"), [cell for cell, word in REVISION_ANSWERS.items() if word == "-"])
def test_an_answer_after_the_end_changes_nothing(answer: str, status: str) -> None:
    order = an_editable_order(status)
    revision = replace(asked(an_editable_order()), revision=1)
    before = deepcopy(order)
    assert settle(order, revision, answer) is None
    assert order == before


@pytest.mark.parametrize("status", ["pending", "confirmed", "processing"])
def test_an_edit_is_true_once_its_stock_is_held(status: str) -> None:
    order = an_editable_order(status, recorded_minor=990)
    revision = asked(order)
    held = (contracts.StockReservedLine(sku=SKU, quantity=5, location="main"),)
    settled = settle(order, revision, "StockReserved", lines=held, expires_at=NOW + 7)
    assert settled is not None
    assert (settled.revision.status, settled.revision.settled_at) == (RevisionStatus.APPLIED, NOW + 60 * SECOND)
    assert settled.content is not None
    assert [line.quantity for line in settled.content.lines] == [5, 2]
    assert (order.status, order.total_minor, order.amount_due_minor) == (status, 1190, 200)
    assert (order.pending_operation, order.deadline_at, order.reserved_until) == (None, None, NOW + 7)
    assert order.held == (Held(SKU, "main", 5),)
    told = settled.told
    assert isinstance(told, contracts.OrderRevised)
    assert (told.revision, told.total_minor, told.amount_due_minor, told.refund_due_minor) == (1, 1190, 200, 0)
    [row] = order.history
    assert (row.reason, row.status, row.event_id, row.public) == ("revised", status, "e-1", True)


@pytest.mark.parametrize("status", ["pending", "confirmed", "processing"])
@pytest.mark.parametrize("reason", list(RevisionReason)[:2])
def test_a_rejected_edit_leaves_the_order_to_the_last_field_as_it_was(status: str, reason: RevisionReason) -> None:
    order = an_editable_order(status, recorded_minor=990)
    before = deepcopy(order)
    revision = asked(order)
    settled = (
        settle(order, revision, "StockRejected")
        if reason is RevisionReason.INSUFFICIENT_STOCK
        else revisions.reject(order, revision, reason, when(60))
    )
    assert settled is not None
    assert (settled.content, settled.revision.status, settled.revision.reason) == (None, "rejected", reason)
    counted = {"revision", "version", "updated_at", "history"}
    assert {n for n in Order.__slots__ if getattr(order, n) != getattr(before, n)} == counted  # type: ignore[attr-defined]
    assert isinstance(settled.told, contracts.OrderRevisionRejected)
    assert (settled.told.revision, settled.told.reason) == (1, reason)
    short = (Shortage(SKU, 3, 1, None),) if reason is RevisionReason.INSUFFICIENT_STOCK else ()
    assert settled.revision.shortages == short
    assert [(s.sku, s.requested, s.available) for s in settled.told.shortages] == [(s.sku, 3, 1) for s in short]


@pytest.mark.parametrize("revision", [None, 0, 1, 3])
@pytest.mark.parametrize("answer", ["StockReserved", "StockRejected"])
def test_only_the_answer_to_the_newest_edit_is_awaited(answer: str, revision: int | None) -> None:
    order = an_editable_order(revision=1)
    asked(order)
    assert revisions.awaits(order, stock_answer(answer, revision=2))
    assert not revisions.awaits(order, stock_answer(answer, revision=revision))
    order.pending_operation = None
    assert not revisions.awaits(order, stock_answer(answer, revision=2))


def test_what_was_paid_beyond_the_new_total_is_due_back() -> None:
    order = an_editable_order("confirmed", recorded_minor=990)
    revision = asked(order, RemoveItem("i-1"))
    settled = settle(order, revision, "StockReserved")
    assert settled is not None
    assert isinstance(settled.told, contracts.OrderRevised)
    assert (order.unrequested_refund_minor, settled.told.refund_due_minor) == (300, 300)


# --- what is missing is paid first


@pytest.mark.parametrize(
    ("recorded", "prepaid", "auto_confirm", "code"),
    [
        pytest.param(990, True, False, None, id="paid"),
        pytest.param(500, True, False, RefusalCode.AMOUNT_DUE_OPEN, id="an edit made it dearer"),
        pytest.param(500, True, True, RefusalCode.AMOUNT_DUE_OPEN, id="of a shop that confirms by itself, too"),
        pytest.param(0, True, False, RefusalCode.AMOUNT_DUE_OPEN, id="an edit made something of nothing"),
        pytest.param(0, True, True, None, id="a shop that confirms unpaid orders sends them"),
        pytest.param(0, False, False, None, id="an invoice"),
    ],
)
def test_a_prepaid_order_is_handed_over_once_all_of_it_is_paid(
    recorded: int, prepaid: bool, auto_confirm: bool, code: RefusalCode | None
) -> None:
    order = an_editable_order("confirmed", recorded_minor=recorded)
    found = may_advance(order, OrderStatus.PROCESSING, prepaid=prepaid, auto_confirm=auto_confirm)
    assert (found.code if found else None) == code


@pytest.mark.parametrize("status", ["pending", "confirmed"])
@pytest.mark.parametrize("known", [False, True])
def test_no_payment_is_taken_while_what_is_due_is_open(status: str, known: bool) -> None:
    order = an_editable_order(status)
    asked(order)
    before = deepcopy(order)
    told, found = confirm(order, a_payment(amount_minor=990), when(2), known=known, prepaid=True, terms=CONFIRM_TERMS)
    assert (told, order) == (None, before)
    assert found is not None
    assert found.code is RefusalCode.OPERATION_IN_PROGRESS


def test_nothing_moves_while_an_edit_is_open() -> None:
    order = an_editable_order("processing")
    asked(order)
    found = may_advance(order, OrderStatus.SHIPPED)
    assert found is not None
    assert found.code is RefusalCode.OPERATION_IN_PROGRESS

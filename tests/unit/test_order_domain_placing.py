"""Placing: what is wrong with a wish, all at once, or the priced order that it becomes."""

from decimal import Decimal
from typing import Any

import pytest

from services.order.domain.drafts import CatalogVariant, Discount, OrderDraft, ShopTerms
from services.order.domain.placing import Placed, Priced, place, price
from services.order.domain.statuses import OrderStatus, PaymentStatus, PendingOperation, ReservationStatus
from tests.support.saga_builders import (
    ADDRESS,
    ADMIN,
    NOW,
    ORDER_ID,
    OTHER_SKU,
    SECOND,
    SKU,
    a_draft,
    a_rate,
    a_variant,
    an_identity,
    shop_terms,
    when,
)

CATALOG = {SKU: a_variant(SKU, 1000), OTHER_SKU: a_variant(OTHER_SKU, 333, product_name="Tee", vendor_id="v-1")}


def priced(
    draft: OrderDraft, terms: ShopTerms | None = None, catalog: dict[str, CatalogVariant] | None = None
) -> Priced:
    found = price(draft, catalog or CATALOG, terms or shop_terms())
    assert isinstance(found, Priced), found
    return found


def faults(
    draft: OrderDraft, terms: ShopTerms | None = None, catalog: dict[str, CatalogVariant] | None = None
) -> list[tuple[str, str]]:
    found = price(draft, catalog or CATALOG, terms or shop_terms())
    assert isinstance(found, list), found
    return [(fault.pointer, fault.code) for fault in found]


def placed(draft: OrderDraft | None = None, terms: ShopTerms | None = None, **identity: Any) -> Placed:
    wish, shop = draft or a_draft((SKU, 2), (OTHER_SKU, 1)), terms or shop_terms()
    return place(priced(wish, shop), shop, an_identity(len(wish.items), **identity), when(actor=ADMIN))


# --- what is wrong


def test_an_order_needs_an_item() -> None:
    assert faults(a_draft(items=())) == [("/items", "missing_items")]


def test_an_unknown_sku_is_refused() -> None:
    assert faults(a_draft((SKU, 1), ("NOPE", 1))) == [("/items/1/sku", "unknown_sku")]


def test_a_variant_that_is_not_for_sale_is_refused() -> None:
    catalog = {SKU: a_variant(SKU, active=False)}
    assert faults(a_draft((SKU, 1)), catalog=catalog) == [("/items/0/sku", "inactive_variant")]


@pytest.mark.parametrize("quantity", [-1, 0, 101, 10**18])
def test_a_quantity_beyond_the_limits_is_refused(quantity: int) -> None:
    assert faults(a_draft((SKU, quantity))) == [("/items/0/quantity", "quantity_limit")]


@pytest.mark.parametrize("quantity", [1, 100])
def test_the_limits_of_a_quantity_are_within(quantity: int) -> None:
    assert priced(a_draft((SKU, quantity))).totals.subtotal == 1000 * quantity


def test_items_of_two_currencies_are_refused() -> None:
    catalog = {SKU: a_variant(SKU), OTHER_SKU: a_variant(OTHER_SKU, currency="USD")}
    assert faults(a_draft((SKU, 1), (OTHER_SKU, 1)), catalog=catalog) == [("/items", "mixed_currency")]


@pytest.mark.parametrize("currency", [None, "EUR"])
def test_a_variant_that_was_retired_before_it_was_first_read_has_no_currency_to_compare(currency: str | None) -> None:
    catalog = {SKU: a_variant(SKU), OTHER_SKU: a_variant(OTHER_SKU, currency="", active=False)}
    for items in ([(SKU, 1), (OTHER_SKU, 1)], [(OTHER_SKU, 1)]):
        draft = a_draft(*items, currency=currency)
        assert faults(draft, catalog=catalog) == [(f"/items/{len(items) - 1}/sku", "inactive_variant")]


def test_another_currency_than_the_catalog_s_is_refused() -> None:
    assert faults(a_draft((SKU, 1), currency="USD")) == [("/currency", "mixed_currency")]


def test_the_catalog_s_currency_may_be_named() -> None:
    assert priced(a_draft((SKU, 1), currency="EUR")).currency == "EUR"


def test_unknown_methods_are_refused() -> None:
    draft = a_draft(shipping_method="pigeon", payment_method="shells")
    assert faults(draft) == [
        ("/shipping_method", "unknown_shipping_method"),
        ("/payment_method", "unknown_payment_method"),
    ]


def test_a_negative_discount_is_refused() -> None:
    draft = a_draft(discounts=(Discount("A", 10), Discount("B", -1)))
    assert faults(draft) == [("/discounts/1/amount", "negative_discount")]


def test_discounts_beyond_the_subtotal_are_refused() -> None:
    draft = a_draft((SKU, 1), discounts=(Discount("A", 600), Discount("B", 401)))
    assert faults(draft) == [("/discounts", "discount_exceeds_subtotal")]


def test_discounts_of_the_whole_subtotal_are_taken() -> None:
    totals = priced(a_draft((SKU, 1), discounts=(Discount("A", 600), Discount("B", 400)))).totals
    assert (totals.discount, totals.total) == (1000, 490)


@pytest.mark.parametrize(
    ("discounts", "expected", "offenders"),
    [
        (["1.5"], None, ["/discounts/0/amount"]),
        (["1", "1.5"], "99", ["/discounts/1/amount"]),
        ([], "99.5", ["/expected_total"]),
        (["1"], "99.5", ["/expected_total"]),
        (["1.5", "2.5"], "99.5", ["/discounts/0/amount", "/discounts/1/amount", "/expected_total"]),
    ],
)
def test_an_amount_with_more_decimals_than_its_currency_is_refused_and_named(
    discounts: list[str], expected: str | None, offenders: list[str]
) -> None:
    catalog = {SKU: a_variant(SKU, currency="JPY")}
    draft = a_draft(
        (SKU, 1),
        discounts=tuple(Discount("A", Decimal(amount)) for amount in discounts),
        expected_total=None if expected is None else Decimal(expected),
    )
    assert faults(draft, catalog=catalog) == [(offender, "too_many_decimals") for offender in offenders]


def test_a_moved_price_refuses_the_order_and_names_the_new_total() -> None:
    found = price(a_draft((SKU, 1), expected_total=Decimal("14.89")), CATALOG, shop_terms())
    assert isinstance(found, list)
    [fault] = found
    assert (fault.pointer, fault.code, fault.total_minor, fault.currency) == (
        "/expected_total",
        "price_changed",
        1490,
        "EUR",
    )


@pytest.mark.parametrize("expected", [1490, Decimal("14.9"), Decimal("14.90")])
def test_an_expected_total_that_is_right_lets_the_order_through(expected: int | Decimal) -> None:
    assert priced(a_draft((SKU, 1), expected_total=expected)).totals.total == 1490


def test_everything_that_is_wrong_is_told_at_once() -> None:
    catalog = {SKU: a_variant(SKU, active=False)}
    draft = a_draft((SKU, 0), ("NOPE", 1), shipping_method="pigeon", discounts=(Discount("A", -1),))
    assert faults(draft, catalog=catalog) == [
        ("/items/0/sku", "inactive_variant"),
        ("/items/0/quantity", "quantity_limit"),
        ("/items/1/sku", "unknown_sku"),
        ("/shipping_method", "unknown_shipping_method"),
        ("/discounts/0/amount", "negative_discount"),
    ]


def test_a_fault_names_the_code_that_it_is_about_and_cuts_it() -> None:
    """It travels in an event, hundreds of them, which must not become larger than the broker takes."""
    code, sku = "c" * 128, "Z" * 128
    draft = a_draft(
        (sku, 0),
        (SKU, 1),
        shipping_method=code,
        payment_method=code,
        currency=code,
        discounts=(Discount(code, -1),),
    )
    found = price(draft, CATALOG, shop_terms())
    assert isinstance(found, list)
    assert len(found) == 6
    assert {(fault.detail.count("Z"), fault.detail.count("c" * 64)) for fault in found} == {(64, 0), (0, 1)}


# --- what it becomes


def test_a_new_order_is_pending_and_waits_for_its_stock() -> None:
    order = placed().order
    assert (order.id, order.status, order.version) == (ORDER_ID, OrderStatus.PENDING, 1)
    assert (order.pending_operation, order.reservation_status) == (
        PendingOperation.RESERVING,
        ReservationStatus.PENDING,
    )
    assert order.deadline_at == NOW + 300 * SECOND
    assert (order.payment_status, order.created_at, order.updated_at) == (PaymentStatus.PENDING, NOW, NOW)


def test_a_new_order_s_history_starts_with_its_placing() -> None:
    [row] = placed().order.history
    assert (row.previous_status, row.status, row.reason, row.actor) == (None, OrderStatus.PENDING, "placed", ADMIN)


def test_prices_come_from_the_catalog_and_are_frozen_on_the_lines() -> None:
    lines = placed().content.lines
    assert [(line.item_id, line.sku, line.product_name, line.vendor_id) for line in lines] == [
        ("i-1", SKU, "Mug", None),
        ("i-2", OTHER_SKU, "Tee", "v-1"),
    ]
    assert [(line.quantity, line.unit_price_minor, line.total_minor) for line in lines] == [
        (2, 1000, 2000),
        (1, 333, 333),
    ]


def test_two_lines_of_one_sku_stay_two_lines_of_the_order() -> None:
    lines = placed(a_draft((SKU, 1), (SKU, 2))).content.lines
    assert [(line.sku, line.quantity) for line in lines] == [(SKU, 1), (SKU, 2)]


def test_the_order_the_content_and_the_event_agree_on_every_amount() -> None:
    draft = a_draft((SKU, 2), (OTHER_SKU, 3), discounts=(Discount("A", 101),))
    made = placed(draft, shop_terms(tax_rates={"DE": a_rate("0.19", inclusive=False)}))
    told, content = made.told, made.content
    amounts = (content.subtotal_minor, content.discount_minor, content.shipping_minor, content.tax_minor)
    assert (told.subtotal_minor, told.discount_minor, told.shipping_minor, told.tax_minor) == amounts
    assert told.total_minor == made.order.total_minor
    assert (
        told.total_minor == content.subtotal_minor - content.discount_minor + content.shipping_minor + content.tax_minor
    )
    assert [(line.item_id, line.discount_minor, line.tax_minor, line.total_minor) for line in told.lines] == [
        (line.item_id, line.discount_minor, line.tax_minor, line.total_minor) for line in content.lines
    ]


def test_what_is_not_named_takes_the_shop_s_defaults() -> None:
    made = placed()
    assert (made.content.shipping_method, made.order.payment_method, made.content.locale) == ("standard", "card", "en")
    assert made.content.billing_address == ADDRESS
    assert made.content.metadata == {}


def test_what_is_named_is_taken() -> None:
    billing = {**ADDRESS, "city": "Köln"}
    draft = a_draft(
        billing_address=billing,
        shipping_method="express",
        payment_method="invoice",
        locale="de-DE",
        notes="ring twice",
        external_reference="x-1",
        metadata={"a": "b"},
        request_id="r-1",
    )
    made = placed(draft)
    content = made.content
    assert (content.shipping_method, content.locale, content.notes) == ("express", "de-DE", "ring twice")
    assert (content.external_reference, content.metadata, content.request_id) == ("x-1", {"a": "b"}, "r-1")
    assert (content.billing_address, made.order.payment_method) == (billing, "invoice")


@pytest.mark.parametrize(("method", "seconds"), [("card", None), ("invoice", 86_400)])
def test_the_event_says_how_long_stock_is_held(method: str, seconds: int | None) -> None:
    assert placed(a_draft(payment_method=method)).told.hold_seconds == seconds


def test_the_event_carries_what_the_other_services_need() -> None:
    told = placed(a_draft(request_id="r-1", external_reference="x-1")).told
    assert (told.order_id, told.customer_id, told.customer_email) == (ORDER_ID, "c-1", "ada@example.org")
    assert (told.request_id, told.external_reference, told.currency, told.placed_at) == ("r-1", "x-1", "EUR", NOW)
    [line] = told.lines
    assert (line.sku, line.product_name, line.variant_name, line.unit_price_minor) == (SKU, "Mug", "blue", 1000)


def test_a_guest_has_no_customer_id() -> None:
    assert placed(a_draft(customer_id=None)).told.customer_id is None


def test_orders_are_numbered_with_the_shop_s_prefix_and_length() -> None:
    number = placed(terms=shop_terms(number_prefix="SHOP-", number_length=6)).order.number
    assert number.startswith("SHOP-")
    assert len(number) == len("SHOP-") + 6

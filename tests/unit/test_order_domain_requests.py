"""Requests by Kafka are foreign input: every fault of their form at once, never a personal value."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.contracts import (
    OrderRequested,
    OrderRequestedAddress,
    OrderRequestedDiscount,
    OrderRequestedItem,
    OrderRequestedPayment,
    PaymentReported,
    PaymentReportedOutcome,
)
from services.order.api.models.addresses import Address
from services.order.domain.drafts import Discount, OrderDraft, WantedItem
from services.order.domain.refusals import Fault
from services.order.domain.requests import draft_of, errors_of, faults_of, id_of, priced_of
from tests.support.saga_builders import ADDRESS, NOW, SKU, a_variant, shop_terms

ADDRESS_SENT = OrderRequestedAddress(**ADDRESS)  # type: ignore[arg-type]  # the names are the class's own


def a_request(**values: Any) -> OrderRequested:
    usual: dict[str, Any] = {
        "request_id": "r-1",
        "customer_email": "ada@example.org",
        "items": (OrderRequestedItem(sku=SKU, quantity=2),),
        "shipping_address": ADDRESS_SENT,
    }
    return OrderRequested(**{**usual, **values})


def address(**values: str | None) -> OrderRequestedAddress:
    return replace(ADDRESS_SENT, **values)  # type: ignore[arg-type]  # the names are the class's own


def faults(**values: Any) -> list[Fault]:
    return faults_of(a_request(**values))


def draft(**values: Any) -> OrderDraft:
    request = a_request(**values)
    assert faults_of(request) == []
    return draft_of(request)


def test_a_request_becomes_the_draft_that_it_asks_for() -> None:
    found = draft(
        customer_id="c-1",
        shipping_method="express",
        payment_method="invoice",
        notes="ring twice",
        locale="de-DE",
        external_reference="x-1",
        metadata={"a": "b"},
        discounts=(OrderRequestedDiscount(code="TEN", amount_minor=10),),
        expected_total_minor=1490,
        currency="EUR",
    )
    assert found == OrderDraft(
        request_id="r-1",
        customer_id="c-1",
        customer_email="ada@example.org",
        items=(WantedItem(SKU, 2),),
        shipping_address=ADDRESS,
        shipping_method="express",
        payment_method="invoice",
        notes="ring twice",
        locale="de-DE",
        external_reference="x-1",
        metadata={"a": "b"},
        discounts=(Discount("TEN", 10),),
        expected_total=1490,
        currency="EUR",
    )


def test_a_billing_address_of_its_own_is_taken() -> None:
    assert draft(billing_address=address(city="Köln")).billing_address == {**ADDRESS, "city": "Köln"}


@pytest.mark.parametrize("name", ["first_name", "last_name", "address1", "city", "postal_code", "country_code"])
@pytest.mark.parametrize("which", ["shipping_address", "billing_address"])
def test_an_address_needs_its_parts(which: str, name: str) -> None:
    [fault] = faults(**{which: address(**{name: ""})})
    assert (fault.pointer, fault.code) == (f"/{which}/{name}", "missing")


# What REST and Kafka have to agree on, though their regular expressions differ in what is white space.
BLANKS = [" ", "   ", "\t\n", "\x1c", "\x85", "\xa0", "\u2003", "\u3000", "\u200b", " \ufeff\u2060", "\u3164"]
SHOWN = ["a", " a", "a\n", "\n\u3000ö", "-", "\u200ba", "東京", "\U0001f3e0"]
NAMES = ["first_name", "last_name", "address1", "city", "postal_code"]


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("name", NAMES)
def test_an_address_needs_more_than_white_space_by_kafka_and_by_rest(name: str, blank: str) -> None:
    [fault] = faults(shipping_address=address(**{name: blank}))
    assert (fault.pointer, fault.code) == (f"/shipping_address/{name}", "invalid_format")
    with pytest.raises(ValidationError) as refused:
        Address.model_validate({**ADDRESS, name: blank})
    assert [error["loc"] for error in refused.value.errors()] == [(name,)]


@pytest.mark.parametrize("text", SHOWN)
@pytest.mark.parametrize("name", NAMES)
def test_white_space_beside_something_else_is_taken_by_kafka_and_by_rest(name: str, text: str) -> None:
    assert draft(shipping_address=address(**{name: text})).shipping_address[name] == text
    assert getattr(Address.model_validate({**ADDRESS, name: text}), name) == text


@pytest.mark.parametrize("name", ["company", "address2", "state_province", "phone"])
def test_an_address_does_without_the_others(name: str) -> None:
    assert draft(shipping_address=address(**{name: None})).shipping_address == ADDRESS


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"request_id": "r" * 129}, "/request_id"),
        ({"customer_id": "c" * 129}, "/customer_id"),
        ({"customer_email": "a" * 250 + "@b.de"}, "/customer_email"),
        ({"shipping_method": "s" * 129}, "/shipping_method"),
        ({"payment_method": "p" * 129}, "/payment_method"),
        ({"currency": "E" * 129}, "/currency"),
        ({"external_reference": "x" * 129}, "/external_reference"),
        ({"notes": "n" * 2001}, "/notes"),
        ({"locale": "de" * 65}, "/locale"),
        ({"items": (OrderRequestedItem(sku="s" * 129, quantity=1),)}, "/items/0/sku"),
        ({"items": (OrderRequestedItem(sku=SKU, quantity=1),) * 201}, "/items"),
        ({"discounts": (OrderRequestedDiscount(code="TEN", amount_minor=1),) * 21}, "/discounts"),
        ({"discounts": (OrderRequestedDiscount(code="T" * 129, amount_minor=1),)}, "/discounts/0/code"),
        ({"metadata": {str(n): "" for n in range(51)}}, "/metadata"),
        ({"metadata": {"k" * 129: ""}}, "/metadata"),
        ({"metadata": {"k": "v" * 501}}, "/metadata"),
        ({"shipping_address": address(city="c" * 201)}, "/shipping_address/city"),
    ],
)
def test_what_is_too_long_is_refused(values: dict[str, Any], pointer: str) -> None:
    assert [(fault.pointer, fault.code) for fault in faults(**values)] == [(pointer, "too_long")]


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"customer_email": "ada"}, "/customer_email"),
        ({"customer_email": "ada@example.org, eve@example.org"}, "/customer_email"),
        ({"customer_email": "Ada <ada@example.org>"}, "/customer_email"),
        ({"locale": "Deutsch (Bayern)"}, "/locale"),
        ({"shipping_address": address(country_code="DEU")}, "/shipping_address/country_code"),
        ({"shipping_address": address(country_code="de")}, "/shipping_address/country_code"),
        ({"shipping_address": address(country_code="UK")}, "/shipping_address/country_code"),
    ],
)
def test_what_has_another_form_is_refused(values: dict[str, Any], pointer: str) -> None:
    assert [(fault.pointer, fault.code) for fault in faults(**values)] == [(pointer, "invalid_format")]


def test_what_has_another_form_is_told_which_it_needs() -> None:
    found = faults(customer_email="ada", locale="?", shipping_address=address(country_code="UK", city="c\0"))
    assert [fault.detail for fault in found] == [
        "/customer_email must be an e-mail address such as ada@shop.example",
        "/locale must be a language tag such as de or pt-BR",
        "/shipping_address/city must not contain the character NUL (U+0000)",
        "/shipping_address/country_code must be a country of ISO 3166-1 in two letters, such as DE",
    ]


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"customer_email": "ada@example.org\n"}, "/customer_email"),
        ({"locale": "de\n"}, "/locale"),
        ({"shipping_address": address(country_code="DE\n")}, "/shipping_address/country_code"),
    ],
)
def test_a_line_feed_at_the_end_is_part_of_the_form(values: dict[str, Any], pointer: str) -> None:
    assert [(fault.pointer, fault.code) for fault in faults(**values)] == [(pointer, "invalid_format")]


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"request_id": "r\0"}, "/request_id"),
        ({"notes": "n\0"}, "/notes"),
        ({"shipping_method": "s\0"}, "/shipping_method"),
        ({"items": (OrderRequestedItem(sku="s\0", quantity=1),)}, "/items/0/sku"),
        ({"discounts": (OrderRequestedDiscount(code="T\0", amount_minor=1),)}, "/discounts/0/code"),
        ({"metadata": {"k\0": "v"}}, "/metadata"),
        ({"metadata": {"k": "v\0"}}, "/metadata"),
        ({"shipping_address": address(city="c\0")}, "/shipping_address/city"),
    ],
)
def test_the_one_character_that_the_database_cannot_hold_is_refused(values: dict[str, Any], pointer: str) -> None:
    assert [(fault.pointer, fault.code) for fault in faults(**values)] == [(pointer, "invalid_format")]


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"request_id": ""}, "/request_id"),
        ({"items": (OrderRequestedItem(sku="", quantity=1),)}, "/items/0/sku"),
        ({"discounts": (OrderRequestedDiscount(code="", amount_minor=1),)}, "/discounts/0/code"),
        ({"metadata": {"": "v"}}, "/metadata"),
    ],
)
def test_what_must_be_there_is_missed(values: dict[str, Any], pointer: str) -> None:
    assert [(fault.pointer, fault.code) for fault in faults(**values)] == [(pointer, "missing")]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = faults(request_id="", notes="n" * 2001, locale="?", shipping_address=address(city="", country_code="X"))
    assert [(fault.pointer, fault.code) for fault in found] == [
        ("/request_id", "missing"),
        ("/notes", "too_long"),
        ("/locale", "invalid_format"),
        ("/shipping_address/city", "missing"),
        ("/shipping_address/country_code", "invalid_format"),
    ]


def told(**values: Any) -> list[tuple[str, str]]:
    found = priced_of(a_request(**values), {SKU: a_variant(SKU)}, shop_terms())
    assert isinstance(found, list), found
    return [(fault.pointer, fault.code) for fault in found]


def test_what_the_shop_does_not_sell_is_told_beside_faults_of_the_form() -> None:
    found = told(
        customer_email="no",
        items=(OrderRequestedItem(sku=SKU, quantity=0), OrderRequestedItem(sku="PIG", quantity=1)),
        shipping_address=address(city="", country_code="Germany"),
        shipping_method="pigeon",
        payment_method="shells",
        discounts=(OrderRequestedDiscount(code="ODD", amount_minor=-1),),
    )
    assert found == [
        ("/customer_email", "invalid_format"),
        ("/shipping_address/city", "missing"),
        ("/shipping_address/country_code", "invalid_format"),
        ("/items/0/quantity", "quantity_limit"),
        ("/items/1/sku", "unknown_sku"),
        ("/shipping_method", "unknown_shipping_method"),
        ("/payment_method", "unknown_payment_method"),
        ("/discounts/0/amount", "negative_discount"),
    ]


def test_what_has_no_form_is_not_looked_up_as_well() -> None:
    odd = OrderRequestedItem(sku="s" * 129, quantity=1)
    assert told(items=(odd,), shipping_method="m\0") == [
        ("/shipping_method", "invalid_format"),
        ("/items/0/sku", "too_long"),
    ]


def test_of_more_items_than_are_taken_only_so_many_are_told() -> None:
    found = told(items=(OrderRequestedItem(sku="PIG", quantity=1),) * 100_000)
    assert len(found) == 201


def test_amounts_are_told_at_the_fields_of_the_event() -> None:
    wrong = [
        "/expected_total",
        "/discounts/10/amount",
        "/amount",
        "/payment/amount_minor",
        "/discounts",
        "/items/0/sku",
    ]
    assert [error.pointer for error in errors_of([Fault(at, "c", "d") for at in wrong], a_request())] == [
        "/expected_total_minor",
        "/discounts/10/amount_minor",
        "/amount_minor",
        "/payment/amount_minor",
        "/discounts",
        "/items/0/sku",
    ]


def test_faults_of_a_payment_that_came_with_a_request_name_it() -> None:
    paid = OrderRequestedPayment(provider="stripe", reference="p-1", amount_minor=-1, currency="EUR")
    request = a_request(payment=paid, payment_method="m\0", notes="\0")
    assert [error.detail for error in errors_of(faults_of(request), request)] == [
        "/payment_method must not contain the character NUL (U+0000)",
        "/notes must not contain the character NUL (U+0000)",
        f"payment 'p-1' of 'stripe': /payment/amount_minor must be between 0 and {2**52}",
    ]


@pytest.mark.parametrize("pointer", ["", "/reference", "/order_id"])
def test_every_fault_of_a_reported_payment_names_it(pointer: str) -> None:
    report = a_report(reference="r" * 10_000)
    [error] = errors_of([Fault(pointer, "code", "is wrong")], report)
    assert error.detail == f"payment '{'r' * 128}' of 'stripe': is wrong"


def a_report(**values: Any) -> PaymentReported:
    usual: dict[str, Any] = {
        "order_id": "0198",
        "provider": "stripe",
        "reference": "p-1",
        "amount_minor": 1000,
        "currency": "EUR",
        "outcome": PaymentReportedOutcome.CAPTURED,
        "reported_at": NOW,
    }
    return PaymentReported(**{**usual, **values})


def test_what_is_wrong_with_metadata_is_told_by_entry_and_part() -> None:
    found = faults(metadata={"a": "b", "k" * 200: "", "channel": "v" * 501, "": "\0"})
    assert [fault.detail for fault in found] == [
        f"the name of the entry '{'k' * 32}...' of /metadata has 200 characters, at most 128 are taken",
        "the value of the entry 'channel' of /metadata has 501 characters, at most 500 are taken",
        "the name of the entry '' of /metadata must not be empty",
        "the value of the entry '' of /metadata must not contain the character NUL (U+0000)",
    ]


def test_a_fault_never_repeats_what_was_sent() -> None:
    secret = "eve-lives-here"
    found = faults(
        customer_email=secret,
        notes=secret * 500,
        shipping_address=address(country_code=secret, city=secret * 50),
    )
    assert len(found) == 4
    assert not [fault for fault in found if secret in fault.detail]


@pytest.mark.parametrize("email", ["ada@example.org", "a.b+c@sub.example.org", "ö@example.org"])
def test_usual_addresses_are_taken(email: str) -> None:
    assert draft(customer_email=email).customer_email == email


def test_a_guest_needs_neither_id_nor_email() -> None:
    found = draft(customer_id=None, customer_email=None)
    assert (found.customer_id, found.customer_email) == (None, None)


@pytest.mark.parametrize(
    ("own", "known_under"),
    [("r-1", "r-1"), ("r" * 128, "r" * 128), ("", "key-1"), ("r" * 129, "key-1"), ("r\0", "key-1")],
)
def test_a_request_without_a_usable_id_is_known_under_its_record_s_key(own: str, known_under: str) -> None:
    assert id_of(a_request(request_id=own), "key-1") == known_under

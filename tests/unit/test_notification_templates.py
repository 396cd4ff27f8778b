"""The words of mails: every template, hostile names, amounts in the locale of the order."""

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from jinja2 import TemplateError

from schemas.contracts import OrderCancelledReason, OrderShippedLine
from services.notification.domain.notifications import (
    REASONS,
    Facts,
    Subject,
    SubjectKind,
    Template,
    mail_to_customer,
    mail_to_operator,
    placed_order,
)
from services.notification.mail.rendering import TEMPLATES, Rendered, Renderer, locale_of, money
from tests.support import notification as support

ORDER = "0198c5f0-0000-7000-8000-000000000001"
KNOWN = Subject(key=ORDER, kind=SubjectKind.ORDER, email="ada@customer.example")
HOSTILE = "<script>alert('x')</script>\r\nBcc: all@customer.example\u2028\u202etxt.exe{{ 7 * 7 }}"


def kept(facts: Facts) -> Facts:
    """Return facts as they come back from the database."""
    returned: Facts = json.loads(json.dumps(facts))
    return returned


def render(event: Any, *, placed: Any = None, locale: str = "en") -> Rendered:
    """Render the mail that an event makes."""
    order = placed or support.placed(ORDER)
    if hasattr(event, "order_id"):
        mail, subject_facts = mail_to_customer(event, KNOWN), kept(placed_order(order)[1].facts)
    else:
        mail, subject_facts = mail_to_operator(event, support.OPERATOR), {}
    assert mail is not None
    return Renderer().render(mail.template, locale=locale, facts=kept(mail.facts), subject_facts=subject_facts)


EVENTS = (
    support.placed(ORDER),
    support.confirmed(ORDER),
    support.processing(ORDER),
    support.shipped(ORDER),
    support.delivered(ORDER),
    support.cancelled(ORDER),
    support.return_approved(ORDER),
    support.return_declined(ORDER),
    support.return_received(ORDER, ("SHIRT-1", 2)),
    support.refund_issued(ORDER),
    support.low_stock(),
    support.out_of_stock(),
)


def test_every_template_has_its_three_files_and_no_file_is_without_one() -> None:
    wanted = {f"{template}.{end}" for template in Template for end in ("subject.txt", "txt", "html")}
    assert {path.name for path in TEMPLATES.iterdir() if not path.name.startswith("_")} == wanted


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_mail_says_something_in_each_of_its_parts(event: Any) -> None:
    mail = render(event)
    assert mail.subject
    assert len(mail.text.splitlines()) >= 1
    assert mail.html.startswith("<!DOCTYPE html>")
    for part in (mail.subject, mail.text, mail.html):
        assert "None" not in part
        assert "{{" not in part


def test_a_part_of_an_order_is_told_with_what_is_in_it_where_to_follow_it_and_when_it_comes() -> None:
    part = replace(support.shipped(ORDER), complete=False, tracking_url="https://track.example/T-1")
    mail = render(part)
    assert mail.subject == "Part of your order ORD10000001 is on its way"
    assert "Follow it: https://track.example/T-1" in mail.text.splitlines()
    assert '<a href="https://track.example/T-1">T-1</a>' in mail.html
    assert render(replace(part, complete=True)).subject == "Your order ORD10000001 is on its way"
    assert "Follow it" not in render(replace(part, tracking_url=None)).text


def test_a_carrier_that_nobody_named_is_left_out() -> None:
    mail = render(replace(support.shipped(ORDER), carrier="unspecified"))
    assert "Your order ORD10000001 has left us." in mail.text.splitlines()
    assert "has left us.</p>" in mail.html
    assert "has left us with Parcel Co." in render(support.shipped(ORDER)).text


def test_goods_of_a_cancelled_order_that_left_all_the_same_are_no_news_for_its_customer() -> None:
    assert mail_to_customer(replace(support.shipped(ORDER), unexpected=True), KNOWN) is None


def test_a_return_is_told_with_its_number_and_what_arrived() -> None:
    assert "RET10000002" in render(support.return_approved(ORDER)).text
    some = render(support.return_received(ORDER, ("SOCKS-9", 3), complete=False))
    assert some.subject == "Part of your return RET10000002 of order ORD10000001 has arrived"
    assert "3 x SOCKS-9" in some.text.splitlines()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_mail_about_an_order_names_it_in_its_subject(event: Any) -> None:
    """A customer who searches a mailbox for an order finds all that was said of it."""
    assert ("ORD10000001" in render(event).subject) == hasattr(event, "order_number")


def test_a_refund_is_told_with_what_came_before() -> None:
    first = render(support.refund_issued(ORDER))
    assert first.subject == "We have paid back €7.00 for your order ORD10000001"
    assert "before" not in first.text
    assert "you got back €9.00" in render(support.refund_issued(ORDER, refunded_total_minor=900)).text


@pytest.mark.parametrize(
    "event",
    [support.return_approved(ORDER, expected=True), support.return_received(ORDER, complete=True)],
    ids=["of a return that nobody asked for", "of a receipt with nothing in it"],
)
def test_what_tells_a_customer_nothing_makes_no_mail(event: Any) -> None:
    assert mail_to_customer(event, KNOWN) is None


def test_an_order_is_told_with_its_lines_and_totals() -> None:
    mail = render(support.placed(ORDER, discount_minor=500, tax_minor=300))
    assert mail.subject == "We have your order ORD10000001"
    for line in ("2 x Shirt (blue): €20.00", "2 x Socks (blue): €20.00", "Shipping: €4.95", "Total: €44.95"):
        assert line in mail.text.splitlines()
    assert "Discount" not in mail.text  # of the order as it was placed, which has none
    assert "<td>2 \xd7 Shirt (blue)</td>" in mail.html


def test_discount_and_tax_are_shown_where_there_are_any() -> None:
    order = support.placed(ORDER, discount_minor=500, tax_minor=300)
    mail = render(order, placed=order)
    assert "Discount: -€5.00" in mail.text.splitlines()
    assert "Tax: €3.00" in mail.text.splitlines()


def test_a_shipment_is_told_with_what_is_in_it() -> None:
    order = support.placed(ORDER)
    lines = (
        OrderShippedLine(item_id=order.lines[1].item_id, sku="SOCK-1", quantity=1),
        OrderShippedLine(item_id="0198c5f0-0000-7000-8000-0000000000cc", sku="NEW-1", quantity=3),
    )
    mail = render(support.shipped(ORDER, lines), placed=order, locale="de")
    assert mail.subject == "Your order ORD10000001 is on its way"
    for line in ("1 x Socks (blue)", "3 x NEW-1", "Tracking number: T-1", "Expected: 11. Oktober 2026"):
        assert line in mail.text.splitlines()


@pytest.mark.parametrize("reason", OrderCancelledReason)
def test_a_cancellation_is_told_with_its_reason_in_words(reason: OrderCancelledReason) -> None:
    mail = render(support.cancelled(ORDER, reason=reason, refund_minor=4495))
    assert f"was cancelled because {REASONS[reason]}." in mail.text
    assert "You get back €44.95." in mail.text.splitlines()
    assert reason.value not in mail.text.replace(REASONS[reason], "")


def test_without_a_refund_none_is_promised() -> None:
    assert "get back" not in render(support.cancelled(ORDER)).text


def test_a_hostile_name_stays_on_its_line_and_is_escaped_in_html() -> None:
    order = support.placed(ORDER)
    lines = tuple(support.hostile_line(line, HOSTILE) for line in order.lines)
    mail = render(support.placed(ORDER, lines=lines), placed=support.placed(ORDER, lines=lines))
    assert "<script>" not in mail.html
    assert "&lt;script&gt;" in mail.html
    assert "{{ 7 * 7 }}" in mail.text  # inserted, never evaluated
    for part in (mail.text, mail.html):
        assert not [line for line in part.splitlines() if line.startswith("Bcc")]
        assert not set(part) & {"\r", "\u2028", "\u202e"}


def test_a_hostile_name_in_a_subject_stays_one_line() -> None:
    mail = render(support.low_stock(HOSTILE))
    assert len(mail.subject.splitlines()) == 1
    assert "\u202e" not in mail.subject


def test_a_fact_that_is_missing_is_an_error_and_no_empty_place() -> None:
    with pytest.raises(TemplateError):
        Renderer().render(Template.LOW_STOCK, locale="en", facts={"sku": "S"}, subject_facts={})


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("de-DE", "1.234,50\xa0€"),
        ("de_AT", "€\xa01.234,50"),
        ("fr", "1\u202f234,50\xa0€"),
        ("en-GB", "€1,234.50"),
        ("de-Klingon", "1.234,50\xa0€"),
        ("xx-nonsense", "€1,234.50"),
        ("", "€1,234.50"),
        ("../../etc/passwd", "€1,234.50"),
    ],
)
def test_amounts_are_written_as_the_locale_writes_them(tag: str, expected: str) -> None:
    assert money(123450, "EUR", locale_of(tag)) == expected


@pytest.mark.parametrize(("currency", "expected"), [("JPY", "¥500"), ("BHD", "BHD0.500"), ("USD", "$5.00")])
def test_minor_units_are_those_of_the_currency(currency: str, expected: str) -> None:
    assert money(500, currency, locale_of("en")) == expected


def test_rendering_does_not_depend_on_what_was_rendered_before() -> None:
    renderer = Renderer()
    facts = kept(placed_order(support.placed(ORDER))[1].facts)
    texts = [
        renderer.render(Template.ORDER_PLACED, locale=locale, facts={}, subject_facts=facts).text
        for locale in ("de", "en", "de")
    ]
    assert texts[0] == texts[2]
    assert [a != b for a, b in itertools.pairwise(texts)] == [True, True]

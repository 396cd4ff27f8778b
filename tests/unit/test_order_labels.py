"""What is printed on labels: read back off the PDF."""

from typing import Any

import pytest

from services.order.domain.labels import Label, address_lines
from services.order.printing.labels import render
from tests.support.code128 import barcodes
from tests.support.pdf_text import pages_of
from tests.support.saga_builders import ADDRESS


def a_label(number: str = "ORD00000001-1", **values: Any) -> Label:
    usual = {"ship_from": ("main",), "ship_to": address_lines(ADDRESS), "carrier": "Post", "units": 1}
    return Label(**{"number": number, "order_number": "ORD00000001", "location": "main", **usual, **values})


def test_a_label_s_barcode_says_the_shipment_s_number() -> None:
    numbers = ["ORD00000001-1", "ORD48213307-12", "1234-1", "A-LONG-PREFIX-00123456789012345678-10"]
    assert barcodes(render([a_label(number) for number in numbers])) == numbers


def test_a_label_says_who_sends_what_to_whom_and_how() -> None:
    to = {**ADDRESS, "first_name": "Łukasz", "last_name": "Żółć (jun.)", "company": "Ελλάδα \\ Пётр", "address2": "2nd"}
    sent = a_label(
        "ORD00000001-2", ship_from=("Tea House", "Quay 1"), ship_to=address_lines(to), units=2, tracking_number="T-1"
    )

    first, second = pages_of(render([a_label(), sent]))

    assert second == [
        *("FROM", "Tea House", "Quay 1"),
        *("TO", "Łukasz Żółć (jun.)", "Ελλάδα \\ Пётр", "1 Main St", "2nd", "53111 Bonn", "DE"),
        *("Order ORD00000001 · 2 units from main", "Post · T-1", "ORD00000001-2"),
    ]
    assert [line for line in first if line not in second] == [
        *("main", "Ada Lovelace", "Order ORD00000001 · 1 unit from main", "Post", "ORD00000001-1"),
    ]


def test_a_label_has_the_same_bytes_whenever_it_is_printed() -> None:
    first = render([a_label(), a_label("ORD00000001-2")])
    render([a_label(ship_to=("Łukasz Żółć",))])
    assert render([a_label(), a_label("ORD00000001-2")]) == first
    assert first.startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Łukasz Żółć", "Łukasz Żółć"),
        ("Ελλάδα", "Ελλάδα"),
        ("Пётр", "Пётр"),
        ("Nguyễn Đặng", "Nguyễn Đặng"),
        ("Mu\u0308ller", "Müller"),
        ("A\u030angstro\u0308m", "Ångström"),
        ("x" * 500, "x" * 500),
        ("two\nlines\x07", "two lines "),
        ("(a) \\ b", "(a) \\ b"),
        # What the font lacks is written in Latin letters.
        ("山田 A", "ShanTian A"),
        ("서울", "SeoUl"),
        ("\u05e9\u05dc\u05d5\u05dd", "slvm"),
        ("\U0001f600", ":grinning:"),
        # What is not a character yet is left out.
        ("A\U000e0fffB", "AB"),
    ],
)
def test_any_name_can_be_printed(name: str, shown: str) -> None:
    printed = render([a_label(ship_to=(name, "Bonn"))])
    assert barcodes(printed) == ["ORD00000001-1"]
    assert shown in pages_of(printed)[0]

"""The words of a mail: subject, plain text and HTML, from the Jinja2 files beside this one.

Names, reasons and codes come from outside. Invariants: whatever is inserted stays on its line, so no name can forge
a header or a line of the text; in HTML it is escaped; a value that is missing is an error, never an empty place.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from schemas.contracts import OrderCancelledReason
from services.chassis.money import digits
from services.notification.domain.notifications import REASONS, Facts, OrderFacts, Template

TEMPLATES = Path(__file__).parent / "templates"
_FALLBACK = Locale("en")
# Line ends of every kind, other controls, and marks that turn the direction of what follows.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a mail says; the subject is one line."""

    subject: str
    text: str
    html: str


def on_one_line(value: object) -> object:
    """Return a value to be inserted; in text, whatever could begin a new line becomes a space."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return _CONTROLS.sub(" ", value)
    return value


def environment() -> Environment:
    """Return the templates, each compiled when it is first used."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        finalize=on_one_line,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=1000)
def locale_of(tag: str) -> Locale:
    """Return the locale of a BCP 47 tag, of its language where the rest is unknown, or English."""
    subtags = re.split("[-_]", tag)
    for end in range(len(subtags), 0, -1):
        try:
            return Locale.parse("_".join(subtags[:end]))
        except (UnknownLocaleError, ValueError):
            continue
    return _FALLBACK


def money(minor: int, currency: str, locale: Locale) -> str:
    """Return an amount of minor units as people of a locale write it."""
    amount = Decimal(minor).scaleb(-digits(currency))
    return format_currency(amount, currency, locale=locale)


def day(text: str, locale: Locale) -> str:
    """Return a day given as YYYY-MM-DD as people of a locale write it; anything else as it is."""
    try:
        return format_date(date.fromisoformat(text), "long", locale=locale)
    except ValueError:
        return text


class Renderer:
    """Renders mails."""

    def __init__(self) -> None:
        self._templates = environment()

    def render(self, template: Template, *, locale: str, facts: Facts, subject_facts: Facts) -> Rendered:
        """Return what a mail says.

        Args:
            template: which mail.
            locale: BCP 47 tag for amounts and dates.
            facts: of the event.
            subject_facts: of the order; none for a variant.

        Raises:
            jinja2.TemplateError, LookupError, TypeError, ValueError: facts and template do not fit.

        """
        context = _context(locale_of(locale), facts, subject_facts)
        return Rendered(
            subject=" ".join(self._render(f"{template.value}.subject.txt", context).split()),
            text=self._render(f"{template.value}.txt", context).strip() + "\n",
            html=self._render(f"{template.value}.html", context),
        )

    def _render(self, name: str, context: Mapping[str, object]) -> str:
        return self._templates.get_template(name).render(context)


def _context(locale: Locale, facts: Facts, subject_facts: Facts) -> dict[str, object]:
    """Return what templates may use: the event's facts by name, `order`, `parcel`, `reason`, `money` and `day`."""
    context: dict[str, object] = {**facts, "day": partial(day, locale=locale)}
    if not subject_facts:
        return context
    order = OrderFacts.of(subject_facts)
    context["order"] = order
    context["money"] = partial(money, currency=order.currency, locale=locale)
    if "lines" in facts:
        context["parcel"] = _parcel(order, facts["lines"])
    if "reason" in facts:
        context["reason"] = REASONS[OrderCancelledReason(facts["reason"])]
    return context


def _parcel(order: OrderFacts, lines: Sequence[Sequence[Any]]) -> list[tuple[int, str]]:
    """Return quantity and name of a shipment's lines; the SKU stands for a line that the order did not have."""
    names = {line.item_id: line.name for line in order.lines}
    return [(quantity, names.get(item_id, sku)) for item_id, sku, quantity in lines]

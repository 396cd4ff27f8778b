"""Analytics: what orders come to, for admins; for a vendor what their own lines do."""

from typing import Any

from services.chassis.errors import Problem
from services.chassis.http.answers import answer
from services.chassis.http.endpoint import Api
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer
from services.chassis.money import decimal_string
from services.order.api.access import scopes_of
from services.order.api.calls import PREFIX, OrderCall
from services.order.api.models import analytics as models
from services.order.api.problems import PROBLEMS
from services.order.domain.analytics import Facts, Period, Report, VendorSales, Wanted, ratio
from services.order.domain.refusals import Refusal
from services.order.domain.statuses import OrderStatus
from services.order.handlers.analytics import view_analytics

analytics = Api("analytics", prefix=PREFIX, about="What orders come to", problems=PROBLEMS)
_READERS = frozenset({Role.ADMIN, Role.VENDOR})
_MICROS = 1_000_000


@analytics.get(
    "/analytics/",
    allow=_READERS,
    answers={200: models.OrderAnalytics},
    refuses=["unknown_time_zone", "invalid_period"],
)
def show_analytics(call: OrderCall, query: models.AnalyticsQuery) -> Answer:
    """Show what the orders placed on some days come to, by currency; a vendor sees their own lines.

    Kept up to date by the worker; `as_of` says until when all changes are in it.
    """
    (scope,) = scopes_of(call.caller, _READERS)
    wanted = Wanted(
        period=query.period or Period.MONTH,
        first=query.first,
        last=query.last,
        zone=query.time_zone,
        compare=query.compare is not None,
    )
    with call.queries() as uow:
        report = view_analytics(uow, scope, wanted)
    if isinstance(report, Refusal):
        raise _problem_of(report)
    return answer(_shown(report, for_all=scope.vendor_id is None))


def _problem_of(refusal: Refusal) -> Problem:
    errors = [{"parameter": fault.pointer, "code": fault.code, "detail": fault.detail} for fault in refusal.faults]
    code = refusal.code.value
    return Problem(PROBLEMS[code].status, code, refusal.detail, errors=errors)


def _shown(report: Report, *, for_all: bool) -> models.OrderAnalytics:
    currencies = sorted(report.facts.keys() | report.previous_facts.keys())
    return models.OrderAnalytics(
        as_of=report.as_of,
        time_zone=report.zone,
        first=report.span.first,
        last=report.span.last,
        previous_from=None if report.previous is None else report.previous.first,
        previous_to=None if report.previous is None else report.previous.last,
        data=[_of_currency(report, currency, for_all=for_all) for currency in currencies],
    )


def _of_currency(report: Report, currency: str, *, for_all: bool) -> models.CurrencyFigures:
    now = _figures(report.facts.get(currency) or Facts(currency, {}), for_all=for_all)
    before = report.previous_facts.get(currency)
    previous = None if before is None else models.Figures(**_figures(before, for_all=for_all))
    return models.CurrencyFigures(**now, currency=currency, previous=previous)


def _figures(facts: Facts, *, for_all: bool) -> dict[str, Any]:
    shown = _Money(facts.currency)
    return {
        "orders": facts.orders,
        "cancelled": facts.orders - facts.sold,
        "units": facts.of("units"),
        "gross": shown(facts.of("gross")),
        "refunded": shown(facts.of("refunded")),
        "revenue": shown(facts.revenue_minor),
        "cancelled_amount": shown(facts.of("cancelled_total")),
        "retained_amount": shown(facts.of("retained")),
        "average_order_value": shown.maybe(facts.average_minor),
        "by_status": [
            models.StatusCount(status=status, orders=facts.of("status", status.value)) for status in OrderStatus
        ],
        "outcomes": _outcomes(facts),
        "time_in_status": _times(facts),
        "top_products": _products(facts, shown),
        "bought_together": [models.ProductPair(skus=list(pair.skus), orders=pair.orders) for pair in facts.pairs],
        "baskets": _baskets(facts),
        "by_weekday": [
            models.WeekdaySales(
                weekday=day,
                orders=facts.of("weekday", str(day)),
                revenue=shown(facts.of("weekday_revenue", str(day))),
            )
            for day in range(1, 8)
        ],
        "by_hour": [
            models.HourSales(
                hour=hour, orders=facts.of("hour", str(hour)), revenue=shown(facts.of("hour_revenue", str(hour)))
            )
            for hour in range(24)
        ],
        "customers": _customers(facts, shown) if for_all else None,
        "vendors": _vendors(facts.vendors(), shown) if for_all else None,
    }


class _Money:
    """Shows amounts of one currency."""

    def __init__(self, currency: str) -> None:
        self._currency = currency

    def __call__(self, minor: int) -> str:
        return decimal_string(minor, self._currency)

    def maybe(self, minor: int | None) -> str | None:
        return None if minor is None else self(minor)


def _outcomes(facts: Facts) -> models.Outcomes:
    return models.Outcomes(
        confirmed=facts.of("confirmed"),
        failed=facts.of("failed"),
        success_rate=facts.success_rate,
        cancelled_by_reason=[
            models.ReasonShare(reason=reason, orders=n, share=ratio(n, facts.orders) or 0.0)
            for reason, n in facts.cancelled()
        ],
    )


def _times(facts: Facts) -> list[models.TimeInStatus]:
    return [
        models.TimeInStatus(
            status=status,
            orders=n,
            p50_seconds=p50 / _MICROS,
            p90_seconds=p90 / _MICROS,
            p99_seconds=p99 / _MICROS,
        )
        for status, n, (p50, p90, p99) in facts.times()
    ]


def _products(facts: Facts, shown: _Money) -> list[models.TopProduct]:
    return [
        models.TopProduct(
            sku=sold.sku,
            product_name=sold.name,
            units=sold.units,
            orders=sold.orders,
            revenue=shown(sold.revenue_minor),
        )
        for sold in facts.products
    ]


def _baskets(facts: Facts) -> models.Baskets:
    return models.Baskets(
        average_units=ratio(facts.of("units"), facts.sold),
        average_lines=ratio(facts.of("lines"), facts.sold),
        by_lines=[
            models.BasketCount(lines=lines, orders=facts.of("basket", str(lines)))
            for lines in sorted(int(key) for key in facts.keys("basket"))
        ],
    )


def _customers(facts: Facts, shown: _Money) -> models.Customers:
    return models.Customers(
        new=facts.of("new"),
        repeat=facts.of("second"),
        returning_orders=facts.of("returning"),
        guest_orders=facts.of("guests"),
        lifetime_value=shown.maybe(facts.lifetime_minor),
    )


def _vendors(sales: list[VendorSales], shown: _Money) -> list[models.VendorShare]:
    total = sum(sold.revenue_minor for sold in sales)
    return [
        models.VendorShare(
            vendor_id=sold.vendor_id,
            orders=sold.orders,
            units=sold.units,
            revenue=shown(sold.revenue_minor),
            share=ratio(sold.revenue_minor, total),
        )
        for sold in sales
    ]

"""Analytics, answered from facts; those who keep them are no handlers, but housekeeping."""

from services.order.domain.analytics import Report, Wanted, span_of, zone_of
from services.order.domain.refusals import Refusal
from services.order.domain.scopes import Scope
from services.order.unit_of_work import OrderUnitOfWork


def view_analytics(uow: OrderUnitOfWork, scope: Scope, wanted: Wanted) -> Report | Refusal:
    """Return what the orders in a scope come to."""
    zone = zone_of(wanted, uow.settings.analytics_time_zones)
    if isinstance(zone, Refusal):
        return zone
    today, as_of = uow.analytics.today(zone)
    span = span_of(wanted, today)
    if isinstance(span, Refusal):
        return span
    previous = span.before() if wanted.compare else None
    return Report(
        zone=zone,
        as_of=as_of,
        span=span,
        previous=previous,
        facts=uow.analytics.facts(scope, zone, span, today),
        previous_facts={} if previous is None else uow.analytics.facts(scope, zone, previous, today),
    )

"""Following an order: by its customer and vendors, and by anybody with the link from a mail."""

from collections.abc import Mapping

from services.chassis.errors import Problem
from services.chassis.events import from_micros
from services.chassis.http.answers import answer
from services.chassis.http.endpoint import Api
from services.chassis.idempotency import Answer
from services.order.api.access import SELLERS, scopes_of
from services.order.api.calls import PREFIX, OrderCall, found
from services.order.api.models.fields import Id
from services.order.api.models.tracking import TrackedChange, TrackedShipment, Tracking
from services.order.api.problems import PROBLEMS
from services.order.api.shipment_views import event_of, is_seen
from services.order.api.views import own_lines
from services.order.domain.shipments import Shipment
from services.order.handlers.orders import OrderView, view_order
from services.order.handlers.shipments import tracking_url
from services.order.handlers.tracking import follow, tracking_path

tracking = Api("tracking", prefix=PREFIX, about="Following orders", problems=PROBLEMS)
links = Api("links", prefix="/api/v1/track", about="Following orders by a link", problems=PROBLEMS)


@tracking.get("/<order_id>/tracking/", allow=SELLERS, answers={200: Tracking}, refuses=["order_not_found"])
def track_order(call: OrderCall, order_id: Id) -> Answer:
    """Show how far an order has come, and the link by which anybody may follow all of it; a vendor gets no link."""
    with call.queries() as uow:
        view = view_order(uow, *found(uow, scopes_of(call.caller, SELLERS), order_id))
        link = tracking_path(view.order.id, uow) if view.scope.vendor_id is None else None
        shown = _shown(view, uow.settings.tracking_links, link)
    return answer(shown)


@links.get("/<link>/", allow=None, answers={200: Tracking}, refuses=["link_invalid"])
def track_by_link(call: OrderCall, link: Id) -> Answer:
    """Show how far the order of a link has come; whoever has the link may see it."""
    with call.queries() as uow:
        view = follow(uow, link)
        if view is None:
            detail = "this link is none of ours; take the whole of it from the mail"
            errors = [{"parameter": "link", "code": "link_invalid", "detail": detail}]
            raise Problem(404, "link_invalid", detail, errors=errors)
        return answer(_shown(view, uow.settings.tracking_links, None))


def _shown(view: OrderView, pages: Mapping[str, str], link: str | None) -> Tracking:
    seen = {line.item_id for line in own_lines(view.details.content.lines, view.scope)}
    return Tracking(
        order_number=view.order.number,
        status=view.order.status,
        shipments=[_shipment(each, pages) for each in view.details.shipments if is_seen(each, seen)],
        history=[
            TrackedChange(status=change.status, reason=change.reason, created_at=from_micros(change.at))
            for change in view.details.history
            if change.public
        ],
        link=link,
    )


def _shipment(shipment: Shipment, pages: Mapping[str, str]) -> TrackedShipment:
    return TrackedShipment(
        number=shipment.number,
        status=shipment.status,
        carrier=shipment.carrier,
        tracking_number=shipment.tracking_number,
        tracking_url=tracking_url(shipment.carrier, shipment.tracking_number, pages),
        estimated_delivery=shipment.estimated_delivery,
        shipped_at=from_micros(shipment.shipped_at),
        delivered_at=None if shipment.delivered_at is None else from_micros(shipment.delivered_at),
        events=[event_of(event) for event in shipment.events],
    )

"""Shipments of an order: what leaves, in parts, and what carriers tell of it."""

from services.chassis.events import to_micros
from services.chassis.http.answers import answer
from services.chassis.http.documents import Page
from services.chassis.http.endpoint import Api
from services.chassis.idempotency import Answer
from services.order.api.access import SHIPPERS, scopes_of
from services.order.api.calls import PREFIX, Known, OrderCall, found, known_order
from services.order.api.models import shipments as models
from services.order.api.models.fields import Id
from services.order.api.problems import PROBLEMS, problem_of
from services.order.api.shipment_views import event_of, is_seen, shipment_of
from services.order.domain.deliveries import RecordCarrierEvent
from services.order.domain.orders import OrderContent
from services.order.domain.picking import Wanted
from services.order.domain.refusals import Refusal
from services.order.domain.scopes import Scope
from services.order.domain.shipments import CreateShipment
from services.order.handlers.orders import view_order
from services.order.handlers.shipments import Recorded, Shipped
from services.order.unit_of_work import OrderUnitOfWork

shipments = Api("shipments", prefix=PREFIX, about="Shipments of orders", problems=PROBLEMS)
_REFUSALS = ["order_not_found", "invalid_status_transition", "unknown_item", "more_than_left"]


@shipments.get(
    "/<order_id>/shipments/", allow=SHIPPERS, answers={200: Page[models.Shipment]}, refuses=["order_not_found"]
)
def list_shipments(call: OrderCall, order_id: Id) -> Answer:
    """List an order's shipments, oldest first, all on one page; a vendor's own lines only."""
    with call.queries() as uow:
        scope, order = found(uow, scopes_of(call.caller, SHIPPERS), order_id)
        details = view_order(uow, scope, order).details
        seen, links = _seen(scope, details.content), uow.settings.tracking_links
    rows = [shipment_of(shipment, seen, links) for shipment in details.shipments if is_seen(shipment, seen)]
    return answer(Page[models.Shipment](data=rows, next_cursor=None), 200)


@shipments.post(
    "/<order_id>/shipments/",
    allow=SHIPPERS,
    answers={201: models.Shipment},
    refuses=[
        *_REFUSALS,
        "operation_in_progress",
        "amount_due_open",
        "unknown_location",
        "location_required",
        "estimate_passed",
    ],
    if_match="honoured",
)
def create_shipment(call: OrderCall, order_id: Id, body: models.ShipmentCreate | None) -> Answer:
    """Ship some units of an order that is processed, from one location.

    The order becomes shipped with the shipment that leaves nothing to ship; until then it is processing, and its
    `fulfillment_status` is partially_fulfilled. What leaves although its order was cancelled meanwhile is recorded as
    `unexpected`. Somebody of a warehouse ships from the locations that their token names, from anywhere without one.
    """
    known, wanted = known_order(call, order_id, SHIPPERS), body or models.ShipmentCreate()
    command = CreateShipment(
        order_id=known.order.id,
        actor=known.actor,
        wanted=Wanted(
            units=None if wanted.items is None else {item.item_id: item.quantity for item in wanted.items},
            location=wanted.location,
            vendor_id=known.scope.vendor_id,
            locations=known.scope.locations,
        ),
        note=wanted.notes,
        carrier=wanted.carrier,
        tracking_number=wanted.tracking_number,
        estimated_delivery=None if wanted.estimated_delivery is None else wanted.estimated_delivery.isoformat(),
        expected_versions=call.expected_versions,
    )
    return call.submit(command, render=_Made(known), subject=known.order.id)


@shipments.post(
    "/<order_id>/shipments/<shipment_id>/events/",
    allow=SHIPPERS,
    answers={200: models.RecordedEvent, 201: models.RecordedEvent},
    refuses=["order_not_found", "shipment_not_found"],
    if_match="honoured",
)
def record_carrier_event(call: OrderCall, order_id: Id, shipment_id: Id, body: models.CarrierEventCreate) -> Answer:
    """Tell what a carrier told of a shipment: 201, or 200 where its `event_id` is known, as it was told first.

    A shipment is named by its id or its number. Events may come late and out of order: what happened earlier changes
    no later state. A delivered shipment stays delivered; the last one of a shipped order delivers the order.
    """
    known = known_order(call, order_id, SHIPPERS)
    command = RecordCarrierEvent(
        order_id=known.order.id,
        shipment_id=shipment_id,
        actor=known.actor,
        event_id=body.event_id,
        type=body.type,
        occurred_at=to_micros(body.occurred_at),
        place=body.place,
        message=body.message,
        vendor_id=known.scope.vendor_id,
        locations=known.scope.locations,
        expected_versions=call.expected_versions,
    )
    return call.submit(command, render=_recorded, subject=known.order.id)


class _Made:
    """Renders the shipment that a command made, as its caller sees it."""

    def __init__(self, known: Known) -> None:
        self._scope = known.scope

    def __call__(self, outcome: Shipped | Refusal, uow: OrderUnitOfWork) -> Answer:
        if isinstance(outcome, Refusal):
            raise problem_of(outcome)
        seen = _seen(self._scope, outcome.content)
        shown = shipment_of(outcome.shipment, seen, uow.settings.tracking_links)
        location = f"{PREFIX}/{outcome.order.id}/shipments/"
        return answer(shown, 201, version=outcome.order.version, location=location)


def _recorded(outcome: Recorded | Refusal, _uow: OrderUnitOfWork) -> Answer:
    if isinstance(outcome, Refusal):
        raise problem_of(outcome)
    shown = models.RecordedEvent(
        **dict(event_of(outcome.event)),
        shipment_id=outcome.shipment.id,
        shipment_status=outcome.shipment.status,
        order_status=outcome.order.status.value,
    )
    return answer(shown, 201 if outcome.is_new else 200, version=outcome.order.version)


def _seen(scope: Scope, content: OrderContent) -> set[str]:
    return {line.item_id for line in content.lines if scope.vendor_id in (None, line.vendor_id)}

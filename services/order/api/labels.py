"""The labels of an order's parcels, as PDF."""

from services.chassis.http.endpoint import Api
from services.chassis.http.threads import in_thread
from services.chassis.idempotency import Answer
from services.order.api.access import SHIPPERS, scopes_of
from services.order.api.calls import PREFIX, OrderCall, found
from services.order.api.models.fields import Id
from services.order.api.models.labels import LabelQuery
from services.order.api.problems import PROBLEMS, problem_of
from services.order.domain.labels import WantedLabels, labels_of
from services.order.domain.refusals import Refusal
from services.order.handlers.orders import view_order
from services.order.handlers.shipments import view_parcels
from services.order.printing.labels import render

labels = Api("labels", prefix=PREFIX, about="Labels of parcels", problems=PROBLEMS)
_PDF = "application/pdf"


@labels.get(
    "/<order_id>/label/",
    allow=SHIPPERS,
    answers={200: _PDF},
    refuses=["order_not_found", "shipment_not_found", "label_not_available"],
)
def show_label(call: OrderCall, order_id: Id, query: LabelQuery) -> Answer:
    """Print the label of an order: a page for each location from which something is still to ship.

    A label bears the shipment's number as a Code 128 barcode. Of what is still to ship it is the number that the
    caller's next shipment from there takes, whoever ships before them: each vendor has their own where goods of
    several lie, and so has a warehouse that packs all of them together. Of a shipment that was made, `shipment` names
    the label. The same label has the same bytes whenever it is printed. A vendor gets the labels of their own parcels.
    """
    with call.queries() as uow:
        scope, order = found(uow, scopes_of(call.caller, SHIPPERS), order_id)
        details = view_order(uow, scope, order).details
        senders, parcels = uow.settings.senders, view_parcels(uow, order)
    wanted = WantedLabels(shipment=query.shipment, vendor_id=scope.vendor_id, locations=scope.locations)
    printed = labels_of(order, details.content, details.shipments, parcels, wanted, ship_from=senders)
    if isinstance(printed, Refusal):
        raise problem_of(printed)
    name = printed[0].number if len(printed) == 1 else order.number
    headers = {"Content-Type": _PDF, "Content-Disposition": f'inline; filename="{name}.pdf"'}
    return Answer(200, in_thread(render, printed), headers)

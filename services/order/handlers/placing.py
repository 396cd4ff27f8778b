"""Placing an order that is asked for by HTTP."""

from services.chassis.commands import Submitted
from services.chassis.events import Cause
from services.order.domain.drafts import OrderDraft
from services.order.domain.history import Actor, When
from services.order.domain.placing import PlaceOrder, place, price
from services.order.domain.refusals import Fault, Refusal, RefusalCode
from services.order.handlers.commands import Accepted, Outcome
from services.order.unit_of_work import OrderUnitOfWork


def place_order(submitted: Submitted[PlaceOrder], uow: OrderUnitOfWork) -> Outcome:
    """Place an order.  Emits: OrderPlaced."""
    return place_draft(submitted.command.draft, submitted.command.actor, submitted.cause, uow)


def place_draft(draft: OrderDraft, actor: Actor, cause: Cause, uow: OrderUnitOfWork) -> Outcome:
    """Place what somebody wants, if it can be."""
    terms = uow.settings.shop_terms
    priced = price(draft, uow.catalog, terms, uow.addresses.known)
    crowded = crowd_of(draft, uow)
    if crowded:
        return Refusal(RefusalCode.INVALID_ORDER, crowded[0].detail, crowded)
    if isinstance(priced, list):
        return Refusal(RefusalCode.INVALID_ORDER, "the order cannot be placed", priced)
    when = When(now=uow.now, actor=actor, event_id=cause.causation_id)
    placed = place(priced, terms, uow.new_identity(len(draft.items)), when)
    uow.add(placed, cause)
    return Accepted(placed.order)


def crowd_of(draft: OrderDraft, uow: OrderUnitOfWork) -> list[Fault]:
    """Return why a customer may not place this for now: too much waits to be paid, and holds stock meanwhile.

    What comes with its payment does not wait for it.
    """
    limit, customer_id = uow.settings.max_open_orders, draft.customer_id
    if limit is None or draft.payment is not None or customer_id is None or uow.open_orders(customer_id) < limit:
        return []
    detail = f"{limit} orders of this customer wait to be paid, the most there may be; pay or cancel one of them"
    return [Fault("", "too_many_open_orders", detail)]

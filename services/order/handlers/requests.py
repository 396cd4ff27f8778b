"""Orders that storefronts ask for by Kafka: each request is answered, once, whatever it says."""

import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from schemas.contracts import OrderRequested, OrderRequestRejected
from services.chassis.events import Received
from services.chassis.incoming import Undecodable
from services.order.domain.history import Actor, When
from services.order.domain.payments import Payment
from services.order.domain.placing import Priced, place
from services.order.domain.refusals import Fault
from services.order.domain.requests import errors_of, id_of, paid_otherwise, priced_of, reference_used
from services.order.handlers.placing import crowd_of
from services.order.unit_of_work import OrderUnitOfWork

_RETRY_SECONDS = 1.0
STOREFRONT = Actor(type="service", id="storefront")


def place_requested_orders(requested: Sequence[Received[OrderRequested]], uow: OrderUnitOfWork) -> None:
    """Reacts to: storefront.OrderRequested.  Emits: OrderPlaced | OrderRequestRejected.

    A payment that came with it confirms the order once its stock is reserved, and is due for refund if it is not.
    """
    for received in requested:
        request = received.event
        digest = hashlib.sha256(json.dumps(request.to_avro(), sort_keys=True).encode()).hexdigest()
        request_id = id_of(request, received.key)
        answered = uow.request(request_id)
        if answered.content_hash is None:
            _answer(received, digest, uow)
        elif answered.content_hash != digest:
            fault = Fault("/request_id", "request_id_reused", f"{request_id!r} came before with other content")
            _reject(request_id, [fault], "request_id_reused", received, uow)


def reject_malformed_requests(malformed: Sequence[Received[Undecodable]], uow: OrderUnitOfWork) -> None:
    """Reacts to: what cannot be decoded.  Emits: OrderRequestRejected; the bytes are kept among the dead events."""
    for received in malformed:
        fault = Fault("", "malformed_request", received.event.error)
        _reject(received.key, [fault], "malformed_request", received, uow)
        uow.tx.bury(received, received.event.error)


def _answer(received: Received[OrderRequested], digest: str, uow: OrderUnitOfWork) -> None:
    priced = priced_of(received.event, uow.catalog, uow.settings.shop_terms)
    if isinstance(priced, list) and _may_become_known(received, priced, uow):
        uow.tx.defer(received, "unknown_sku", _RETRY_SECONDS)
        return
    request = uow.request(id_of(received.event, received.key))
    request.content_hash = digest
    if isinstance(priced, list):
        _reject(request.request_id, priced, "invalid_request", received, uow)
        return
    refused = crowd_of(priced.draft, uow) or _payment_faults(priced.draft.payment, priced, uow)
    if refused:
        _reject(request.request_id, refused, refused[0].code, received, uow)
    else:
        request.order_id = _place(priced, received, uow)


def _place(priced: Priced, received: Received[OrderRequested], uow: OrderUnitOfWork) -> str:
    when = When(now=uow.now, actor=STOREFRONT, event_id=received.event_id)
    placed = place(priced, uow.settings.shop_terms, uow.new_identity(len(priced.draft.items)), when)
    uow.add(placed, received.cause)
    if priced.draft.payment is not None:
        uow.payments.add(placed.order.id, priced.draft.payment, uow.now)
    return placed.order.id


def _payment_faults(payment: Payment | None, priced: Priced, uow: OrderUnitOfWork) -> list[Fault]:
    if payment is None:
        return []
    if uow.payments.holder(payment) is not None:
        return [reference_used("/payment/reference")]
    return paid_otherwise(payment, priced.totals.total, priced.currency)


def _may_become_known(received: Received[OrderRequested], faults: Sequence[Fault], uow: OrderUnitOfWork) -> bool:
    """Whether all that is wrong is a SKU that the catalog may still bring."""
    grace = timedelta(seconds=uow.settings.catalog_grace_seconds)
    waited = uow.tx.now - (received.waiting_since or uow.tx.now)
    return waited < grace and all(fault.code == "unknown_sku" for fault in faults)


def _reject(request_id: str, faults: Sequence[Fault], code: str, received: Received[Any], uow: OrderUnitOfWork) -> None:
    errors = errors_of(faults, received.event)
    rejected = OrderRequestRejected(request_id=request_id, code=code, errors=errors, rejected_at=uow.now)
    uow.tell_request(request_id, rejected, received.cause)

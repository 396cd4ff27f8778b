"""The endpoints of inventory."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from services.chassis.errors import Problem
from services.chassis.events import new_id
from services.chassis.http.answers import answer, not_modified
from services.chassis.http.auth import Caller
from services.chassis.http.call import Call
from services.chassis.http.documents import Page
from services.chassis.http.endpoint import Api
from services.chassis.http.lists import paging
from services.chassis.http.roles import ANY_ROLE, Role
from services.chassis.idempotency import Answer
from services.chassis.money import digits, minor_units
from services.inventory.api import models, views
from services.inventory.api.problems import PROBLEMS, problem_of
from services.inventory.domain.commands import (
    AdjustStock,
    PutVariant,
    ReceiveStock,
    Refusal,
    RefusalCode,
    RetireVariant,
)
from services.inventory.domain.stock import Because, StockLevel
from services.inventory.domain.variants import Variant
from services.inventory.unit_of_work import InventoryUnitOfWork

PREFIX = "/api/v1/inventory"
InventoryCall = Call[InventoryUnitOfWork]
inventory = Api("inventory", prefix=PREFIX, about="Variants, stock and its ledger", problems=PROBLEMS)
_WRITERS = {Role.ADMIN, Role.SERVICE, Role.VENDOR}
_STOCKERS = {Role.ADMIN, Role.WAREHOUSE}


@inventory.get("/variants/", allow=ANY_ROLE, answers={200: Page[models.Variant]})
def list_variants(call: InventoryCall, query: models.VariantQuery) -> Answer:
    """List variants, by SKU."""
    wanted = paging(query, str)
    filters = {"q": query.q, "vendor_id": query.vendor_id, "active": query.active}
    after = None if wanted.after is None else wanted.after[0]
    with call.queries() as uow:
        rows = uow.find_variants({**filters, "after": after, "limit": wanted.fetch})
    return wanted.answer(rows, position=lambda row: (row.sku,), show=views.variant_of)


@inventory.get(
    "/variants/<sku>/", allow=ANY_ROLE, answers={200: models.Variant}, refuses=["unknown_sku"], versioned=True
)
def show_variant(call: InventoryCall, sku: models.Id) -> Answer:
    """Show a variant."""
    with call.queries() as uow:
        variant = uow.find_variant(sku)
    if variant is None:
        raise _unknown(sku)
    if call.is_unchanged(variant.version):
        return not_modified(variant.version)
    return answer(views.variant_of(variant), version=variant.version)


@inventory.put(
    "/variants/<sku>/",
    allow=_WRITERS,
    answers={200: models.Variant},
    refuses=["foreign_variant", "invalid_price"],
    if_match="honoured",
)
def put_variant(call: InventoryCall, sku: models.Id, body: models.VariantPut) -> Answer:
    """Publish a variant, new or changed."""
    command = PutVariant(
        sku=sku,
        product_name=body.product_name,
        variant_name=body.variant_name,
        vendor_id=_vendor_of(call.caller, body.vendor_id),
        price_minor=_price(body),
        currency=body.currency,
        low_stock_threshold=body.low_stock_threshold,
        active=body.active,
        only_of_vendor=_only_of(call.caller),
        expected_versions=call.expected_versions,
    )
    return call.submit(command, render=_variant_shown, subject=sku)


@inventory.post(
    "/variants/<sku>/retire/",
    allow=_WRITERS,
    answers={200: models.Variant},
    refuses=["unknown_sku", "foreign_variant"],
)
def retire_variant(call: InventoryCall, sku: models.Id) -> Answer:
    """Take a variant out of the catalog; orders that have it keep it."""
    command = RetireVariant(sku=sku, only_of_vendor=_only_of(call.caller))
    return call.submit(command, render=_variant_shown, subject=sku)


@inventory.get(
    "/stock/<sku>/",
    allow={Role.ADMIN, Role.WAREHOUSE, Role.SERVICE},
    answers={200: models.StockLevels},
    refuses=["unknown_sku"],
)
def show_stock(call: InventoryCall, sku: models.Id) -> Answer:
    """Show the levels of a SKU, by location."""
    with call.queries() as uow:
        if uow.find_variant(sku) is None:
            raise _unknown(sku)
        levels = uow.find_levels(sku)
    available = sum(level.available for level in levels)
    return answer(models.StockLevels(sku=sku, available=available, locations=[views.level_of(row) for row in levels]))


@inventory.post(
    "/stock/<sku>/receipts/",
    allow=_STOCKERS,
    answers={201: models.StockLevel},
    refuses=["unknown_sku", "foreign_location"],
)
def receive_stock(call: InventoryCall, sku: models.Id, body: models.ReceiptCreate) -> Answer:
    """Record units that came in; somebody of a warehouse at the locations that their token names, if it names any."""
    _require_own_location(call.caller, body.location)
    because = Because(event_id=new_id(), actor=call.caller.subject, reference=body.reference)
    command = ReceiveStock(sku=sku, location=body.location, quantity=body.quantity, because=because)
    return call.submit(command, render=_level_shown, subject=sku)


@inventory.post(
    "/stock/<sku>/adjustments/",
    allow=_STOCKERS,
    answers={201: models.StockLevel},
    refuses=["unknown_sku", "foreign_location", "stock_changed", "stock_held"],
)
def adjust_stock(call: InventoryCall, sku: models.Id, body: models.AdjustmentCreate) -> Answer:
    """Correct a level, at one's own locations as receipts are; the reason is kept in the ledger."""
    _require_own_location(call.caller, body.location)
    because = Because(event_id=new_id(), actor=call.caller.subject, reason=body.reason)
    command = AdjustStock(
        sku=sku,
        location=body.location,
        because=because,
        quantity=body.quantity,
        on_hand=body.on_hand,
        expected_on_hand=body.expected_on_hand,
    )
    return call.submit(command, render=_level_shown, subject=sku)


@inventory.get("/reservations/", allow=_STOCKERS, answers={200: Page[models.Reservation]})
def list_reservations(call: InventoryCall, query: models.ReservationQuery) -> Answer:
    """List what is held for orders, oldest first."""
    wanted = paging(query, UUID)
    after = None if wanted.after is None else wanted.after[0]
    filters = {"order_id": query.order_id, "status": query.status, "after": after, "limit": wanted.fetch}
    with call.queries() as uow:
        rows = uow.find_reservations(filters)
    return wanted.answer(rows, position=lambda row: (row.order_id,), show=views.reservation_of)


@inventory.get("/movements/", allow=_STOCKERS, answers={200: Page[models.Movement]})
def list_movements(call: InventoryCall, query: models.MovementQuery) -> Answer:
    """List the ledger, newest first."""
    wanted = paging(query, int)
    after = None if wanted.after is None else wanted.after[0]
    filters: dict[str, Any] = {"sku": query.sku, "order_id": query.order_id, "kind": query.kind}
    with call.queries() as uow:
        rows = uow.find_movements({**filters, "after": after, "limit": wanted.fetch})
    return wanted.answer(rows, position=lambda row: (row.id,), show=views.movement_of)


@inventory.get("/audit/", allow={Role.ADMIN}, answers={200: models.Audit})
def show_audit(call: InventoryCall) -> Answer:
    """Prove that levels are the sum of their movements, and that open reservations hold what is held."""
    with call.queries() as uow:
        return answer(views.audit_of(uow.audit()))


def _variant_shown(outcome: Variant | Refusal, _uow: InventoryUnitOfWork) -> Answer:
    if isinstance(outcome, Refusal):
        raise problem_of(outcome)
    return answer(views.variant_of(outcome), version=outcome.version)


def _level_shown(outcome: StockLevel | Refusal, _uow: InventoryUnitOfWork) -> Answer:
    if isinstance(outcome, Refusal):
        raise problem_of(outcome)
    return answer(views.level_of(outcome), 201)


def _price(body: models.VariantPut) -> int:
    part = "/currency"
    try:
        digits(body.currency)
        part = "/price"
        return minor_units(Decimal(body.price), body.currency)
    except ValueError as error:
        errors = [{"pointer": part, "code": "invalid_price", "detail": str(error)}]
        raise Problem(422, "invalid_price", str(error), errors=errors) from error


def _only_of(caller: Caller) -> str | None:
    return None if caller.has(Role.ADMIN, Role.SERVICE) else caller.vendor_id


def _vendor_of(caller: Caller, named: str | None) -> str | None:
    own = _only_of(caller)
    if own is not None and named not in (None, own):
        detail = f"you are vendor {own!r}; a variant of {named!r} is not yours to publish"
        raise problem_of(Refusal(RefusalCode.FOREIGN_VARIANT, detail, field="vendor_id"))
    return own or named


def _require_own_location(caller: Caller, location: str) -> None:
    """Refuse what somebody of one warehouse does at another's location.

    Raises:
        Problem: 403 naming both.

    """
    if caller.has(Role.ADMIN) or not caller.locations or location in caller.locations:
        return
    detail = f"your token is for {', '.join(sorted(caller.locations))}, not for {location!r}"
    errors = [{"pointer": "/location", "code": "foreign_location", "detail": detail}]
    raise Problem(403, "foreign_location", detail, errors=errors)


def _unknown(sku: str) -> Problem:
    return problem_of(Refusal(RefusalCode.UNKNOWN_SKU, f"no variant has the SKU {sku!r}"))

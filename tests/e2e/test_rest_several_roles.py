"""Tokens of several roles: at each endpoint only those roles count that it is open to, and none lends to another."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from tests.support.running_shop import Shop
from tests.support.storefront import Client, unique

Order = dict[str, Any]
VENDOR_TOO, WAREHOUSE_TOO = ("customer", "vendor"), ("customer", "warehouse")
ALL_THREE = (*VENDOR_TOO, "warehouse")
CUSTOMERS = [VENDOR_TOO, WAREHOUSE_TOO, ALL_THREE]
STAFF = [("customer", "admin"), ("vendor", "admin"), ("vendor", "service"), ("warehouse", "service")]
HIDDEN_FROM_VENDORS = ("customer_email", "billing_address", "shipping_amount", "amount_due", "refunded_amount")


def named(roles: Iterable[str]) -> str:
    """Return the name of a row."""
    return "+".join(roles)


def several(
    shop: Shop,
    roles: Iterable[str],
    subject: str,
    vendor_id: str | None = None,
    locations: list[str] | None = None,
) -> Client:
    """Return a caller with all of these roles; `locations` are their warehouse's."""
    settings = shop.callers.state.jwt
    claims = {
        "sub": subject,
        "roles": list(roles),
        "iss": settings.issuer,
        "aud": settings.audience,
        "exp": datetime.now(UTC) + timedelta(hours=1),
        "email": "eve@example.org",
        "vendor_id": vendor_id,
        "locations": locations,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    return Client(shop.callers.urls, jwt.encode(kept, settings.secret, algorithm=settings.algorithm), subject)


@dataclass(frozen=True)
class World:
    """Eve, who is a customer and works for a vendor, and orders of hers and of others.

    Args:
        eve: her subject.
        vendor_id: her vendor's.
        own: placed by her, of things that her vendor does not sell.
        sole: placed by somebody else, of things of her vendor's only.
        shared: placed by somebody else, of things of two vendors.
        strange: placed by somebody else, of things of another vendor.

    """

    eve: str
    vendor_id: str
    own: Order
    sole: Order
    shared: Order
    strange: Order

    def caller(self, shop: Shop, roles: Iterable[str]) -> Client:
        """Return Eve with these roles."""
        return several(shop, roles, self.eve, self.vendor_id)


@pytest.fixture
def world(shop: Shop) -> World:
    eve, vendor_id = unique("eve"), unique("vendor")
    hers, others = shop.sku(vendor_id=vendor_id), shop.sku(vendor_id=unique("vendor"))
    victim = shop.callers.customer()
    return World(
        eve,
        vendor_id,
        own=several(shop, ["customer"], eve).placed((others, 1)),
        sole=victim.placed((hers, 1)),
        shared=victim.placed((hers, 2), (others, 1)),
        strange=victim.placed((others, 1)),
    )


def listed(client: Client, path: str = "", **filters: Any) -> set[str]:
    """Return the ids in a list of orders."""
    return {row["id"] for page in client.pages(path, params={"limit": 100, **filters}) for row in page}


# --- lists


@pytest.mark.parametrize("roles", CUSTOMERS, ids=named)
def test_the_list_has_only_ones_own_orders_whatever_else_one_is(shop: Shop, world: World, roles: list[str]) -> None:
    caller = world.caller(shop, roles)
    assert listed(caller) == {world.own["id"]}
    assert listed(caller, customer_id=world.sole["customer_id"]) == set()
    (row,) = caller.get("").json()["data"]
    assert (row["customer_email"], row["amount_due"]) == ("eve@example.org", "10.00")


@pytest.mark.parametrize("roles", STAFF, ids=named)
def test_whoever_may_list_all_orders_does_so_whatever_else_they_are(shop: Shop, world: World, roles: list[str]) -> None:
    found = listed(world.caller(shop, roles), customer_id=world.sole["customer_id"])
    assert found == {world.sole["id"], world.shared["id"], world.strange["id"]}


@pytest.mark.parametrize("roles", [VENDOR_TOO, ALL_THREE, ("vendor", "admin")], ids=named)
def test_the_vendors_list_has_what_the_vendor_sold_as_a_vendor_sees_it(
    shop: Shop, world: World, roles: list[str]
) -> None:
    caller = world.caller(shop, roles)
    assert listed(caller, "vendor/") == {world.sole["id"], world.shared["id"]}
    assert {row["customer_email"] for row in caller.get("vendor/").json()["data"]} == {None}


# --- one order


@pytest.mark.parametrize("roles", CUSTOMERS, ids=named)
def test_ones_own_order_is_shown_whole(shop: Shop, world: World, roles: list[str]) -> None:
    assert world.caller(shop, roles).order(world.own["id"]) == world.own


def test_a_customer_sees_as_a_vendor_what_they_only_sold(shop: Shop, world: World) -> None:
    caller = world.caller(shop, VENDOR_TOO)

    seen = caller.order(world.shared["id"])

    assert [item["vendor_id"] for item in seen["items"]] == [world.vendor_id]
    assert seen["total_amount"] == "20.00"
    assert {name: seen[name] for name in HIDDEN_FROM_VENDORS} == dict.fromkeys(HIDDEN_FROM_VENDORS)
    assert caller.get(f"{world.strange['id']}/").status_code == 404


def test_an_order_that_one_both_placed_and_sold_is_shown_whole(shop: Shop, world: World) -> None:
    sku = world.sole["items"][0]["sku"]
    order = several(shop, ["customer"], world.eve).placed((sku, 1))
    assert world.caller(shop, VENDOR_TOO).order(order["id"]) == order


@pytest.mark.parametrize("roles", [WAREHOUSE_TOO, ALL_THREE, ("vendor", "warehouse")], ids=named)
def test_the_warehouse_reads_every_order_whatever_else_it_is(shop: Shop, world: World, roles: list[str]) -> None:
    seen = world.caller(shop, roles).order(world.strange["id"])
    assert seen == shop.callers.warehouse().order(world.strange["id"])


# --- cancel


@pytest.mark.parametrize("roles", CUSTOMERS, ids=named)
def test_nobody_cancels_what_they_did_not_order_themselves(shop: Shop, world: World, roles: list[str]) -> None:
    caller = world.caller(shop, roles)
    for order in (world.sole, world.shared, world.strange):
        refused = caller.cancel(order)
        assert (refused.status_code, refused.json()["code"]) == (404, "order_not_found")
        assert shop.admin.order(order["id"])["status"] == "pending"


@pytest.mark.parametrize("roles", CUSTOMERS, ids=named)
def test_ones_own_order_is_cancelled_as_its_customer(shop: Shop, world: World, roles: list[str]) -> None:
    caller = world.caller(shop, roles)
    assert caller.cancel(world.own, restock=False).status_code == 403

    cancelled = caller.cancel(world.own)

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["customer_email"] == "eve@example.org"
    (row,) = [row for row in cancelled.json()["status_history"] if row["status"] == "cancelled"]
    assert row["created_by"] == {"type": "customer", "id": world.eve}


@pytest.mark.parametrize("roles", STAFF, ids=named)
def test_whoever_may_cancel_any_order_does_so_whatever_else_they_are(
    shop: Shop, world: World, roles: list[str]
) -> None:
    cancelled = world.caller(shop, roles).cancel(world.strange, reason="fraud_suspected")
    assert (cancelled.status_code, cancelled.json()["cancel_reason"]) == (200, "fraud_suspected")


# --- confirm


@pytest.mark.parametrize("roles", [*CUSTOMERS, ("vendor", "warehouse")], ids=named)
def test_no_two_roles_make_a_third(shop: Shop, world: World, roles: list[str]) -> None:
    caller = world.caller(shop, roles)
    for order in (world.own, world.sole):
        refused = caller.confirm(order)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden_role")
        assert refused.json()["allowed_roles"] == ["admin", "service"]
    assert caller.get("admin/").status_code == 403


@pytest.mark.parametrize("roles", STAFF, ids=named)
def test_whoever_may_confirm_sees_all_of_what_they_confirmed(shop: Shop, world: World, roles: list[str]) -> None:
    confirmed = world.caller(shop, roles).confirm(world.strange)
    assert (confirmed.status_code, confirmed.json()["status"]) == (200, "confirmed")
    assert confirmed.json()["customer_email"] == "ada@example.org"
    assert "stock_allocated" in {row["reason"] for row in confirmed.json()["status_history"]}


# --- status


@pytest.mark.parametrize("roles", [VENDOR_TOO, ALL_THREE, ("vendor", "warehouse")], ids=named)
def test_an_order_is_moved_on_as_its_vendor_and_by_nobody_else(shop: Shop, world: World, roles: list[str]) -> None:
    caller = world.caller(shop, roles)
    for order in (world.own, world.sole, world.shared):
        shop.service.confirm(order)

    # What one may see as a customer or as the warehouse is, for this, not there.
    for order in (world.own, world.strange):
        assert caller.move(order, "processing").status_code == 404
    assert caller.move(world.shared, "processing").status_code == 403
    for status in ("pending", "confirmed", "cancelled", "refunded"):
        assert caller.move(world.sole, status).status_code == 403

    moved = caller.move(world.sole, "processing")
    assert (moved.status_code, moved.json()["status"], moved.json()["customer_email"]) == (200, "processing", None)
    last = shop.admin.order(world.sole["id"])["status_history"][-1]
    assert last["created_by"] == {"type": "vendor", "id": world.eve}


@pytest.mark.parametrize("roles", [WAREHOUSE_TOO], ids=named)
def test_customer_and_warehouse_together_move_no_order(shop: Shop, world: World, roles: list[str]) -> None:
    assert world.caller(shop, roles).move(world.own, "cancelled").status_code == 403


def test_what_a_vendor_sold_is_sent_from_wherever_it_lies_whatever_else_the_vendor_does(
    shop: Shop, world: World
) -> None:
    eve = several(shop, ("vendor", "warehouse"), world.eve, world.vendor_id, locations=["berlin"])
    shop.service.confirm(world.sole)
    assert eve.move(world.sole, "processing").status_code == 200

    assert eve.get(f"{world.sole['id']}/label/").status_code == 200
    made = eve.post(f"{world.sole['id']}/shipments/")

    assert (made.status_code, made.json().get("location")) == (201, "main")
    event = {"event_id": unique("e"), "type": "delivered", "occurred_at": made.json()["shipped_at"]}
    assert eve.post(f"{world.sole['id']}/shipments/{made.json()['id']}/events/", event).status_code == 201


# --- placing


@pytest.mark.parametrize("roles", [*CUSTOMERS, ("customer", "admin")], ids=named)
@pytest.mark.parametrize("wait", [None, 10])
def test_whoever_orders_something_is_its_customer(shop: Shop, world: World, roles: list[str], wait: int | None) -> None:
    caller, key = world.caller(shop, roles), unique("key")
    sku = world.strange["items"][0]["sku"]

    for replayed in (None, "true"):
        placed = caller.place((sku, 1), wait=wait, key=key)
        assert (placed.status_code, placed.headers.get("Idempotent-Replayed")) == (201, replayed)
        order = placed.json()
        assert (order["customer_id"], order["customer_email"]) == (world.eve, "eve@example.org")
        assert (len(order["items"]), order["amount_due"]) == (1, "10.00")
        assert wait is None or order["reservation_status"] == "reserved"
        # Of what is not public they see nothing here, whatever they may see elsewhere.
        (row,) = order["status_history"]
        assert (row["reason"], row["created_by"]) == ("placed", {"type": "customer", "id": world.eve})


@pytest.mark.parametrize("roles", CUSTOMERS, ids=named)
def test_whoever_orders_too_much_and_waits_is_told_of_every_shortage(
    shop: Shop, world: World, roles: list[str]
) -> None:
    short = shop.sku(stock=1)
    refused = world.caller(shop, roles).place((short, 2), wait=10)
    assert (refused.status_code, refused.json()["code"]) == (409, "insufficient_stock")
    assert [row["sku"] for row in refused.json()["shortages"]] == [short]


# --- inventory


def test_a_vendor_of_the_warehouse_publishes_only_what_is_theirs(shop: Shop, world: World) -> None:
    caller = world.caller(shop, ("vendor", "warehouse", "customer"))
    own, foreign = world.sole["items"][0]["sku"], world.strange["items"][0]["sku"]

    assert caller.put_variant(own).json()["vendor_id"] == world.vendor_id
    for refused in (caller.put_variant(foreign), caller.post(f"variants/{foreign}/retire/", service="inventory")):
        assert (refused.status_code, refused.json()["code"]) == (403, "foreign_variant")
    # The warehouse handles everybody's stock.
    assert caller.receive(foreign, 1).status_code == 201
    assert world.caller(shop, VENDOR_TOO).receive(own, 1).status_code == 403
    assert world.caller(shop, VENDOR_TOO).get("reservations/", service="inventory").status_code == 403

"""No request can set what is the service's own: a price, a status, a number, an owner, a total.

The requests are made from the OpenAPI document and the event contract, so that a new route or field is met here. Of
whatever the service has a name for, on the wire or in its tables, what a route does not take is sent in each object of
its body: every one is refused by its name, and nothing is stored. What a route does take under such a name stands in a
table here, and is shown to set nothing beyond what it is for.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import requests

from deploy.documents import DOCS
from schemas import contracts
from tests.support import forged, wire
from tests.support.eventually import eventually
from tests.support.request_bodies import Bodies
from tests.support.running_shop import Shop
from tests.support.storefront import ADDRESS, Client, order_body, unique

Order = dict[str, Any]
Rows = dict[str, Any]

MARK = unique("mass")
DOCUMENT = json.loads((DOCS / "openapi" / "order.json").read_text(encoding="utf-8"))
BODIES = Bodies(DOCUMENT, MARK)
_OBJECTS = [name for name, schema in DOCUMENT["components"]["schemas"].items() if "properties" in schema]
# How orders and their parts are shown.
SHOWN = ("Order", "OrderItem", "HistoryRow", "Shipment", "Refund", "RefundLine", "Return", "ReturnLine", "SavedAddress")
# What of that callers choose, wherever they may send it at all.
CHOSEN = frozenset(
    [
        *("items", "lines", "item_id", "sku", "quantity", "shipping_address", "billing_address", "shipping_method"),
        *("payment_method", "locale", "external_reference", "metadata", "notes", "note", "reason", "label"),
        *("carrier", "tracking_number", "estimated_delivery", "location", "provider", "provider_reference"),
        *("failure_code", "disposition", *ADDRESS, "company", "address2", "state_province", "phone"),
    ]
)
# What else is taken under a name of the service's own: schema → names. Each has its limits, tested below or there.
TAKEN: Mapping[str, set[str]] = {
    "AddressCreate": {"customer_id"},  # role service, for the customer whose address it is
    "OrderCreate": {"customer_id", "customer_email"},  # the same
    "BulkOrderCreate": {"customer_id", "customer_email"},
    "DiscountCreate": {"amount"},  # role service; never more than the subtotal
    "OrderStatusUpdate": {"status"},  # a move, as the named calls make it: test_status_matrix
    "BulkUpdate": {"status"},
    "OrderConfirm": {"amount", "currency"},  # of a payment, and only what is due
    "PaymentCreate": {"amount", "currency"},
    "RefundCreate": {"amount", "payment_reference", "shipping"},  # never more than was paid: test_rest_refunds
    "RefundSettle": {"status"},
    "ReturnLineReceive": {"received", "damaged"},  # never more than was approved: test_rest_returns
}
# The same of what comes by Kafka; `_minor` left out.
TAKEN_BY_KAFKA: Mapping[str, set[str]] = {
    "OrderCancellationRequested": {"requested_at"},  # by the storefront's clock, which decides nothing
    "OrderRequested": {"request_id", "customer_id", "customer_email", "currency"},  # currency: only the catalog's
    "OrderRequestedDiscount": {"amount"},
    "OrderRequestedPayment": {"amount", "currency"},
    "PaymentReported": {"amount", "currency"},
}
# One answer lists 50 faults, and what the rest of the body says may be some of them.
AT_ONCE = 40
# Tables whose rows are an order's own; the others hold what the services have told of it.
_NOT_THE_ORDERS = ("order_notes", "stock_told")


class Scene:
    """An order that everything can be asked of, one that has been through it all, and who may ask."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.sku = shop.sku(stock=100)
        self.buyer = shop.callers.customer()
        saved = self.buyer.post("/api/v1/addresses/", ADDRESS)
        assert saved.status_code == 201, saved.text
        self.address_id = saved.json()["id"]
        self.open = self._allocated()
        self.done = self._delivered()
        columns = shop.probe.rows("order", "SELECT table_name, column_name FROM information_schema.columns")
        tables = [row["table_name"] for row in columns if row["column_name"] == "order_id"]
        self._tables = sorted({*tables, "orders"} - {*_NOT_THE_ORDERS})
        known = {row["column_name"] for row in columns if row["table_name"] in (*self._tables, "addresses")}
        self.names = sorted(known | BODIES.names(*_OBJECTS))

    def rows(self) -> Rows:
        """Return every row of the two orders, the buyer's addresses, and whatever a request left behind."""
        found: Rows = {}
        for table in self._tables:
            column = "id" if table == "orders" else "order_id"
            query = f"SELECT to_jsonb(t) AS row FROM {table} t WHERE {column}::text = ANY(:ids) ORDER BY 1"
            found[table] = self.shop.probe.rows("order", query, ids=[self.open["id"], self.done["id"]])
        marked = "SELECT to_jsonb(t) AS row FROM {} t WHERE to_jsonb(t)::text LIKE :mark"
        for table in ("orders", "addresses"):
            found[f"new {table}"] = self.shop.probe.rows("order", marked.format(table), mark=f"%{MARK}%")
        return found

    def parts(self, places: int) -> list[list[str]]:
        """Return all names, in parts that can be refused by one answer in so many places."""
        size = AT_ONCE // places if places else 1
        return [self.names[start : start + size] for start in range(0, len(self.names) if places else 0, size)]

    def path(self, route: str, order: Order) -> str:
        """Return the path of a route about an order, with ids of its parts; what it has none of is made up."""
        ids = {"order_id": order["id"], "item_id": order["items"][0]["id"], "address_id": self.address_id}
        for part in ("shipments", "refunds", "returns"):
            listed = self.shop.admin.get(f"{order['id']}/{part}/").json()["data"]
            ids[f"{part[:-1]}_id"] = listed[0]["id"] if listed else MARK
        return route.split(" ")[1].format(**ids, parked_id=MARK)

    def caller(self, route: str) -> Client:
        """Return somebody who may call a route, by what the document says."""
        method, path = route.split(" ")
        roles = DOCUMENT["paths"][path][method.lower()]["description"].rpartition("Roles: ")[2].rstrip(".").split(", ")
        persons = {"admin": self.shop.admin, "customer": self.buyer, "service": self.shop.service}
        return next(person for role, person in persons.items() if role in roles)

    def _allocated(self) -> Order:
        order = self.buyer.placed((self.sku, 3))
        assert self.shop.service.confirm(order).status_code == 200
        return self.shop.await_order(order["id"], reservation_status="allocated", pending_operation=None)

    def _delivered(self) -> Order:
        order, admin = self._allocated(), self.shop.admin
        for status in ("processing", "shipped", "delivered"):
            assert admin.move(order, status).status_code == 200
        line = {"item_id": order["items"][0]["id"], "quantity": 1, "reason": "matrix"}
        asked = self.buyer.post(f"{order['id']}/returns/", {"lines": [line]})
        assert asked.status_code == 201, asked.text
        assert admin.post(f"{order['id']}/returns/{asked.json()['id']}/approve/").status_code == 200
        assert admin.post(f"{order['id']}/refunds/", {"amount": "1.00"}).status_code == 201
        return admin.order(order["id"])


@pytest.fixture(scope="module")
def scene(shop: Shop) -> Scene:
    return Scene(shop)


def faults_of(refused: requests.Response) -> list[dict[str, str]]:
    """Return what is wrong with a request, or with the rows of one."""
    told = refused.json()
    problems = [row["problem"] for row in told["results"]] if "results" in told else [told]
    assert {(problem["status"], problem["code"]) for problem in problems} == {(400, "invalid_request")}, refused.text
    return [fault for problem in problems for fault in problem["errors"]]


# --- what a route does not take


@pytest.mark.parametrize("about", ["open", "done"])
@pytest.mark.parametrize("route", BODIES.routes)
def test_whatever_the_service_has_a_name_for_is_refused_by_that_name(scene: Scene, route: str, about: str) -> None:
    order: Order = getattr(scene, about)
    client, before = scene.caller(route), scene.rows()
    method, path = route.partition(" ")[0], scene.path(route, order)

    places = BODIES.places(route)
    # Rows of a body are read on their own, where the body itself can be.
    for some in (places[:1], places[1:]):
        for names in scene.parts(len(some)):
            body, pointers = BODIES.with_more(route, some, dict.fromkeys(names, MARK))
            assert pointers, "nothing of this was more than the route takes"
            refused = client.call(method, path, json=body, key=unique("mass"), headers={"If-Match": "*"})
            told = {fault["pointer"]: fault for fault in faults_of(refused) if fault["code"] == "unknown_field"}
            assert told.keys() == pointers
            assert all(repr(pointer.rpartition("/")[2]) in told[pointer]["detail"] for pointer in pointers)
    assert scene.rows() == before


def test_what_is_taken_under_a_name_of_the_services_own_is_in_the_table() -> None:
    own = BODIES.names(*SHOWN) - CHOSEN
    assert own >= {"status", "order_number", "customer_id", "unit_price", "total_amount", "number", "version"}
    taken: dict[str, set[str]] = {}
    for route in BODIES.routes:
        for place in BODIES.places(route):
            taken.setdefault(place.schema, set()).update(place.names & own)
    assert {schema: names for schema, names in taken.items() if names} == TAKEN


def test_what_is_taken_by_kafka_under_a_name_of_the_services_own_is_in_the_table() -> None:
    own = BODIES.names(*SHOWN) - CHOSEN | {"price", "total", "tax", "discount"}
    taken: dict[str, set[str]] = {}

    def look(schema: Any) -> None:
        for part in schema if isinstance(schema, list) else [schema]:
            if isinstance(part, dict) and part.get("type") == "record":
                names = {field["name"].removesuffix("_minor") for field in part["fields"]}
                taken.setdefault(part["name"], set()).update(names & own - {"order_id"})
                for field in part["fields"]:
                    look(field["type"])
            elif isinstance(part, dict) and "items" in part:
                look(part["items"])

    for file in sorted((DOCS.parent / "schemas" / "storefront").glob("*.avsc")):
        look(json.loads(file.read_text(encoding="utf-8")))
    assert {record: names for record, names in taken.items() if names} == TAKEN_BY_KAFKA


# --- what is taken, and sets nothing beyond what it is for


@pytest.mark.parametrize("path", ["", "quote/"])
def test_a_customer_names_no_owner_and_grants_no_discount(scene: Scene, path: str) -> None:
    own = {
        "customer_id": MARK,
        "customer_email": f"{MARK}@example.org",
        "discounts": [{"code": MARK, "amount": "5.00"}],
    }
    before = scene.rows()
    refused = scene.buyer.post(path, {**order_body((scene.sku, 1)), **own}, key=unique("mass"))
    assert (refused.status_code, refused.json()["code"]) == (403, "field_not_allowed")
    assert {error["pointer"] for error in refused.json()["errors"]} == {f"/{name}" for name in own}
    assert scene.rows() == before


def test_a_customer_saves_no_address_for_somebody_else(scene: Scene) -> None:
    before = scene.rows()
    refused = scene.buyer.post("/api/v1/addresses/", {**ADDRESS, "customer_id": MARK})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (403, "/customer_id")
    assert scene.rows() == before


def test_a_discount_of_more_than_the_goods_and_a_total_of_ones_own_are_refused(scene: Scene) -> None:
    too_much = [{"code": MARK, "amount": "10.01"}]
    service, before = scene.shop.service, scene.rows()
    for fields, code in (
        ({"discounts": too_much}, "discount_exceeds_subtotal"),
        ({"expected_total": "0.01"}, "price_changed"),
    ):
        refused = service.place((scene.sku, 1), customer_id=MARK, **fields)
        assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert scene.rows() == before


def test_a_payment_sets_no_total_and_no_currency(scene: Scene) -> None:
    order = scene.shop.admin.order(scene.buyer.placed((scene.sku, 1))["id"])
    for payment in ({"amount": "0.01"}, {"currency": "USD"}):
        refused = scene.shop.service.confirm(order, **payment)
        assert (refused.status_code, refused.json()["code"]) == (422, "payment_mismatch")
    assert scene.shop.admin.order(order["id"]) == order


def test_metadata_under_names_of_the_services_own_is_kept_and_means_nothing(scene: Scene) -> None:
    names = sorted(BODIES.names("Order", "OrderItem"))[:50]
    assert {"status", "total_amount", "customer_id", "order_number"} <= {*names}
    metadata = dict.fromkeys(names, MARK)
    plain, marked = (scene.buyer.placed((scene.sku, 1), **more) for more in ({}, {"metadata": metadata}))
    assert marked.pop("metadata") == metadata
    assert MARK not in json.dumps(marked)
    same = (
        "status",
        "customer_id",
        "subtotal",
        "tax_amount",
        "discount_amount",
        "total_amount",
        "amount_due",
        "version",
    )
    assert {name: marked[name] for name in same} == {name: plain[name] for name in same}


# --- by Kafka


def test_a_request_by_kafka_sets_no_price_number_or_status(scene: Scene) -> None:
    shop, request_id = scene.shop, unique("request")
    metadata = dict.fromkeys(["status", "order_number", "total_amount", "payment_status", "unit_price"], MARK)
    shop.outsider.tell(forged.requested(request_id, (scene.sku, 1), metadata=metadata))

    def placed() -> Order:
        found = shop.service.get("", params={"request_id": request_id}).json()["data"]
        assert len(found) == 1
        return shop.await_order(found[0]["id"], reservation_status="reserved")

    order = eventually(placed, within=15)
    assert order.pop("metadata") == metadata
    assert MARK not in json.dumps(order)
    assert (order["status"], order["payment_status"], order["customer_id"]) == ("pending", "pending", "c-kafka")
    assert (order["items"][0]["unit_price"], order["total_amount"]) == ("10.00", "10.00")


def test_a_request_by_kafka_that_says_another_total_or_too_much_discount_is_rejected(scene: Scene) -> None:
    shop, before = scene.shop, scene.rows()
    discount = contracts.OrderRequestedDiscount(code="ALL", amount_minor=1001)
    wrong: Mapping[str, dict[str, Any]] = {
        "price_changed": {"expected_total_minor": 1},
        "discount_exceeds_subtotal": {"discounts": (discount,)},
    }
    for code, fields in wrong.items():
        request_id = unique("request")
        taken = shop.outsider.tell(forged.requested(request_id, (scene.sku, 1), customer_id=MARK, **fields))
        shop.probe.await_taken("order", taken)
        shop.kinds(request_id, "order.events.v1")
        (rejected,) = shop.log.of(request_id, "order.events.v1")
        assert (rejected.kind, [error["code"] for error in rejected.event["errors"]]) == (
            "OrderRequestRejected",
            [code],
        )
    assert scene.rows() == before


def test_a_request_by_kafka_with_more_fields_than_its_schema_becomes_no_order(scene: Scene) -> None:
    shop, request_id, before = scene.shop, unique("request"), scene.rows()
    request = forged.requested(request_id, (scene.sku, 1), customer_id=MARK)
    longer = wire.encoded(request.FULLNAME, request.to_avro()) + b"\x02price\x02"
    shop.outsider.write(request.TOPIC, request_id.encode(), longer, {"ce_type": request.FULLNAME})

    def rejected() -> None:
        entries = shop.log.of(request_id, "order.events.v1")
        assert [(e.kind, e.event["code"]) for e in entries] == [("OrderRequestRejected", "malformed_request")]

    eventually(rejected, within=15)
    assert scene.rows() == before


def test_a_report_by_kafka_about_an_order_sets_nothing_of_it(scene: Scene) -> None:
    shop = scene.shop
    order = shop.admin.order(scene.buyer.placed((scene.sku, 1))["id"])
    report = contracts.PaymentReported(
        order_id=order["id"],
        provider="stripe",
        reference=unique("payment"),
        amount_minor=1,
        currency="EUR",
        outcome=contracts.PaymentReportedOutcome.CAPTURED,
        reported_at=forged.now(),
    )
    shop.probe.await_taken("order", shop.outsider.tell(report))
    now = shop.admin.order(order["id"])
    # It is recorded, for money that was captured is; by that less is due, and nothing else of the order is another.
    assert now["amount_due"] == "9.99"
    moved = {"amount_due", "version", "updated_at", "status_history"}
    assert {name: now[name] for name in now if name not in moved} == {
        name: order[name] for name in order if name not in moved
    }

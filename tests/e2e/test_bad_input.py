"""Bad input against the running services: each gets its 4xx problem with a stable code and a pointer, no 5xx."""

import base64
import hashlib
import json
import random
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests

from tests.support import bad_requests
from tests.support.bad_requests import BODIES, CHANGES, FACTS, HEADERS, INVENTORY, NOTIFICATION, ODD_IDS, QUERIES, Bad
from tests.support.running_shop import Shop
from tests.support.storefront import Client, order_body, unique

ROWS = {
    f"{table}: {name}": bad
    for table, rows in {
        "body": BODIES,
        "facts": FACTS,
        "header": HEADERS,
        "query": QUERIES,
        "change": CHANGES,
        "inventory": INVENTORY,
        "notification": NOTIFICATION,
    }.items()
    for name, bad in rows.items()
}


@pytest.fixture(scope="module")
def world(shop: Shop) -> dict[str, str]:
    """What the placeholders of the table stand for."""
    sku = shop.sku(stock=1000)
    foreign = shop.callers.customer().placed((sku, 1), wait=None)
    return {"sku": sku, "order": shop.customer.placed((sku, 1))["id"], "foreign": foreign["id"]}


def send(shop: Shop, bad: Bad, world: dict[str, str]) -> requests.Response:
    client: Client = {
        "customer": shop.customer,
        "service": shop.service,
        "admin": shop.admin,
    }[bad.role]
    body = bad.body
    if body is not None:
        body = body.replace(b"{sku}", world["sku"].encode())
    headers = {"Content-Type": "application/json", **bad.headers}
    return client.call(
        bad.method,
        bad.path.format(**world),
        service=bad.service,
        data=body,
        headers=headers,
        key=unique("key") if bad.role == "service" else None,
    )


def check_problem(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a whole problem document, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (found["status"], found["code"]) == (status, code), answer.text
    assert found["type"] == f"urn:oms:problem:{code}"
    assert found["title"]
    assert found["detail"]
    # What gunicorn itself refuses has no trace yet.
    assert found["trace_id"] is None or len(found["trace_id"]) == 32
    return found


@pytest.mark.parametrize("name", ROWS)
def test_a_bad_request_gets_its_problem_with_a_code_and_a_pointer(shop: Shop, world: dict[str, str], name: str) -> None:
    bad = ROWS[name]
    found = check_problem(send(shop, bad, world), bad.status, bad.code)
    if bad.at is None:
        assert found["errors"] == []
        return
    member = "pointer" if bad.at == "" or bad.at.startswith("/") else "parameter"
    assert [error.get(member) for error in found["errors"]] == [bad.at]
    assert set(found["errors"][0]) == {member, "code", "detail"}


def test_every_fault_of_a_request_is_told_at_once(shop: Shop) -> None:
    body = {"items": [{"sku": "", "quantity": 0, "gift": 1}, {}], "colour": "red"}
    refused = shop.customer.post("?debug=1", body)
    found = check_problem(refused, 400, "invalid_request")
    assert {error.get("pointer") or error["parameter"] for error in found["errors"]} == {
        "debug",
        "/items/0/sku",
        "/items/0/quantity",
        "/items/0/gift",
        "/items/1/sku",
        "/items/1/quantity",
        "/shipping_address",
        "/colour",
    }


def test_every_unknown_or_impossible_line_is_told_at_once(shop: Shop) -> None:
    refused = shop.customer.place(("NO-1", 1), (shop.sku(), 1001), ("NO-2", 1))
    found = check_problem(refused, 422, "unknown_sku")
    assert [(error["pointer"], error["code"]) for error in found["errors"]] == [
        ("/items/0/sku", "unknown_sku"),
        ("/items/1/quantity", "quantity_limit"),
        ("/items/2/sku", "unknown_sku"),
    ]


def test_the_text_names_the_offender_and_the_valid_options(shop: Shop, world: dict[str, str]) -> None:
    field = send(shop, BODIES["an unknown field"], world).json()["errors"][0]["detail"]
    assert "colour" in field
    assert "shipping_method" in field
    method = send(shop, FACTS["an unknown shipping method"], world).json()["errors"][0]["detail"]
    assert "teleport" in method
    assert "standard, parcel" in method


# --- ids


@pytest.mark.parametrize("odd", ODD_IDS.values(), ids=ODD_IDS.keys())
@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "{id}/", "customer"),
        ("POST", "{id}/cancel/", "customer"),
        ("POST", "{id}/confirm/", "service"),
        ("PATCH", "{id}/status/", "admin"),
    ],
)
def test_an_order_that_is_not_there_is_not_found(shop: Shop, odd: str, method: str, path: str, role: str) -> None:
    client = {"customer": shop.customer, "service": shop.service, "admin": shop.admin}[role]
    body = {"status": "processing"} if method == "PATCH" else {}
    refused = client.call(method, path.format(id=odd), json=None if method == "GET" else body)
    found = check_problem(refused, 404, "order_not_found")
    assert found["errors"][0]["parameter"] == "order_id"


def test_a_foreign_order_is_not_found_either(shop: Shop, world: dict[str, str]) -> None:
    own = check_problem(shop.customer.get("nothing/"), 404, "order_not_found")
    for refused in (shop.customer.get(f"{world['foreign']}/"), shop.customer.post(f"{world['foreign']}/cancel/")):
        found = check_problem(refused, 404, "order_not_found")
        assert found["errors"][0]["parameter"] == "order_id"
        # Nothing tells a foreign order from none.
        assert found["title"] == own["title"]


@pytest.mark.parametrize("odd", ["%00", "x" * 129], ids=["a NUL", "129 characters"])
def test_an_id_that_no_order_can_have_is_refused(shop: Shop, odd: str) -> None:
    for answer, name in (
        (shop.customer.get(f"{odd}/"), "order_id"),
        (shop.customer.get(f"variants/{odd}/", service="inventory"), "sku"),
        (shop.admin.receive(odd, 1), "sku"),
        (shop.admin.put_variant(odd), "sku"),
    ):
        assert check_problem(answer, 400, "invalid_request")["errors"][0]["parameter"] == name


@pytest.mark.parametrize("odd", ["🦆", "%25", "a%2520b", "'--", "Ünï"])
def test_a_sku_may_be_any_other_text(shop: Shop, odd: str) -> None:
    assert shop.admin.put_variant(odd).status_code == 200
    assert shop.customer.get(f"variants/{odd}/", service="inventory").status_code == 200


def test_a_path_or_a_method_that_is_not_there_is_a_problem_too(shop: Shop) -> None:
    check_problem(shop.customer.get("/api/v2/orders/"), 404, "not_found")
    check_problem(shop.customer.get("/"), 404, "not_found")
    refused = shop.customer.call("DELETE", "")
    check_problem(refused, 405, "method_not_allowed")
    assert set(refused.headers["Allow"].split(", ")) >= {"GET", "POST"}


# --- tokens


def forge(shop: Shop, algorithm: str = "HS256", secret: str | None = None, **changes: Any) -> str:
    """Return a customer's token with some claims replaced or (None) taken away."""
    settings = shop.callers.state.jwt
    claims = {
        "sub": "c-1",
        "roles": ["customer"],
        "iss": settings.issuer,
        "aud": settings.audience,
        "exp": int(time.time()) + 600,
        **changes,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    key = None if algorithm == "none" else secret or settings.secret
    return jwt.encode(kept, key, algorithm=algorithm)  # type: ignore[arg-type]


TOKENS: dict[str, tuple[Callable[[Shop], str | None], str]] = {
    "no token": (lambda _: None, "missing_token"),
    "a token that is none": (lambda _: "nonsense", "invalid_token"),
    "three parts that are none": (lambda _: "a.b.c", "invalid_token"),
    "a forged token": (lambda shop: forge(shop, secret="x" * 40), "invalid_token"),
    "an unsigned token": (lambda shop: forge(shop, "none"), "invalid_token"),
    "another algorithm": (lambda shop: forge(shop, "HS512"), "invalid_token"),
    "an expired token": (lambda shop: forge(shop, exp=int(time.time()) - 1), "expired_token"),
    "a token for ever": (lambda shop: forge(shop, exp=None), "invalid_token"),
    "a token of somebody else": (lambda shop: forge(shop, iss="https://elsewhere"), "invalid_token"),
    "a token for somebody else": (lambda shop: forge(shop, aud="elsewhere"), "invalid_token"),
    "a token of nobody": (lambda shop: forge(shop, sub=None), "invalid_token"),
    "a subject that is too long": (lambda shop: forge(shop, sub="s" * 129), "invalid_token"),
    "a subject with a NUL": (lambda shop: forge(shop, sub="s\x00"), "invalid_token"),
    "an e-mail with a NUL": (lambda shop: forge(shop, email="a\x00@b.example"), "invalid_token"),
    "roles that are text": (lambda shop: forge(shop, roles="admin"), "invalid_token"),
    "a token that is not valid yet": (lambda shop: forge(shop, nbf=int(time.time()) + 600), "invalid_token"),
    "a tampered token": (lambda shop: tampered(forge(shop)), "invalid_token"),
}


def tampered(token: str) -> str:
    """Make an admin of a customer without the secret."""
    head, claims, signature = token.split(".")
    text = base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)).replace(b"customer", b"admin")
    return ".".join((head, base64.urlsafe_b64encode(text).decode().rstrip("="), signature))


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("service", ["order", "inventory", "notification"])
def test_a_bad_token_is_refused_with_a_challenge(shop: Shop, service: str, name: str) -> None:
    make, code = TOKENS[name]
    client = shop.callers.having(make(shop))
    path = "variants/" if service == "inventory" else ""
    refused = client.get(path, service=service)
    found = check_problem(refused, 401, code)
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert found["errors"][0]["parameter"] == "Authorization"


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer  ", "bearer", "Token x"])
def test_a_header_without_a_bearer_token_is_no_token(shop: Shop, header: str) -> None:
    nobody = shop.callers.having(None)
    check_problem(nobody.get("", headers={"Authorization": header}), 401, "missing_token")


def test_a_token_in_the_query_is_no_token(shop: Shop) -> None:
    check_problem(shop.callers.having(None).get(f"?access_token={forge(shop)}"), 401, "missing_token")


def test_a_token_without_a_known_role_may_nothing(shop: Shop) -> None:
    for roles in ([], ["emperor"]):
        refused = shop.callers.having(forge(shop, roles=roles)).get("")
        found = check_problem(refused, 403, "forbidden_role")
        assert found["errors"][0]["parameter"] == "Authorization"


def test_headers_that_are_too_large_are_refused(shop: Shop) -> None:
    check_problem(shop.customer.get("", headers={"X-Large": "x" * 20_000}), 431, "headers_too_large")


def test_a_path_that_is_too_long_is_refused(shop: Shop) -> None:
    check_problem(shop.customer.get("x" * 5000), 414, "uri_too_long")


# --- keys


def test_a_key_with_another_body_is_refused_with_its_header(shop: Shop, world: dict[str, str]) -> None:
    key = unique("key")
    assert shop.customer.place((world["sku"], 1), key=key).status_code == 201
    found = check_problem(shop.customer.place((world["sku"], 2), key=key), 422, "idempotency_key_reused")
    assert found["errors"][0]["parameter"] == "Idempotency-Key"


# --- money that no column can hold


def test_an_order_whose_total_is_beyond_any_money_is_refused(shop: Shop) -> None:
    sku = shop.sku(stock=0, price="999999999999.99")
    items = [(sku, 1000)] * 200
    found = check_problem(shop.customer.place(*items), 422, "total_too_large")
    assert found["errors"][0]["pointer"] == "/items"


# --- and whatever else comes


def random_value(chance: random.Random, depth: int = 0) -> Any:
    """Return some JSON value."""
    leaves: list[Any] = [
        *(None, True, 0, -1, 1.5, 2**63, 10**30, -(10**30), "", "x", "\x00", "🦆", "' OR 1=1 --", "9" * 50),
        *("2024-01-01", "1.00", "EUR", "DE", "a@b.example", "n" * 3000),
    ]
    if depth > 2 or chance.random() < 0.6:
        return chance.choice(leaves)
    if chance.random() < 0.5:
        return [random_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(["sku", "quantity", "x", ""]): random_value(chance, depth + 1) for _ in range(3)}


def mutated(chance: random.Random, body: Any) -> Any:
    """Return a body with one of its values replaced, taken away, or joined by another."""
    if isinstance(body, list) and body and chance.random() < 0.7:
        place = chance.randrange(len(body))
        return [mutated(chance, value) if at == place else value for at, value in enumerate(body)]
    if isinstance(body, dict) and body and chance.random() < 0.8:
        name = chance.choice(sorted(body))
        if chance.random() < 0.15:
            return {other: value for other, value in body.items() if other != name}
        return {**body, name: mutated(chance, body[name])}
    return random_value(chance)


FUZZED = {
    "placing": ("POST", "order", "", "service", bad_requests.order(metadata={"a": "b"}, notes="n", locale="de")),
    "confirming": (
        *("POST", "order", "{order}/confirm/", "service"),
        {"provider": "p", "reference": "r", "amount": "1.00", "currency": "EUR"},
    ),
    "moving": ("PATCH", "order", "{order}/status/", "admin", {"status": "delivered", "notes": "n"}),
    "publishing": (
        *("PUT", "inventory", "variants/{sku}/", "admin"),
        {"product_name": "P", "variant_name": "V", "price": "10.00", "currency": "EUR", "active": True},
    ),
    "adjusting": ("POST", "inventory", "stock/{sku}/adjustments/", "admin", {"quantity": 1, "reason": "r"}),
}


@pytest.mark.parametrize("name", FUZZED)
def test_no_body_whatever_is_answered_with_a_5xx(shop: Shop, world: dict[str, str], name: str) -> None:
    method, service, path, role, body = FUZZED[name]
    chance = random.Random(int(hashlib.sha256(name.encode()).hexdigest(), 16))
    for _ in range(150):
        sent = mutated(chance, body)
        bad = Bad(status=0, code="", at="", method=method, service=service, path=path, role=role, json=sent)
        answer = send(shop, bad, world)
        assert answer.status_code < 500, (sent, answer.text)
        if answer.status_code >= 400:
            found = check_problem(answer, answer.status_code, answer.json()["code"])
            assert all({"code", "detail"} < set(error) for error in found["errors"])


QUERY_VALUES = (
    "",
    "0",
    "-1",
    "9" * 40,
    "%00",
    "x" * 3000,
    "🦆",
    "null",
    "2024-13-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
)


@pytest.mark.parametrize("path", ["", "admin/"])
def test_no_query_whatever_is_answered_with_a_5xx(shop: Shop, path: str) -> None:
    names = ("limit", "cursor", "status", "number", "customer_id", "created_at[gte]", "created_at[lt]", "sort", "stuck")
    for name in names:
        for value in QUERY_VALUES:
            answer = shop.admin.get(path, params={name: value})
            assert answer.status_code < 500, (name, value, answer.text)


def test_a_forged_cursor_of_the_right_list_is_refused(shop: Shop) -> None:
    cursor = shop.admin.get("admin/", params={"limit": 1}).json()["next_cursor"]
    fingerprint = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))[0]
    now, nobody = "2024-01-01T00:00:00Z", "018f0000-0000-7000-8000-000000000000"
    for position in ([now, "x"], [now, 1], [1, nobody], [], [None, None], ["9999-12-31T23:59:59-23:59", nobody]):
        forged = base64.urlsafe_b64encode(json.dumps([fingerprint, *position]).encode()).decode().rstrip("=")
        refused = shop.admin.get("admin/", params={"limit": 1, "cursor": forged})
        check_problem(refused, 400, "invalid_cursor")


def test_a_good_request_is_still_served_after_all_of_that(shop: Shop, world: dict[str, str]) -> None:
    assert shop.customer.post("", order_body((world["sku"], 1)), wait=10).json()["reservation_status"] == "reserved"
    for service in ("order", "inventory", "notification"):
        assert requests.get(f"{shop.callers.urls[service]}/readyz", timeout=10).status_code == 200

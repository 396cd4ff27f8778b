"""What admins see of notifications over HTTP, on a real PostgreSQL."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient

from deploy.local.databases import Databases
from services.chassis.events import new_id
from services.chassis.http.assembly import assemble
from tests.support import notification as support
from tests.support.noted import counted
from tests.support.notification import World

PATH = "/api/v1/notifications/"


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    with support.notification_world(postgres_server) as world:
        yield world


@pytest.fixture
def client(world: World) -> FlaskClient:
    return assemble(world.runtime).test_client()


def get(client: FlaskClient, path: str = PATH, role: str = "admin", **query: object) -> tuple[int, Any]:
    claims = {"sub": "u", "iss": "https://issuer.test", "aud": "oms", "exp": time.time() + 60, "roles": [role]}
    token = jwt.encode(claims, "a secret for tests that is long enough", algorithm="HS256")
    answer = client.get(path, query_string=query, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.get_json()


def test_a_notification_is_shown_with_what_it_is_about(world: World, client: FlaskClient) -> None:
    order = new_id()
    (record,) = world.deliver(support.placed(order))
    status, body = get(client)
    assert status == 200
    (shown,) = body["data"]
    assert shown["next_attempt_at"] is not None
    assert {name: shown[name] for name in shown if not name.endswith("_at")} == {
        "id": shown["id"],
        "order_id": order,
        "sku": None,
        "event_id": record.header("ce_id"),
        "template": "order_placed",
        "channel": "email",
        "audience": "customer",
        "recipient": "ada@customer.example",
        "status": "queued",
        "attempts": 0,
        "failure": None,
        "smtp_status": None,
    }
    assert get(client, f"{PATH}{shown['id']}/") == (200, shown)
    assert get(client, f"{PATH}{shown['id']}") == (200, shown)


def test_a_stock_alert_is_about_a_sku(world: World, client: FlaskClient) -> None:
    world.deliver(support.low_stock("SHIRT-1"))
    _, body = get(client)
    assert [(row["order_id"], row["sku"], row["audience"]) for row in body["data"]] == [(None, "SHIRT-1", "operator")]


def test_notifications_are_found_by_order_recipient_status_and_template(world: World, client: FlaskClient) -> None:
    ada, bob = new_id(), new_id()
    world.deliver(support.placed(ada), support.placed(bob, customer_email="bob@customer.example"))
    world.deliver(support.confirmed(ada), support.confirmed(new_id()))
    for query, expected in (
        ({"order_id": ada}, 2),
        ({"recipient": "bob@customer.example"}, 1),
        ({"status": "waiting"}, 1),
        ({"template": "order_placed"}, 2),
        ({"order_id": ada, "template": "order_confirmed", "status": "queued"}, 1),
        ({"order_id": bob, "recipient": "ada@customer.example"}, 0),
        ({"order_id": new_id()}, 0),
    ):
        status, body = get(client, **query)
        assert (status, len(body["data"])) == (200, expected), query


def test_pages_hold_every_notification_once_the_newest_first(world: World, client: FlaskClient) -> None:
    for _ in range(7):
        world.deliver(support.placed(new_id()))
    ids: list[str] = []
    query: dict[str, object] = {"limit": 3}
    while True:
        _, body = get(client, **query)
        ids += [row["id"] for row in body["data"]]
        if body["next_cursor"] is None:
            break
        query["cursor"] = body["next_cursor"]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 7


def test_a_page_costs_the_same_number_of_statements_whatever_its_size(world: World, client: FlaskClient) -> None:
    world.deliver(*(support.placed(new_id()) for _ in range(100)))
    counts = []
    for limit in (1, 100):
        with counted(world.runtime.engine) as statements:
            assert len(get(client, limit=limit)[1]["data"]) == limit
        counts.append(len(statements))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("role", ["customer", "vendor", "warehouse", "service"])
def test_only_admins_see_notifications(client: FlaskClient, role: str) -> None:
    assert get(client, role=role)[0] == 403
    assert get(client, f"{PATH}{new_id()}/", role=role)[0] == 403


def test_without_a_token_nothing_is_seen(client: FlaskClient) -> None:
    assert client.get(PATH).status_code == 401


@pytest.mark.parametrize(
    "query",
    [
        {"order": "x"},
        {"order_id": "x"},
        {"status": "lost"},
        {"template": "x"},
        {"limit": 0},
        {"limit": 101},
        {"recipient": ""},
        {"cursor": "x"},
    ],
)
def test_a_filter_that_makes_no_sense_is_a_400_that_names_it(client: FlaskClient, query: dict[str, object]) -> None:
    status, body = get(client, **query)
    assert status == 400
    assert [error["parameter"] for error in body["errors"]] == list(query)


def test_a_forged_cursor_is_a_400(world: World, client: FlaskClient) -> None:
    world.deliver(support.placed(new_id()), support.placed(new_id()))
    _, body = get(client, limit=1)
    fingerprint, _ = json.loads(base64.urlsafe_b64decode(body["next_cursor"] + "=="))
    forged = base64.urlsafe_b64encode(json.dumps([fingerprint, "no id"]).encode()).rstrip(b"=").decode()
    status, body = get(client, cursor=forged, limit=1)
    assert (status, body["code"]) == (400, "invalid_cursor")


def test_a_notification_that_is_not_there_is_a_404(client: FlaskClient) -> None:
    assert get(client, f"{PATH}{new_id()}/")[0] == 404
    assert get(client, f"{PATH}no-id/")[0] == 400

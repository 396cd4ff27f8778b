"""Parked keys over REST: list, show, retry, discard and resume, in any service."""

import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deploy.local.databases import Databases
from services.chassis.events import new_id
from services.chassis.http.assembly import assemble
from services.order.bootstrap import SERVICE
from tests.support import forged, shop
from tests.support.services import World, world_of

PATH = "/api/v1/operations/parked/"
SECRET_CITY = "Lummerland"


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    with world_of(SERVICE, postgres_server, park_breaker_keys=3) as world:
        yield world


class Operator:
    """An operator's browser."""

    def __init__(self, client: FlaskClient, *roles: str) -> None:
        self._client = client
        claims = {
            "sub": "op-1",
            "iss": "https://issuer.test",
            "aud": "oms",
            "exp": time.time() + 600,
            "vendor_id": "v-1",
        }
        secret = "a secret for tests that is long enough"
        self._token = jwt.encode({**claims, "roles": list(roles)}, secret, "HS256")

    def get(self, path: str = "") -> TestResponse:
        return self._client.get(PATH + path, headers={"Authorization": f"Bearer {self._token}"})

    def post(self, path: str, body: dict[str, Any] | None = None, **headers: str) -> TestResponse:
        sent = {"Authorization": f"Bearer {self._token}", **headers}
        return self._client.post(PATH + path, json=body, headers=sent)

    def rows(self, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(query).get_json()["data"]
        return found


@pytest.fixture
def operator(world: World) -> Operator:
    return Operator(assemble(world.runtime).test_client(), "admin")


def park(world: World, *order_ids: str) -> None:
    """Let answers of inventory come for orders that nobody knows."""
    for order_id in order_ids:
        world.deliver(forged.stock_answer("StockReserved", order_id, "S1"))


def test_parked_keys_are_listed_page_by_page_and_by_what_is_looked_for(world: World, operator: Operator) -> None:
    first, second = new_id(), new_id()
    park(world, first, second)
    page = operator.get("?limit=1").get_json()
    assert [row["key"] for row in page["data"]] == [first]
    (left,) = operator.rows(f"?limit=1&cursor={page['next_cursor']}")
    assert left | {"key": second, "consumer": "order", "state": "retrying", "events": 1, "attempts": 1} == left
    assert [row["key"] for row in operator.rows(f"?key={second}")] == [second]
    assert operator.rows("?state=dead") == []
    assert operator.get("?state=deaf").status_code == 400


def test_what_waits_is_shown_without_personal_data(world: World, operator: Operator) -> None:
    request = shop.request("R1", {"S1": 1}, customer_email="eve@example.com")
    world.processor.handle([world.record(request)])  # no SKU of that name yet: it waits
    (row,) = operator.rows()
    shown = operator.get(f"{row['id']}/").get_json()
    (event,) = shown["waiting"]
    assert event["event"]["request_id"] == "R1"
    assert "eve@example.com" not in str(shown)


def test_a_key_is_tried_again_at_once_also_where_it_was_given_up(world: World, operator: Operator) -> None:
    order_id = new_id()
    park(world, order_id)
    world.rows("UPDATE parked_keys SET state = 'dead', attempts = 10, due_at = now() + interval '1 hour'")
    (row,) = operator.rows()
    answered = operator.post(f"{row['id']}/retry/")
    assert (answered.status_code, answered.get_json()["state"]) == (202, "retrying")
    assert world.one("SELECT due_at <= now() FROM parked_keys")


def test_an_event_is_given_up_once_and_by_whom_is_kept(world: World, operator: Operator) -> None:
    order_id = new_id()
    park(world, order_id)
    world.deliver(forged.stock_answer("StockAllocated", order_id, "S1"))
    (row,) = operator.rows()
    discarded = [
        operator.post(f"{row['id']}/discard/", {"reason": "an order of the old shop"}, **{"Idempotency-Key": "k1"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in discarded] == [200, 200]
    assert discarded[0].get_json() == discarded[1].get_json()
    assert world.rows("SELECT actor, error LIKE '%old shop%' FROM dead_events") == [("op-1", True)]
    (left,) = operator.rows()
    assert left["events"] == 1


def test_consumers_that_stopped_are_resumed_with_a_reason(world: World, operator: Operator) -> None:
    park(world, new_id(), new_id(), new_id())
    assert operator.post("resume/", {}).status_code == 400
    assert operator.post("resume/", {"reason": "repaired"}).get_json() == {"consumers": ["order"]}
    assert operator.post("resume/", {"reason": "again"}).get_json() == {"consumers": []}


@pytest.mark.parametrize("reason", ["  ", "\n", "\u00a0\u3000"])
def test_a_reason_that_says_nothing_is_refused(world: World, operator: Operator, reason: str) -> None:
    park(world, new_id())
    (row,) = operator.rows()
    for path in (f"{row['id']}/discard/", "resume/"):
        refused = operator.post(path, {"reason": reason})
        assert (refused.status_code, refused.get_json()["errors"]) == (
            400,
            [
                {
                    "pointer": "/reason",
                    "code": "invalid_value",
                    "detail": "must be text that says something, without the character NUL (U+0000)",
                }
            ],
        )
    assert operator.rows() == [row]


@pytest.mark.parametrize("parked_id", ["x", "W10", "WyJvcmRlciIsImEiLCJiIl0", "WyJvcmRlciIsImEiLCJcdTAwMDAiXQ"])
def test_what_is_not_parked_is_not_found(operator: Operator, parked_id: str) -> None:
    answers = [
        operator.get(f"{parked_id}/"),
        operator.post(f"{parked_id}/retry/"),
        operator.post(f"{parked_id}/discard/", {"reason": "r"}),
    ]
    assert [(answer.status_code, answer.get_json()["code"]) for answer in answers] == [(404, "not_found")] * 3


@pytest.mark.parametrize("role", ["customer", "vendor", "warehouse", "service"])
def test_only_admins_may(world: World, role: str) -> None:
    other = Operator(assemble(world.runtime).test_client(), role)
    answers = [other.get(), other.get("x/"), other.post("x/retry/"), other.post("resume/", {"reason": "r"})]
    assert {answer.status_code for answer in answers} == {403}

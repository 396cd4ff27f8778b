"""Streams of an order that nothing happens to: they are kept alive, bounded in number, and end with the process."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deploy.local.databases import Databases
from services.chassis.events import new_id
from services.chassis.http.assembly import assemble
from services.order.api import streams
from services.order.bootstrap import SERVICE
from tests.support import shop
from tests.support.services import World, world_of

MOST = 2
KEEP_ALIVE = b": keep-alive\n\n"


@pytest.fixture
def world(postgres_server: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An order that waits for its stock, in a process that has two streams at most."""
    monkeypatch.setattr(streams, "_QUIET_SECONDS", 0.1)
    with world_of(SERVICE, postgres_server, max_streams=MOST) as world:
        world.runtime.processor(world.runtime.subscriptions[0]).handle([world.record(shop.variant("S1"))])
        world.deliver(shop.request(new_id(), {"S1": 1}))
        yield world
        world.runtime.health.shut_down()


@pytest.fixture
def client(world: World) -> FlaskClient:
    return assemble(world.runtime).test_client()


def opened(world: World, client: FlaskClient, method: str = "GET") -> TestResponse:
    settings = world.runtime.settings
    claims = {"sub": "admin", "roles": ["admin"], "iss": settings.jwt_issuer, "aud": settings.jwt_audience}
    claims["exp"] = datetime.now(UTC) + timedelta(hours=1)
    token = jwt.encode(claims, settings.jwt_secret.get_secret_value(), "HS256")
    path = f"/api/v1/orders/{world.one('SELECT id::text FROM orders')}/stream/"
    return client.open(path, method=method, headers={"Authorization": f"Bearer {token}"})


def test_a_stream_in_which_nothing_comes_is_kept_alive(world: World, client: FlaskClient) -> None:
    pieces = opened(world, client).iter_encoded()
    told = [next(pieces) for _ in range(4)]
    assert told[0] == b"retry: 5000\n\n"
    assert b'"reason":"placed"' in told[1]
    assert told[2:] == [KEEP_ALIVE] * 2


def test_there_are_so_many_streams_at_once_and_one_that_ends_makes_room(world: World, client: FlaskClient) -> None:
    first, _second = opened(world, client), opened(world, client)
    refused = opened(world, client)
    assert (refused.status_code, refused.get_json()["code"]) == (503, "too_many_streams")
    assert refused.headers["Retry-After"] == "5"

    # Nothing was read of it, as where its caller is gone at once.
    first.close()
    assert opened(world, client).status_code == 200
    assert opened(world, client).status_code == 503


def test_who_asks_for_the_headers_of_a_stream_takes_nobody_s_place(world: World, client: FlaskClient) -> None:
    for _ in range(MOST + 1):
        answer = opened(world, client, "HEAD")
        assert answer.status_code == 200
        answer.close()


def test_a_stream_ends_when_the_server_goes_down(world: World, client: FlaskClient) -> None:
    pieces = opened(world, client).iter_encoded()
    while next(pieces) != KEEP_ALIVE:
        pass
    threading.Timer(0.2, world.runtime.health.shut_down).start()
    assert set(pieces) <= {KEEP_ALIVE}

"""What the API answers while somebody holds what it needs: the row of an order, or an idempotency key.

An operator's open transaction does, a batch that hangs, a request whose transaction takes long.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import sqlalchemy as sa

from services.chassis.database import KEYS_SPACE
from services.chassis.idempotency import number_of
from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.storefront import unique

_ROW = "SELECT FROM orders WHERE id = :id FOR UPDATE"
_KEY = "SELECT pg_advisory_xact_lock(:space, :number)"


@contextmanager
def held(shop: Shop, statement: str, **values: object) -> Iterator[None]:
    engine = sa.create_engine(shop.stack.environment("order")["DATABASE_URL"])
    try:
        with engine.begin() as connection:
            connection.execute(sa.text(statement), values)
            yield
    finally:
        engine.dispose()


def _mail_is_told(shop: Shop, order_id: str) -> None:
    told = shop.admin.get(f"{order_id}/timeline/").json()["data"]
    assert any(entry["type"].endswith("NotificationSent") for entry in told)


def test_an_order_whose_row_is_held_is_answered_as_busy_and_others_are_changed_meanwhile(shop: Shop) -> None:
    order, *others = (shop.customer.placed((shop.sku(), 1)) for _ in range(9))
    # Else a worker that is told of several mails at once would wait for the held row, and hold those of the others.
    for each in (order, *others):
        eventually(partial(_mail_is_told, shop, each["id"]), within=30)
    with ThreadPoolExecutor(len(others) + 1) as pool, held(shop, _ROW, id=order["id"]):
        began = time.monotonic()
        waiting = pool.submit(shop.customer.cancel, order, wait=None)
        answers = list(pool.map(lambda other: shop.customer.cancel(other, wait=None), others))
        refused = waiting.result()
        seconds = time.monotonic() - began
    assert [answer.status_code for answer in answers] == [200] * len(others)
    assert (refused.status_code, refused.json()["code"]) == (503, "database_busy")
    assert refused.json()["detail"].startswith("another transaction holds what this needs")
    assert refused.headers["Retry-After"] == "5"
    assert seconds < 20
    assert shop.customer.cancel(order, wait=None).status_code == 200


def test_a_request_whose_key_is_held_is_answered_as_busy_and_carried_out_when_it_comes_again(shop: Shop) -> None:
    sku, key = shop.sku(), unique("held")
    number = number_of((shop.customer.subject, key))
    with ThreadPoolExecutor(9) as pool, held(shop, _KEY, space=KEYS_SPACE, number=number):
        began = time.monotonic()
        waiting = pool.submit(shop.customer.place, (sku, 1), key=key)
        answers = list(pool.map(lambda _: shop.customer.place((sku, 1)), range(8)))
        refused = waiting.result()
        seconds = time.monotonic() - began
    assert [answer.status_code for answer in answers] == [201] * 8
    assert (refused.status_code, refused.json()["code"]) == (503, "database_busy")
    assert seconds < 20
    again = shop.customer.place((sku, 1), key=key)
    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (201, None)

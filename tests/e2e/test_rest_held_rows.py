"""What the API answers while somebody holds the row of an order: an operator's open transaction, a batch that hangs."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import sqlalchemy as sa

from tests.support.eventually import eventually
from tests.support.running_shop import Shop


@contextmanager
def held(shop: Shop, order_id: str) -> Iterator[None]:
    engine = sa.create_engine(shop.stack.environment("order")["DATABASE_URL"])
    try:
        with engine.begin() as connection:
            connection.execute(sa.text("SELECT FROM orders WHERE id = :id FOR UPDATE"), {"id": order_id})
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
    with ThreadPoolExecutor(len(others) + 1) as pool, held(shop, order["id"]):
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

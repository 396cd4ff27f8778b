"""`Prefer: wait` where no answer comes: what was given first is the answer, and nobody reads the order again for it."""

from concurrent.futures import ThreadPoolExecutor

from tests.support.running_shop import Shop
from tests.support.statements import counted
from tests.support.storefront import Client

WAITING = 12
READS_OF_LINES = "%FROM order_items%"


def test_requests_that_waited_in_vain_are_answered_with_what_they_were_given(shop: Shop) -> None:
    sku = shop.sku(stock=100)
    clients = [Client(shop.service.urls, shop.service.token) for _ in range(WAITING)]
    with ThreadPoolExecutor(WAITING) as pool, counted(shop, "order", READS_OF_LINES) as reads:
        answers = list(pool.map(lambda client: client.place((sku, 1), wait=2), clients))

    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["status"] for answer in answers} == {"pending"}
    assert {answer.headers["Preference-Applied"] for answer in answers} == {"wait=2"}
    assert min(answer.elapsed.total_seconds() for answer in answers) >= 2
    assert reads.statements == 0

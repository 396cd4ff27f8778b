"""A whole shop to be broken: real servers, the services as processes, a catalog, and orders whose end is known.

Of ten orders one is for goods that ran out, two are cancelled at once by their buyers, and seven must end confirmed,
their stock allocated. A fifth of the buyers want mails.
"""

import contextlib
import itertools
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import requests

from deploy.local.stack import Stack, launch
from deploy.local.state import SERVICES
from deploy.local.tokens import mint
from tests.chaos import stories
from tests.support.eventually import eventually
from tests.support.killpoints import Killpoints
from tests.support.load import Load, Request

PLENTY = [f"PLENTY-{number:02}" for number in range(20)]
SCARCE = "SCARCE"
UNITS = 1_000_000
TOPICS = ["order.events.v1", "inventory.events.v1", "notification.events.v1", "inventory.stock.v1"]
PROCESSES = [f"{service}-{role}" for service in SERVICES for role in ("api", "worker")]
WORKERS = [name for name in PROCESSES if name.endswith("-worker")]
ADDRESS = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "address1": "St James's Square 12",
    "city": "London",
    "postal_code": "SW1Y 4JH",
    "country_code": "GB",
}
# A mail that a killed mailer had claimed is tried again after its lease, so that is kept short.
OVERRIDES: Mapping[str, Mapping[str, str]] = {
    "order": {"AUTO_CONFIRM_ORDERS": "true"},
    "inventory": {"LOW_STOCK_THRESHOLD": "0"},
    "notification": {"SMTP_TIMEOUT_SECONDS": "1", "MAIL_LEASE_SECONDS": "10", "MAIL_POLL_SECONDS": "0.2"},
}
_labels = itertools.count(1)


@dataclass(slots=True)
class Shop:
    """The stack, and what tests do with it.

    Args:
        stack: its servers run; its services run between `open` and `close`.
        points: where the files of the kill points lie.

    """

    stack: Stack
    points: Path
    _filled: bool = False

    def open(self, *, killable: bool = False, **settings: object) -> None:
        """Start all services with these settings, and let them know the catalog; `killable` puts kill points in."""
        for service in SERVICES:
            environment = {name.upper(): str(value) for name, value in settings.items()}
            module = None
            if killable:
                environment |= self.killpoints(service).environment()
                module = "tests.support.killpoints"
            for role in ("api", "worker"):
                self.stack.start_process(service, role, module=module, environment=environment)
        self.stack.await_ready(*PROCESSES)
        if not self._filled:
            self._fill()
            self._filled = True

    def start_what_ended(self) -> None:
        """Start those services anew that a test left dead."""
        for name in PROCESSES:
            if not self.stack.processes.is_alive(name):
                self.stack.start_again(name)

    def close(self, *names: str) -> dict[str, tuple[int | None, float]]:
        """End services, all unless named, side by side; return each one's exit status, and how long it took."""
        ends: dict[str, tuple[int | None, float]] = {}
        began = time.monotonic()

        def stop(name: str) -> None:
            status = self.stack.processes.stop(name)
            ends[name] = (status, time.monotonic() - began)

        threads = [threading.Thread(target=stop, args=(name,)) for name in names or PROCESSES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return ends

    def _fill(self) -> None:
        for sku in [*PLENTY, SCARCE]:
            self.admin("PUT", f"variants/{sku}/", product_name=sku, variant_name="-", price="1.50", currency="EUR")
        for sku in PLENTY:
            self.admin("POST", f"stock/{sku}/receipts/", quantity=UNITS)

        def known() -> None:
            assert self.ask("order", "SELECT count(*) FROM catalog_variants WHERE active") == [(len(PLENTY) + 1,)]

        eventually(known, within=20)

    def orders(self, rate: float) -> "Orders":
        """Return a load of orders that has not begun."""
        label = f"load-{next(_labels)}"
        accepted: dict[str, dict[str, Any]] = {}
        url, token = self.stack.url("order-api"), self.token("service")
        return Orders(self, label, Load(url, token, _orders(label, accepted), rate, accepted))

    def place(self, wait: int = 0) -> str:
        """Place one order, wait so many seconds at most for inventory's answer, and return the order's id."""
        answer = requests.post(
            f"{self.stack.url('order-api')}/api/v1/orders/",
            json={"items": [{"sku": PLENTY[0], "quantity": 1}], "shipping_address": ADDRESS},
            headers={
                "Authorization": f"Bearer {self.token('service')}",
                "Idempotency-Key": f"single-{next(_labels)}",
                "Prefer": f"wait={wait}",
            },
            timeout=30,
        )
        assert answer.status_code == 201, answer.text
        order: dict[str, str] = answer.json()
        assert order["status"] == ("confirmed" if wait else "pending")
        return order["id"]

    def receipts(self, rate: float) -> Load:
        """Return a load of receipts of one unit each, which has not begun."""
        return Load(self.stack.url("inventory-api"), self.token("admin"), _receipts(), rate)

    def reads(self, rate: float) -> Load:
        """Return a load of questions to the notification service, which has not begun."""
        return Load(self.stack.url("notification-api"), self.token("admin"), _reads(), rate)

    def token(self, role: str) -> str:
        """Return a token."""
        return mint(self.stack.state.jwt, role=role)

    def killpoints(self, service: str) -> Killpoints:
        """Return the kill points of a service's processes."""
        return Killpoints(self.points, service)

    def admin(self, method: str, path: str, **body: object) -> Any:
        """Ask inventory's API as an administrator, and return the answer's JSON."""
        url = f"{self.stack.url('inventory-api')}/api/v1/inventory/{path}"
        headers = {"Authorization": f"Bearer {self.token('admin')}"}
        answer = requests.request(method, url, json=body or None, headers=headers, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def ask(self, service: str, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a service's database answers."""
        url = self.stack.environment(service)["DATABASE_URL"].replace("+psycopg2", "")
        with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def pids(self) -> dict[str, int]:
        """Return the process ids of all services that run."""
        return {name: pid for name, pid in self.stack.processes.pids().items() if name in PROCESSES}

    def counted(self, service: str, metric: str, **labels: str) -> float:
        """Return what a worker's metric has counted since the process began, over all other labels."""
        text = requests.get(self.stack.state.services[service].metrics_url, timeout=5).text
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        lines = [line for line in text.splitlines() if line.startswith(f"{metric}{{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(label in line for label in wanted))


@dataclass(slots=True)
class Orders:
    """A load of orders; `label` stands in each as its external reference."""

    shop: Shop
    label: str
    load: Load

    def __enter__(self) -> Load:
        return self.load.__enter__()

    def __exit__(self, *_: object) -> None:
        self.load.__exit__()


@contextlib.contextmanager
def shop_in(directory: Path) -> Iterator[Shop]:
    """Lend a shop whose servers run, whose databases are migrated, and whose services are still to be started."""
    directory.mkdir(parents=True)
    points = directory / "killpoints"
    points.mkdir()
    with launch(directory, overrides=OVERRIDES) as stack:
        stack.start_servers()
        stack.start_mail()
        stack.migrate()
        yield Shop(stack, points)
    shutil.rmtree(directory)


def _orders(label: str, accepted: Mapping[str, Mapping[str, Any]]) -> Iterator[Request]:
    """Place orders without end, and cancel those that are to be cancelled as soon as they were accepted."""
    regretted: deque[str] = deque()
    for number in itertools.count():
        while regretted and regretted[0] in accepted:
            key = regretted.popleft()
            path = f"/api/v1/orders/{accepted[key]['id']}/cancel/"
            yield Request(key + stories.CANCEL, path, {"reason": "customer_request"})
        key = f"{label}-{number}"
        if stories.is_to_be_cancelled(key):
            regretted.append(key)
        items = [
            {"sku": PLENTY[number % 7], "quantity": 1 + number % 3},
            {"sku": PLENTY[7 + number % 13], "quantity": 2},
        ]
        if stories.is_short_of_stock(key):
            items.append({"sku": SCARCE, "quantity": 1})
        body = {"items": items, "shipping_address": ADDRESS, "external_reference": label}
        mailed = {"customer_email": f"{key}@buyers.example"} if stories.is_mailed(key) else {}
        yield Request(key, "/api/v1/orders/", body | mailed)


def _receipts() -> Iterator[Request]:
    label = f"receipts-{next(_labels)}"
    for number in itertools.count():
        path = f"/api/v1/inventory/stock/{PLENTY[number % len(PLENTY)]}/receipts/"
        yield Request(f"{label}-{number}", path, {"quantity": 1, "reference": label})


def _reads() -> Iterator[Request]:
    for number in itertools.count():
        yield Request(f"read-{number}", "/api/v1/notifications/?limit=1")

"""A small client of the three APIs, as their users would write one: who one is, and what one may ask for."""

import itertools
import uuid
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import requests

from deploy.local import tokens
from deploy.local.state import StackState

ADDRESS = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "address1": "1 Main St",
    "city": "Bonn",
    "postal_code": "53111",
    "country_code": "DE",
}
_SECONDS = 30
_PATHS = {"order": "/api/v1/orders", "inventory": "/api/v1/inventory", "notification": "/api/v1/notifications"}
Item = tuple[str, int]


def unique(prefix: str) -> str:
    """Return an id that no other test has."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def order_body(*items: Item, **fields: Any) -> dict[str, Any]:
    """Return the body that places an order of these (sku, quantity); `fields` replace or (None) take away."""
    wanted = {"items": [{"sku": sku, "quantity": quantity} for sku, quantity in items], "shipping_address": ADDRESS}
    return {name: value for name, value in {**wanted, **fields}.items() if value is not None}


class Client:
    """One caller with a token of their own, and a connection that is kept.

    Paths are relative to the API of a service; a path from "/" on is absolute.
    """

    def __init__(self, urls: Mapping[str, str], token: str | None, subject: str = "") -> None:
        self.urls = dict(urls)
        self.token = token
        self.subject = subject
        self._session = requests.Session()

    def at(self, service: str, url: str) -> "Client":
        """Return the same caller, talking to another process of a service."""
        return Client({**self.urls, service: url}, self.token, self.subject)

    def call(
        self,
        method: str,
        path: str,
        *,
        service: str = "order",
        wait: int | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> requests.Response:
        """Make a request and return its answer, whatever it is.

        Args:
            method: GET, POST …
            path: see the class.
            service: whose API.
            wait: seconds of `Prefer: wait`.
            key: the Idempotency-Key.
            headers: further ones.
            arguments: as for `requests.request`: json, data, params.

        """
        sent = {
            "Authorization": self.token and f"Bearer {self.token}",
            "Prefer": None if wait is None else f"wait={wait}",
            "Idempotency-Key": key,
            **(headers or {}),
        }
        url = self.urls[service] + (path if path.startswith("/") else f"{_PATHS[service]}/{path}")
        kept = {name: value for name, value in sent.items() if value is not None}
        return self._session.request(method, url, headers=kept, timeout=_SECONDS, **arguments)

    def get(self, path: str, **arguments: Any) -> requests.Response:
        """GET."""
        return self.call("GET", path, **arguments)

    def post(self, path: str, json: Any = None, **arguments: Any) -> requests.Response:
        """POST."""
        return self.call("POST", path, json=json, **arguments)

    # --- orders

    def place(self, *items: Item, wait: int | None = None, key: str | None = None, **fields: Any) -> requests.Response:
        """Place an order; with a key of its own unless one is given."""
        return self.post("", order_body(*items, **fields), wait=wait, key=key or unique("place"))

    def placed(self, *items: Item, wait: int | None = 10, **fields: Any) -> dict[str, Any]:
        """Place an order that must be taken, and return it as it is once inventory has answered."""
        answer = self.place(*items, wait=wait, **fields)
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()
        return order

    def order(self, order_id: str) -> dict[str, Any]:
        """Return an order."""
        answer = self.get(f"{order_id}/")
        assert answer.status_code == 200, answer.text
        order: dict[str, Any] = answer.json()
        return order

    def confirm(self, order: Mapping[str, Any], wait: int | None = 10, **payment: Any) -> requests.Response:
        """Confirm an order with a payment of all that is due; `payment` replaces its parts."""
        usual = {
            "provider": "stripe",
            "reference": unique("payment"),
            "amount": order["amount_due"],
            "currency": order["currency"],
        }
        return self.post(f"{order['id']}/confirm/", {**usual, **payment}, wait=wait)

    def cancel(self, order: Mapping[str, Any], wait: int | None = 10, **body: Any) -> requests.Response:
        """Cancel an order."""
        return self.post(f"{order['id']}/cancel/", body or None, wait=wait)

    def move(self, order: Mapping[str, Any], status: str, **body: Any) -> requests.Response:
        """Set an order's status."""
        return self.call("PATCH", f"{order['id']}/status/", json={"status": status, **body})

    # --- edits

    def add_item(
        self, order: Mapping[str, Any], sku: str, quantity: int = 1, wait: int | None = 10, **more: Any
    ) -> requests.Response:
        """Add a line to an order; `more` as for `call`."""
        return self.post(f"{order['id']}/items/", {"sku": sku, "quantity": quantity}, wait=wait, **more)

    def change_item(
        self, order: Mapping[str, Any], item: Mapping[str, Any], quantity: int, wait: int | None = 10, **more: Any
    ) -> requests.Response:
        """Change the quantity of a line, as this order was read; `more` as for `call`."""
        headers = {"If-Match": f'"v{order["version"]}"'}
        path = f"{order['id']}/items/{item['id']}/"
        return self.call("PUT", path, json={"quantity": quantity}, wait=wait, **{"headers": headers, **more})

    def remove_item(
        self, order: Mapping[str, Any], item: Mapping[str, Any], wait: int | None = 10, **more: Any
    ) -> requests.Response:
        """Take a line away; `more` as for `call`."""
        return self.call("DELETE", f"{order['id']}/items/{item['id']}/", wait=wait, **more)

    def change_details(self, order: Mapping[str, Any], body: Any, **more: Any) -> requests.Response:
        """Change where an order goes and how, as this order was read; `more` as for `call`."""
        headers = {"If-Match": f'"v{order["version"]}"'}
        return self.call("PUT", f"{order['id']}/", json=body, **{"headers": headers, **more})

    # --- stock

    def put_variant(self, sku: str, **fields: Any) -> requests.Response:
        """Publish a variant."""
        usual = {"product_name": f"Product {sku}", "variant_name": "blue", "price": "10.00", "currency": "EUR"}
        kept = {name: value for name, value in {**usual, **fields}.items() if value is not None}
        return self.call("PUT", f"variants/{sku}/", service="inventory", json=kept)

    def receive(self, sku: str, quantity: int) -> requests.Response:
        """Take in units."""
        return self.post(f"stock/{sku}/receipts/", {"quantity": quantity}, service="inventory")

    def adjust(self, sku: str, **body: Any) -> requests.Response:
        """Correct a level."""
        return self.post(f"stock/{sku}/adjustments/", {"reason": "counted", **body}, service="inventory")

    def level(self, sku: str) -> tuple[int, int, int]:
        """Return (on_hand, reserved, allocated) at the default location."""
        answer = self.get(f"stock/{sku}/", service="inventory")
        assert answer.status_code == 200, answer.text
        (level,) = answer.json()["locations"]
        return level["on_hand"], level["reserved"], level["allocated"]

    def audit(self) -> dict[str, Any]:
        """Return the audit of inventory's books."""
        answer = self.get("audit/", service="inventory")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def pages(self, path: str, **arguments: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield the pages of a list, following its cursor to the end."""
        parameters = dict(arguments.pop("params", {}))
        for _ in itertools.count():
            answer = self.get(path, params=parameters, **arguments)
            assert answer.status_code == 200, answer.text
            yield answer.json()["data"]
            if answer.json()["next_cursor"] is None:
                return
            parameters["cursor"] = answer.json()["next_cursor"]


class Callers:
    """Makes callers for a running stack."""

    def __init__(self, state: StackState) -> None:
        self.state = state
        self.urls = {name: address.url for name, address in state.services.items()}

    def token(self, role: str, subject: str | None = None, **claims: Any) -> str:
        """Return a token; `claims` are `vendor`, `email` and `lifetime`."""
        return tokens.mint(self.state.jwt, role=role, subject=subject, **claims)

    def having(self, token: str | None) -> Client:
        """Return a caller with this token, or none."""
        return Client(self.urls, token)

    def admin(self) -> Client:
        """Return an administrator."""
        return self._as("admin", "local-admin")

    def service(self) -> Client:
        """Return the storefront's backend."""
        return self._as("service", "local-service")

    def warehouse(self) -> Client:
        """Return somebody of the warehouse."""
        return self._as("warehouse", "local-warehouse")

    def customer(self, subject: str | None = None, email: str | None = "ada@example.org") -> Client:
        """Return a customer, a new one unless named."""
        return self._as("customer", subject or unique("customer"), email=email)

    def vendor(self, vendor_id: str) -> Client:
        """Return somebody of a vendor."""
        return self._as("vendor", unique("vendor-person"), vendor=vendor_id)

    def _as(self, role: str, subject: str, **claims: Any) -> Client:
        return Client(self.urls, self.token(role, subject, lifetime=timedelta(hours=1), **claims), subject)

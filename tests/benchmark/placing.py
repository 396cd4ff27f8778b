"""Orders as a storefront's backend places them: one POST each."""

import json
from collections.abc import Mapping
from itertools import islice

from tests.benchmark.workload import Workload

PATH = "/api/v1/orders/"
_ADDRESS = {
    "first_name": "Ada",
    "last_name": "Buyer",
    "address1": "1 High Street",
    "city": "Springfield",
    "postal_code": "12345",
    "country_code": "DE",
}


class Requests:
    """Yields the orders of a workload as HTTP requests, each once.

    Args:
        workload: what is ordered.
        token: of a caller with role service.

    """

    def __init__(self, workload: Workload, token: str) -> None:
        self._token = token
        self._wishes = enumerate(workload.wishes())

    def take(self, count: int, headers: Mapping[str, str] | None = None) -> list[bytes]:
        """Return the next `count` requests, with these headers beside their own.

        Raises:
            ValueError: the workload has fewer left.

        """
        taken = [self._request(i, wish, headers or {}) for i, wish in islice(self._wishes, count)]
        if len(taken) < count:
            raise ValueError(f"the workload has {len(taken)} orders left, {count} were asked for")
        return taken

    def _request(self, number: int, wish: tuple[tuple[str, int], ...], headers: Mapping[str, str]) -> bytes:
        body = {
            "customer_id": f"customer-{number}",
            "customer_email": f"customer-{number}@shop.example",
            "items": [{"sku": sku, "quantity": quantity} for sku, quantity in wish],
            "shipping_address": _ADDRESS,
        }
        return request("POST", PATH, self._token, {"Idempotency-Key": f"order-{number}", **headers}, body)


def request(method: str, path: str, token: str, headers: Mapping[str, str], body: object = None) -> bytes:
    """Return a whole HTTP/1.1 request."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: shop.example", f"Authorization: Bearer {token}"]
    if content:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content

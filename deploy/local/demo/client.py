"""The three APIs, as somebody with a token calls them."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from deploy.local.demo.promises import StoryBroken
from deploy.local.state import StackState
from deploy.local.tokens import mint

ORDERS = "/api/v1/orders/"
INVENTORY = "/api/v1/inventory/"
NOTIFICATIONS = "/api/v1/notifications/"
SUCCESS = range(200, 300)
_TIMEOUT_SECONDS = 30.0
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """What an API answered; `body` is the decoded JSON."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Caller:
    """Somebody with one role's token; every change carries an Idempotency-Key, as a careful client's does."""

    def __init__(
        self,
        state: StackState,
        role: str,
        *,
        subject: str | None = None,
        email: str | None = None,
        vendor: str | None = None,
    ) -> None:
        self._urls = {service: address.url for service, address in state.services.items()}
        self._session = requests.Session()
        self._session.trust_env = False  # the stack is on this machine: no proxy stands between
        token = mint(state.jwt, role=role, subject=subject, email=email, vendor=vendor)
        self._session.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get(self, service: str, path: str, **parameters: str | int) -> Any:
        """Return the body of a 200; raise StoryBroken on any other answer."""
        response = self._send("GET", service, path, params=parameters)
        return _expected(response, SUCCESS).body

    def download(self, service: str, path: str) -> bytes:
        """Return a file; raise StoryBroken on any answer but a 200."""
        response = self._send("GET", service, path)
        _require(response, SUCCESS)
        return response.content

    def rows(self, service: str, path: str, **parameters: str | int) -> list[dict[str, Any]]:
        """Return all rows of a list, page after page."""
        found: list[dict[str, Any]] = []
        query: dict[str, str | int] = {**parameters, "limit": _PAGE}
        while True:
            page = self.get(service, path, **query)
            found += page["data"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    def change(
        self,
        method: str,
        service: str,
        path: str,
        body: object,
        *,
        key: str | None = None,
        wait: int | None = None,
        expect: Collection[int] = SUCCESS,
    ) -> Answer:
        """Ask for a change and return the answer.

        `key` is the Idempotency-Key (a new one when omitted), `wait` asks to wait so many seconds for the saga.
        Raises StoryBroken when the status is not one of `expect`.
        """
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        if wait is not None:
            headers["Prefer"] = f"wait={wait}"
        return _expected(self._send(method, service, path, json=body, headers=headers), expect)

    def _send(self, method: str, service: str, path: str, **request: Any) -> requests.Response:
        try:
            return self._session.request(method, self._urls[service] + path, timeout=_TIMEOUT_SECONDS, **request)
        except requests.RequestException as error:
            raise StoryBroken(f"{method} {path}: no answer ({type(error).__name__})") from error


def _expected(response: requests.Response, expect: Collection[int]) -> Answer:
    _require(response, expect)
    return Answer(response.status_code, response.json(), response.headers)


def _require(response: requests.Response, expect: Collection[int]) -> None:
    if response.status_code not in expect:
        request = response.request
        raise StoryBroken(f"{request.method} {request.path_url}: {response.status_code} {response.text[:300]}")

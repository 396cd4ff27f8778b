"""A bounded, paced load of requests on one API, each with an idempotency key, and what came of every attempt.

Open loop: an attempt is made when its time has come, whatever became of those before it. A request that was not
accepted is tried again a second later, as a client does that does not know what became of it.
"""

import http.client
import itertools
import json
import select
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

# The outcomes of requests that are accepted.
TAKEN = frozenset({200, 201})
_THREADS = 4
_RETRY_SECONDS = 1.0
_REQUEST_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for; `key` is the idempotency key, and tells it from all others. Without a body it is a GET."""

    key: str
    path: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a request.

    `outcome` is the status of the answer, or "refused" (nobody listened), or "cut" (the connection was accepted
    and ended without an answer).
    """

    key: str
    at: float
    seconds: float
    outcome: int | str
    retry_after: str | None = None
    replayed: bool = False


@dataclass(slots=True)
class Load:
    """Runs in threads from `with` to the end of the block, at `rate` requests a second.

    Args:
        url: the API's base address.
        token: of role service.
        requests: what to ask for, without end.
        rate: attempts a second.

    Attributes:
        accepted: key → the answer's body.
        attempts: everything that was tried, in the order of the answers.

    """

    url: str
    token: str
    requests: Iterator[Request]
    rate: float
    accepted: dict[str, dict[str, Any]] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    _again: deque[tuple[float, Request]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _faults: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Self:
        begin = time.monotonic()
        ticks = (begin + number / self.rate for number in itertools.count())
        for number in range(_THREADS):
            thread = threading.Thread(target=self._run, args=(ticks,), name=f"load-{number}")
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._faults:
            raise self._faults[0]

    def finish(self, within: float) -> None:
        """Try again what was not accepted, until all of it is; fail after `within` seconds."""
        deadline = time.monotonic() + within
        with _Connection(self.url, self.token) as connection:
            while self._again:
                assert time.monotonic() < deadline, f"{len(self._again)} requests are still not accepted"
                at, request = self._again.popleft()
                time.sleep(max(0.0, at - time.monotonic()))
                self._try(connection, request)

    def outcomes(self, since: float = 0.0, until: float = float("inf")) -> dict[int | str, int]:
        """Return how often each outcome was had by the attempts begun between two times (`time.monotonic`)."""
        found: dict[int | str, int] = {}
        for attempt in self.attempts:
            if since <= attempt.at < until:
                found[attempt.outcome] = found.get(attempt.outcome, 0) + 1
        return found

    def _run(self, ticks: Iterator[float]) -> None:
        try:
            with _Connection(self.url, self.token) as connection:
                while not self._stop.is_set():
                    with self._lock:
                        at = next(ticks)
                    if not self._stop.wait(max(0.0, at - time.monotonic())):
                        self._try(connection, self._next())
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that leaves the block
            self._faults.append(error)

    def _next(self) -> Request:
        with self._lock:
            if self._again and self._again[0][0] <= time.monotonic():
                return self._again.popleft()[1]
            return next(self.requests)

    def _try(self, connection: "_Connection", request: Request) -> None:
        attempt, body = connection.ask(request)
        with self._lock:
            self.attempts.append(attempt)
            if attempt.outcome in TAKEN:
                self.accepted[request.key] = json.loads(body)
            else:
                self._again.append((time.monotonic() + _RETRY_SECONDS, request))


class _Connection:
    """A keep-alive connection that can tell why there was no answer."""

    def __init__(self, url: str, token: str) -> None:
        self._http = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_REQUEST_SECONDS)
        self._token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, request: Request) -> tuple[Attempt, bytes]:
        """Return what came of a request, and the answer's body."""
        began = time.monotonic()
        try:
            self._connect()
        except ConnectionRefusedError:
            self._http.close()
            return Attempt(request.key, began, time.monotonic() - began, "refused"), b""
        try:
            self._send(request)
            answer = self._http.getresponse()
            body = answer.read()
        except (http.client.HTTPException, OSError):
            self._http.close()
            return Attempt(request.key, began, time.monotonic() - began, "cut"), b""
        retry_after, replayed = answer.getheader("Retry-After"), answer.getheader("Idempotent-Replayed") == "true"
        return Attempt(request.key, began, time.monotonic() - began, answer.status, retry_after, replayed), body

    def _connect(self) -> None:
        """Connect unless we are; a connection that the server has ended since its last answer is made anew."""
        if self._http.sock is not None and select.select([self._http.sock], [], [], 0)[0]:
            self._http.close()
        if self._http.sock is None:
            self._http.connect()

    def _send(self, request: Request) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        if request.body is None:
            self._http.request("GET", request.path, headers=headers)
        else:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": request.key}
            self._http.request("POST", request.path, json.dumps(request.body), headers)

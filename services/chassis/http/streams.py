"""Server-Sent Events (WHATWG HTML, section 9.2): answers that go on, so many of them at once in a process.

A stream that says nothing for a while sends a comment, so that whatever stands between keeps the connection, and so
that a caller who is gone is noticed. It ends when its events end, or when the process goes down; a browser then comes
back by itself with the `Last-Event-ID` that it has.
"""

import threading
from collections.abc import Iterator
from typing import NamedTuple

from flask import Response
from pydantic import BaseModel
from pydantic_core import to_json

from services.chassis.http.problems import named

_KEEP_ALIVE = b": keep-alive\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_RETRY_SECONDS = 5


class ServerEvent(NamedTuple):
    """One event of a stream.

    Args:
        id: what a caller who comes back names as its last one.
        name: the kind of event.
        data: sent as JSON.

    """

    id: str
    name: str
    data: BaseModel


class Streams:
    """The streams of one process.

    Args:
        most: how many may be open at once.

    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0
        self._lock = threading.Lock()

    def respond(self, events: Iterator[ServerEvent | None]) -> Response:
        """Return the answer that sends events as they come; None stands for a while in which none came.

        Raises:
            Problem: 503 `too_many_streams`.

        """
        with self._lock:
            if self._open >= self._most:
                detail = f"{self._most} streams are open here, the most there may be; try again, or ask now and then"
                raise named("too_many_streams", detail, headers={"Retry-After": str(_RETRY_SECONDS)})
            self._open += 1
        response = Response(_lines(events), content_type="text/event-stream", headers=_HEADERS)
        # Called once, however the answer ends, also one of which nothing was sent.
        response.call_on_close(self._closed)
        return response

    def _closed(self) -> None:
        with self._lock:
            self._open -= 1


def last_event_id(header: str | None) -> int:
    """Return the number in a `Last-Event-ID` header, 0 where there is none.

    Raises:
        Problem: 400 `invalid_header`.

    """
    if header is None or header == "":
        return 0
    if not header.isdecimal() or len(header) > 9:
        raise named("invalid_header", f"Last-Event-ID {header[:40]!r} is no number of this stream; leave it out")
    return int(header)


def _lines(events: Iterator[ServerEvent | None]) -> Iterator[bytes]:
    yield f"retry: {_RETRY_SECONDS * 1000}\n\n".encode()
    for event in events:
        if event is None:
            yield _KEEP_ALIVE
        else:
            yield f"id: {event.id}\nevent: {event.name}\ndata: ".encode() + to_json(event.data) + b"\n\n"

"""Sends prepared HTTP requests over keep-alive connections, and says how long each took.

It runs in a process of its own and does as little as it can (bytes made beforehand, one epoll loop, the answer's
status and length read, its body dropped), since it shares the cores with what it measures.
"""

import contextlib
import selectors
import socket
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

_READ = 65536
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_LAST_CHUNK = b"\r\n0\r\n\r\n"
# How long the sockets are waited for at most, since a load has to end in its time.
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent.

    Args:
        host: where to.
        port: where to.
        requests: each a whole HTTP/1.1 request.
        connections: open at once, each with one request under way at most.
        rate: requests a second, each due at its time whether or not those before it were answered; None sends as fast
            as the answers come.
        streams: requests whose answers do not end: opened before all others, closed in the end, and only then read.
        seconds: how long it may take.

    """

    host: str
    port: int
    requests: Sequence[bytes]
    connections: int = 64
    rate: float | None = None
    streams: Sequence[bytes] = ()
    seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it.

    Args:
        began: of the first request, on the monotonic clock, in seconds.
        ended: of the last answer.
        latencies: seconds of each request, ascending; from when it was due, so that a server that stalls cannot make
            its own figures better by keeping the next ones waiting.
        statuses: HTTP status → answers.

    """

    began: float
    ended: float
    latencies: Sequence[float]
    statuses: Counter[int]

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies) / (self.ended - self.began)

    def quantile(self, share: float) -> float:
        """Return the latency, in seconds, that this share of the requests kept."""
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


class Sender:
    """A process that sends."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self._pool.submit(time.monotonic).result()  # the process is up before anything is measured

    def start(self, load: Load) -> "Future[Sent]":
        """Begin to send, and return what will have come of it."""
        return self._pool.submit(send, load)

    def send(self, load: Load) -> Sent:
        """Send, and return what came of it."""
        return self.start(load).result()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


def send(load: Load) -> Sent:
    """Send everything.

    Raises:
        OSError: a connection was refused, or closed before its answer; or a stream was not answered with 200.
        TimeoutError: it took too long.

    """
    with selectors.DefaultSelector() as selector, ExitStack() as opened:
        streams = [opened.enter_context(contextlib.closing(_Connection(load.host, load.port))) for _ in load.streams]
        for stream, request in zip(streams, load.streams, strict=True):
            stream.send(request, 0.0)
        idle = [
            opened.enter_context(contextlib.closing(_Connection(load.host, load.port))) for _ in range(load.connections)
        ]
        for connection in idle:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        sent = _drive(load, selector, idle)
        for stream in streams:
            stream.require_stream()
        return sent


class _Connection:
    """One socket and the answer that is coming in on it."""

    __slots__ = ("_buffer", "due", "socket")

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._buffer = b""

    def send(self, request: bytes, due: float) -> None:
        self.due = due
        self.socket.sendall(request)

    def close(self) -> None:
        self.socket.close()

    def receive(self) -> int | None:
        """Read on, and return the status once the answer is whole."""
        part = self.socket.recv(_READ)
        if not part:
            raise ConnectionResetError("the server closed a connection before it had answered")
        answer = self._buffer = self._buffer + part
        head = answer.find(_HEAD_END)
        if head < 0:
            return None
        begin = head + len(_HEAD_END)
        named = answer.lower().find(_LENGTH, 0, head)
        if named < 0:
            # In chunks. Of those that came, the end is kept that may be the beginning of the last one.
            is_whole = answer.endswith(_LAST_CHUNK)
            self._buffer = answer[:begin] + answer[begin:][-len(_LAST_CHUNK) :]
        else:
            at = named + len(_LENGTH)
            is_whole = len(answer) >= begin + int(answer[at : answer.index(b"\r\n", at)])
        if not is_whole:
            return None
        self._buffer = b""
        return int(answer[9:12])

    def require_stream(self) -> None:
        """Look whether this is a stream that has told something, and goes on.

        Raises:
            OSError: it was answered with another status than 200, or has told nothing, or has ended.

        """
        answer = self.socket.recv(_READ)
        told = answer.partition(_HEAD_END)[2]
        if not answer.startswith(b"HTTP/1.1 200 ") or b"data:" not in told or answer.endswith(_LAST_CHUNK):
            raise ConnectionError(f"a stream was answered with {answer[:200]!r}")


def _drive(load: Load, selector: Any, idle: list[_Connection]) -> Sent:
    began = time.monotonic()
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    sent, total = 0, len(load.requests)
    while len(latencies) < total:
        now = time.monotonic()
        if now - began > load.seconds:
            raise TimeoutError(f"{total - len(latencies)} of {total} requests were not answered in {load.seconds} s")
        # Without a free connection only an answer helps, however late the next request is: who kept looking whether it
        # may be sent would take a core from the server that is to answer, and keep it slow.
        patience = _LOOK_SECONDS
        while sent < total and idle:
            due = now if load.rate is None else began + sent / load.rate
            if due > now:
                patience = min(max(due - time.monotonic(), 0.0), _LOOK_SECONDS)
                break
            idle.pop().send(load.requests[sent], due)
            sent += 1
        for key, _ in selector.select(patience):
            connection: _Connection = key.data
            status = connection.receive()
            if status is not None:
                latencies.append(time.monotonic() - connection.due)
                statuses[status] += 1
                idle.append(connection)
    return Sent(began, time.monotonic(), sorted(latencies), statuses)

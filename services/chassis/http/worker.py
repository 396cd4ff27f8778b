"""gunicorn's worker for our APIs: gevent, with an end that loses nothing.

On SIGTERM, or once gunicorn's master was killed, a worker turns `/readyz` false and goes on accepting for a moment, so
that balancers notice; then it empties the accept queue, closes the socket, answers what is under way, and closes
connections on which nothing comes any more. Whatever it answers meanwhile says `Connection: close`.
"""

import gc
import time
from contextlib import suppress
from functools import partial
from signal import SIGTERM
from socket import SHUT_RD
from typing import Any

from gevent import Timeout, get_hub, monkey, sleep
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.base import Worker
from gunicorn.workers.ggevent import GeventWorker

from services.chassis.garbage import REQUESTS, spare_collector
from services.chassis.health import Health
from services.chassis.http import postgres_wait
from services.chassis.http.application import EXTENSION
from services.chassis.http.drain import admit_no_more
from services.chassis.http.problems import CODES, MEDIA_TYPE, named, problem_body

# Together less than the ten seconds after which supervisors kill.
_NOTICE_SECONDS = 0.5
_ACCEPT_SECONDS = 0.3
_IDLE_SECONDS = 1.5
_DRAIN_SECONDS = 7.0
_TICK_SECONDS = 0.05
# How often a worker says that it lives; gunicorn's master ends one that was silent for half a minute.
_BEAT_SECONDS = 5.0
# gevent's number for "there is something to read".
_READ = 1


class ApiWorker(GeventWorker):  # type: ignore[misc]  # gunicorn has no type information
    """Serves one copy of the Flask application."""

    # gunicorn's: false once the worker is to end.
    alive: bool

    def init_process(self) -> None:
        """Prepare what must be made after the fork, then serve."""
        self._ending = Event()
        self._open: set[Any] = set()
        self._busy: set[Any] = set()
        self._is_orphaned = False
        postgres_wait.install()
        super().init_process()

    def inherit(self, signals: Any, lifeline: tuple[int, int]) -> None:
        """Take over from the master, right after the fork.

        Args:
            signals: where a SIGTERM went that came after the fork, but before this worker listened for it.
            lifeline: a pipe, reading end and writing end; the master alone keeps the latter, so that the pipe ends
                with it, however that dies.

        """
        self._missed = signals
        self._lifeline, writing = lifeline
        # gevent's `close` would be put off until the event loop turns, which for a worker that nobody asks for anything
        # is at its next beat; as long as one worker holds this end, none hears of the master's.
        monkey.get_original("os", "close")(writing)

    def _missed_the_end(self) -> bool:
        while not self._missed.empty():
            if self._missed.get_nowait() == SIGTERM:
                return True
        return False

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to end (SIGTERM)."""
        super().handle_exit(sig, frame)
        self._ending.set()

    def notify(self) -> None:
        """Say that this worker lives.

        gevent's worker would also look here whether the master does, and end at once, with whatever is under way.
        """
        Worker.notify(self)

    def run(self) -> None:
        """Serve until SIGTERM, or until the master is gone, then drain."""
        health: Health = self.wsgi.extensions[EXTENSION].health
        spare_collector(REQUESTS)
        lifeline = get_hub().loop.io(self._lifeline, _READ)
        lifeline.start(self._end_without_master, lifeline)
        servers = [self._serve(listener) for listener in self.sockets]
        while self.alive and not self._missed_the_end():
            self.notify()
            self._ending.wait(_BEAT_SECONDS)
        self.alive = False
        if self._is_orphaned:
            self.log.warning("master_is_gone")
        health.shut_down()
        self._tick(_NOTICE_SECONDS)
        for server in servers:
            self._close(server)
        self._drain()
        # Python would collect garbage several times while it ends: a third of a second that nobody needs.
        gc.freeze()

    def _end_without_master(self, lifeline: Any) -> None:
        # In the event loop, which may not wait for anything: not for the log's lock, which a thread may hold.
        lifeline.stop()
        self._is_orphaned = True
        self.alive = False
        self._ending.set()

    def _serve(self, listener: Any) -> StreamServer:
        listener.setblocking(True)
        server = StreamServer(listener, handle=partial(self.handle, listener), spawn=Pool(self.worker_connections))
        server.start()
        return server

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection."""
        self._open.add(client)
        try:
            super().handle(listener, client, addr)
        finally:
            self._open.discard(client)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve one request of a connection."""
        self._busy.add(sock)
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            self._busy.discard(sock)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what cannot be read as HTTP with a problem; the fault may hold a token, so only its kind is told."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        code = {LimitRequestLine: "uri_too_long", LimitRequestHeaders: "headers_too_large"}.get(
            type(exc), "bad_request"
        )
        self.log.info("request_unreadable: %s", type(exc).__name__)
        problem = named(code, f"the request cannot be read as HTTP/1.1 ({type(exc).__name__})")
        body = problem_body(problem, CODES[code], None)
        head = (
            f"HTTP/1.1 {problem.status} Refused\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with Timeout(1.0, False):
            client.sendall(head.encode() + body)

    def _close(self, server: StreamServer) -> None:
        """Stop listening, once all that has begun is accepted."""
        admit_no_more(server.socket)
        self._tick(_ACCEPT_SECONDS)
        server.close()

    def _drain(self) -> None:
        """Wait for the requests under way; end the connections on which nothing comes."""
        began = time.monotonic()
        while self._open and time.monotonic() - began < _DRAIN_SECONDS:
            if time.monotonic() - began > _IDLE_SECONDS:
                self._end_idle()
            self._tick(_TICK_SECONDS)
        if self._open:
            self.log.warning("connections_cut: %d", len(self._open))

    def _end_idle(self) -> None:
        for client in self._open - self._busy:
            # The reader sees the end of the stream, and closes; a peer that is gone already has ended it.
            with suppress(OSError):
                client.shutdown(SHUT_RD)

    def _tick(self, seconds: float) -> None:
        self.notify()
        sleep(seconds)

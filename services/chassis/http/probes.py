"""`/livez`, `/readyz` and `/metrics` of a process without an API, from the standard library's server."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from services.chassis import logs
from services.chassis.errors import FatalError
from services.chassis.health import Health, HealthAnswer
from services.chassis.http.exposition import exposition

# A request wakes the server at once; this is for being shut down only.
_SHUTDOWN_LOOK_SECONDS = 2.0
log = logs.logger(__name__)


def serve_probes(health: Health, host: str, port: int) -> ThreadingHTTPServer:
    """Answer probes in threads of their own until the process ends, or the returned server is shut down.

    Args:
        health: what the process says about itself.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.

    Raises:
        FatalError: the address cannot be listened on.

    """
    try:
        server = _Server((host, port), health)
    except OSError as error:
        raise FatalError(f"cannot listen on {host}:{port} (HTTP_HOST, METRICS_PORT): {error.strerror}") from error
    Thread(target=server.serve_forever, args=(_SHUTDOWN_LOOK_SECONDS,), name="probes", daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], health: Health) -> None:
        super().__init__(address, _Handler)
        self.health = health


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5
    server_version, sys_version = "oms", ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].rstrip("/")
        if path == "/livez":
            self._tell(self.server.health.livez())
        elif path == "/readyz":
            self._tell(self.server.health.readyz())
        elif path == "/metrics":
            body, content_type = exposition(self.headers.get("Accept", ""))
            self._send(200, body, content_type)
        else:
            self._tell(HealthAnswer(404, {"paths": ["/livez", "/readyz", "/metrics"]}))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class' signature
        log.debug("probe_answered", line=format % args)

    def _tell(self, answer: HealthAnswer) -> None:
        self._send(answer.status, json.dumps(answer.body).encode(), "application/json")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

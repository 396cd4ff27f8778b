"""The real gunicorn with a toy service: what clients see on the wire, and how it ends."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from tests.support.eventually import eventually
from tests.support.toy_service import BOX, token

ROOT = Path(__file__).parents[2]
CALLER = {"Authorization": f"Bearer {token('customer')}"}
BOXES = "/api/v1/boxes/"


class Server:
    """A running toy service."""

    def __init__(self, port: int, log: Path, *, prelude: bool = True) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        start = ["-m", "tests.support.toy_server", "api"] if prelude else ["-c", WITHOUT_PRELUDE, "api"]
        temporary = {"TMPDIR": str(log.parent)}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *start, str(port)],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | temporary,
            )

    def lines(self) -> str:
        return self.log.read_text()

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def answers(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{self.url}/livez", timeout=30).ok
        return False

    def must_answer(self) -> None:
        assert self.answers()
        assert len(self.workers()) == 2


WITHOUT_PRELUDE = """
from services.chassis.http.server import serve_app
from tests.support.eventually import eventually
from tests.support.toy_service import make_app
serve_app(make_app, host="127.0.0.1", port=1, workers=1)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def launched(folder: Path) -> Iterator[Callable[..., Server]]:
    """Lend a way to start servers, and end those that are left."""
    started: list[Server] = []

    def launch(port: int | None = None, *, prelude: bool = True) -> Server:
        server = Server(port or free_port(), folder / f"server-{len(started)}.log", prelude=prelude)
        started.append(server)
        return server

    yield launch
    for server in started:
        if server.process.poll() is None:
            children = server.workers()
            server.process.kill()
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        server.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    with launched(tmp_path) as launch:
        yield launch


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    """A server of the test's own, for tests that end it."""
    started = start()
    eventually(started.must_answer, within=30)
    return started


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for tests that only talk to it."""
    with launched(tmp_path_factory.mktemp("shared")) as launch:
        started = launch()
        eventually(started.must_answer, within=30)
        yield started


def raw(server: Server, data: bytes) -> tuple[int, dict[str, object]]:
    """Send bytes as they are and return status and JSON body of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(data)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.getheader("Content-Type") == "application/problem+json"
        return response.status, json.loads(response.read())


def test_an_order_is_taken_over_the_wire(shared: Server) -> None:
    response = requests.post(f"{shared.url}{BOXES}", json=BOX, headers=CALLER, timeout=30)
    assert response.status_code == 201
    assert response.headers["Location"].startswith("/api/v1/boxes/b")
    assert response.headers["Connection"] == "keep-alive"
    assert not re.search(r"\d", response.headers["Server"])


def connected(server: Server) -> contextlib.closing[http.client.HTTPConnection]:
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=15))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_refused_and_the_connection_stays_usable(shared: Server, chunked: bool) -> None:
    body = b'{"a": "' + b"x" * 1_000_000 + b'"}'
    headers = {**CALLER, "Content-Type": "application/json"}
    with requests.Session() as session:
        data = (body[at : at + 8192] for at in range(0, len(body), 8192)) if chunked else body
        refused = session.post(f"{shared.url}{BOXES}", data=data, headers=headers, timeout=30)
        assert refused.status_code == 413
        assert refused.json()["code"] == "body_too_large"
        assert session.post(f"{shared.url}{BOXES}", json=BOX, headers=CALLER, timeout=30).status_code == 201


def test_a_chunked_body_is_read(shared: Server) -> None:
    parts = iter([b'{"items": [{"sku": "a", "quant', b'ity": 1}], "shipping_address": "a1"}'])
    headers = {**CALLER, "Content-Type": "application/json"}
    assert requests.post(f"{shared.url}{BOXES}", data=parts, headers=headers, timeout=30).status_code == 201


def test_each_worker_listens_on_a_socket_of_its_own(shared: Server) -> None:
    """On a common one, all connections can land on one worker."""
    inodes = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{shared.port:04X}") and line.split()[3] == "0A"
    }
    assert len(inodes) == len(shared.workers()) == 2


AUTHORIZED = f"Authorization: {CALLER['Authorization']}\r\nContent-Type: application/json\r\n"
AUTHORIZED += "Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer secret\r\n\r\n", 400, "bad_request"),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long"),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Secret: " + b"x" * 10_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (
            f"POST {BOXES} HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}\r\nzz\r\nsecret\r\n".encode(),
            400,
            "bad_request",
        ),
    ],
)
def test_what_is_not_http_is_refused_with_a_problem(shared: Server, data: bytes, status: int, code: str) -> None:
    found, document = raw(shared, data)
    assert (found, document["status"], document["code"]) == (status, status, code)
    assert "secret" not in json.dumps(document).lower()
    assert "secret" not in shared.lines().lower()


def test_log_lines_are_json_and_tell_the_worker_of_gunicorn_too(shared: Server) -> None:
    requests.get(f"{shared.url}/livez", timeout=30)
    lines = [json.loads(line) for line in shared.lines().splitlines()]
    events = {line["event"] for line in lines}
    assert {"request_handled", "api_started"} <= events
    assert all(line["service"] == "toys" for line in lines if line["event"] == "request_handled")


def counted(server: Server, status: str) -> int:
    found = re.search(
        rf'duration_seconds_count{{method="GET",route="/api/v1/boxes/",status="{status}"}} (\d+)',
        requests.get(f"{server.url}/metrics", timeout=30).text,
    )
    return int(found[1]) if found else 0


def test_metrics_are_summed_over_the_workers_and_survive_one(server: Server) -> None:
    for _ in range(40):
        requests.get(f"{server.url}{BOXES}", headers=CALLER, timeout=30)
    assert [counted(server, "200") for _ in range(6)] == [40] * 6
    victim = server.workers()[0]
    victim.kill()

    def replaced() -> None:
        assert victim not in server.workers()
        server.must_answer()

    eventually(replaced, within=10)
    assert counted(server, "200") == 40


def test_an_idle_server_ends_and_leaves_nothing_behind(server: Server) -> None:
    server.terminate()
    assert server.process.wait(10) == 0
    assert not list(server.log.parent.glob("oms-metrics-*"))


def test_idle_connections_do_not_hold_up_the_end(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            connection = stack.enter_context(connected(server))
            connection.request("GET", "/livez")
            assert connection.getresponse().read()
        server.terminate()
        assert server.process.wait(10) == 0
    assert "connections_cut" not in server.lines()


def test_a_request_under_way_is_answered_and_its_connection_closed(server: Server) -> None:
    with ThreadPoolExecutor(8) as pool:
        naps = [
            pool.submit(requests.get, f"{server.url}{BOXES}1/nap/?seconds=3", headers=CALLER, timeout=15)
            for _ in range(8)
        ]
        time.sleep(0.8)  # until all are under way; that they were is asserted by the time they take
        began = time.monotonic()
        server.terminate()
        assert {nap.result().status_code for nap in naps} == {200}
        assert time.monotonic() - began > 1
    assert server.process.wait(10) == 0


def test_a_request_that_waits_is_woken_by_the_end(server: Server) -> None:
    with ThreadPoolExecutor(1) as pool:
        nap = pool.submit(requests.get, f"{server.url}{BOXES}0/nap/?seconds=30", headers=CALLER, timeout=40)
        time.sleep(0.5)
        server.terminate()
        assert nap.result().status_code == 200
    assert server.process.wait(10) == 0
    assert "connections_cut" not in server.lines()


def test_a_server_that_ends_says_so_to_who_is_connected(server: Server) -> None:
    with connected(server) as connection:
        connection.request("GET", "/readyz")
        assert connection.getresponse().read() == b'{"reasons":[],"status":"ready"}\n'
        server.terminate()

        def told() -> http.client.HTTPResponse:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            body = json.loads(response.read())
            assert body["reasons"] == [{"component": "process", "reason": "shutting_down"}]
            return response

        last = eventually(told, within=5)
        assert last.status == 503
        assert last.getheader("Connection") == "close"
    assert server.process.wait(10) == 0


class Client(threading.Thread):
    """Posts on and on, over one connection as long as the server keeps it, or over a new one each time."""

    def __init__(self, port: int, *, keep: bool) -> None:
        super().__init__()
        self._port = port
        self._keep = keep
        self.outcomes: Counter[str] = Counter()

    def run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        body = json.dumps(BOX)
        while True:
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=15)
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    self.outcomes["refused before anything was sent"] += 1
                    return
            try:
                connection.request("POST", BOXES, body, {**CALLER, "Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException) as error:
                self.outcomes[f"lost: {type(error).__name__}"] += 1
                connection.close()
                return
            self.outcomes[str(response.status)] += 1
            if not self._keep or response.getheader("Connection") == "close":
                connection.close()
                connection = None


@pytest.mark.parametrize("attempt", range(3))
def test_under_load_every_connection_that_was_accepted_is_answered(
    server: Server,
    attempt: int,  # noqa: ARG001  # a race is looked for more than once
) -> None:
    clients = [Client(server.port, keep=number % 2 == 0) for number in range(16)]
    for client in clients:
        client.start()
    time.sleep(1.5)
    server.terminate()
    assert server.process.wait(10) == 0
    outcomes: Counter[str] = Counter()
    for client in clients:
        client.join(15)
        outcomes += client.outcomes
    assert set(outcomes) == {"201", "refused before anything was sent"}
    assert outcomes["201"] > 50


def test_a_port_that_is_taken_is_told_clearly(start: Callable[..., Server], shared: Server) -> None:
    second = start(shared.port)
    assert second.process.wait(20) == 1
    assert f"cannot listen on 127.0.0.1:{shared.port} (HTTP_HOST, HTTP_PORT): Address already in use" in second.lines()
    assert shared.answers()


def test_a_process_that_was_not_prepared_does_not_start(start: Callable[..., Server]) -> None:
    unprepared = start(prelude=False)
    assert unprepared.process.wait(20) == 1
    assert "prepare_process()" in unprepared.lines()


@pytest.mark.timing
def test_workers_whose_master_was_killed_answer_what_is_under_way_and_end(server: Server) -> None:
    workers = server.workers()
    with ThreadPoolExecutor(8) as pool:
        naps = [
            pool.submit(requests.get, f"{server.url}{BOXES}1/nap/?seconds=5", headers=CALLER, timeout=15)
            for _ in range(8)
        ]
        time.sleep(0.8)  # until all are under way: one that is not would be refused
        server.process.kill()
        server.process.wait()
        # Whoever starts the next one needs the port, and should not have to wait for the slowest request.
        eventually(lambda: refuses(server), within=3)
        assert not any(nap.done() for nap in naps)
        assert {nap.result().status_code for nap in naps} == {200}
    eventually(lambda: ended(workers), within=10)
    assert "connections_cut" not in server.lines()


@pytest.mark.timing
def test_workers_that_nobody_asked_for_anything_yet_end_with_their_master(start: Callable[..., Server]) -> None:
    server = start()
    eventually(lambda: booted(server, 2), within=30)
    time.sleep(1)  # a worker that has just begun to wait would wake at its next beat only
    workers = server.workers()
    server.process.kill()
    server.process.wait()
    eventually(lambda: ended(workers), within=3)
    assert server.lines().count("master_is_gone") == 2


def refuses(server: Server) -> None:
    assert not server.answers()


def booted(server: Server, workers: int) -> None:
    assert server.lines().count("Booting worker") == workers


def ended(workers: list[psutil.Process]) -> None:
    assert not any(worker.is_running() for worker in workers)

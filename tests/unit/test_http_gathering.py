"""When a leader has waited long enough for the requests that have come."""

import time
from collections.abc import Iterator

import gevent
import pytest
from gevent.socket import socketpair

from services.chassis.http import gathering
from services.chassis.http.gathering import until_idle


@pytest.fixture(autouse=True)
def _own_loop() -> Iterator[None]:
    yield
    gevent.get_hub().destroy(destroy_loop=True)


def test_all_requests_that_have_come_are_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    # Its limit is not what is tested here, and a busy machine may take longer.
    monkeypatch.setattr(gathering, "_LONGEST_SECONDS", 10)
    read = []

    def serve(connection: gevent.socket.socket) -> None:
        with connection:
            read.append(connection.recv(1))
            gevent.sleep(0)  # As for a lock that another greenlet holds.
            read.append(connection.recv(1))

    pairs = [socketpair() for _ in range(100)]
    serving = [gevent.spawn(serve, connection) for connection, _ in pairs]
    gevent.sleep(0.01)
    for _, client in pairs:
        client.sendall(b"ab")
    assert not read
    until_idle()
    assert len(read) == 200
    gevent.joinall(serving)
    for _, client in pairs:
        client.close()


@pytest.mark.timing
def test_nobody_waits_for_long_where_something_is_always_ready() -> None:
    def turn() -> None:
        while True:
            gevent.sleep(0)

    turning = [gevent.spawn(turn) for _ in range(3)]
    began = time.monotonic()
    until_idle()
    assert 0.04 < time.monotonic() - began < 1
    gevent.killall(turning)


@pytest.mark.timing
def test_a_process_at_rest_waits_for_nothing() -> None:
    until_idle()
    began = time.monotonic()
    for _ in range(100):
        until_idle()
    assert time.monotonic() - began < 0.5

"""The probes of a process without an API, over real sockets."""

import socket
from collections.abc import Iterator

import pytest
import requests

from services.chassis import metrics
from services.chassis.errors import FatalError
from services.chassis.health import Health, Reason
from services.chassis.http.probes import serve_probes


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def url(health: Health) -> Iterator[str]:
    server = serve_probes(health, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_worker_tells_how_it_is(url: str, health: Health) -> None:
    assert requests.get(f"{url}/livez", timeout=30).json() == {"status": "ok", "threads": []}
    ready = requests.get(f"{url}/readyz/", timeout=30)
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "reasons": []})
    health.report("relay", Reason.OUTBOX_REJECTED)
    health.expect("relay", max_silence=-1)
    ready = requests.get(f"{url}/readyz?verbose", timeout=30)
    assert ready.status_code == 503
    assert ready.json()["reasons"] == [{"component": "relay", "reason": "outbox_rejected"}]
    assert requests.get(f"{url}/livez", timeout=30).status_code == 503


def test_a_worker_tells_its_metrics(url: str) -> None:
    metrics.EMAILS.labels("made_up_for_a_test", "sent").inc()
    response = requests.get(f"{url}/metrics", timeout=30)
    assert response.headers["Content-Type"].startswith("text/plain")
    assert 'oms_emails_total{result="sent",template="made_up_for_a_test"} 1.0' in response.text


def test_any_other_path_is_told_which_there_are(url: str) -> None:
    response = requests.get(url, timeout=30)
    assert response.status_code == 404
    assert response.json() == {"paths": ["/livez", "/readyz", "/metrics"]}
    assert not any(digit in response.headers["Server"] for digit in "0123456789")


def test_a_prober_that_says_nothing_does_not_hold_up_the_others(url: str) -> None:
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):
        assert requests.get(f"{url}/livez", timeout=30).ok


def test_a_port_that_is_taken_is_told_clearly(health: Health) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(FatalError, match=rf"cannot listen on 127.0.0.1:{port} \(HTTP_HOST, METRICS_PORT\)"):
            serve_probes(health, "127.0.0.1", port)

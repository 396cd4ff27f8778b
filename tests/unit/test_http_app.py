"""What every API has beside its endpoints: ids, log lines, metrics, probes, cross-origin rules, documents."""

import json
import logging
import re
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily

from services.chassis.health import Health, Reason
from services.chassis.http.app import create_app
from tests.support.toy_service import BOX, ToyCommands, boxes, make_app, make_application, token

BOXES = "/api/v1/boxes/"
CALLER = {"Authorization": f"Bearer {token('customer')}"}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_a_request_id_is_taken_and_given_back(client: FlaskClient) -> None:
    response = client.get("/livez", headers={"X-Request-Id": "shop-42"})
    assert response.headers["X-Request-Id"] == "shop-42"


@pytest.mark.parametrize("given", ["", "x" * 129, "two words", "ümlaut"])
def test_a_request_id_that_cannot_be_logged_is_replaced(client: FlaskClient, given: str) -> None:
    made = client.get("/livez", headers={"X-Request-Id": given}).headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f-]{36}", made)


def test_every_answer_has_its_own_request_id(client: FlaskClient) -> None:
    ids = {client.get(path).headers["X-Request-Id"] for path in ("/livez", "/nowhere", BOXES, "/docs", "/openapi.json")}
    assert len(ids) == 5


def test_a_command_knows_the_request_that_caused_it() -> None:
    application = make_application()
    headers = {**CALLER, "X-Request-Id": "shop-42", "traceparent": TRACEPARENT}
    make_app(application).test_client().post(BOXES, json=BOX, headers=headers)
    assert isinstance(application.commands, ToyCommands)
    cause = application.commands.causes[0]
    assert (cause.request_id, cause.traceparent) == ("shop-42", TRACEPARENT)
    assert cause.correlation_id == cause.causation_id


def test_what_requests_cause_names_an_id_of_ours_though_they_share_the_callers() -> None:
    """A caller may repeat its X-Request-Id, or write an address in it; headers of events are kept and read by all."""
    application = make_application()
    browser = make_app(application).test_client()
    for _ in range(2):
        browser.post(BOXES, json=BOX, headers={**CALLER, "X-Request-Id": "ada@example.org"})
    assert isinstance(application.commands, ToyCommands)
    ids = {cause.causation_id for cause in application.commands.causes}
    assert len(ids) == 2
    assert all(re.fullmatch(r"[0-9a-f-]{36}", made or "") for made in ids)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "nonsense",
        TRACEPARENT.upper(),
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "ff" + TRACEPARENT[2:],
        TRACEPARENT + "-more",
    ],
)
def test_a_trace_that_is_not_well_formed_is_replaced(given: str) -> None:
    application = make_application()
    make_app(application).test_client().post(BOXES, json=BOX, headers={**CALLER, "traceparent": given})
    assert isinstance(application.commands, ToyCommands)
    made = application.commands.causes[0].traceparent
    assert made is not None
    assert made != given
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", made)


@pytest.fixture
def _info() -> Iterator[None]:
    logger = logging.getLogger("services.chassis.http.access_log")
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(logging.NOTSET)


@pytest.mark.usefixtures("_info")
def test_a_request_has_one_log_line_without_anything_personal(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = {**CALLER, "X-Request-Id": "shop-42", "traceparent": TRACEPARENT}
    client.get(f"{BOXES}ada@example.org/?note=secret", headers=headers)
    written = capsys.readouterr().out
    (line,) = [json.loads(line) for line in written.splitlines() if "request_handled" in line]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("ts"))
    assert line.pop("duration_ms") >= 0
    assert line == {
        "event": "request_handled",
        "level": "info",
        "service": "toys",
        "version": "1.0",
        "method": "GET",
        "route": "/api/v1/boxes/<box_id>/",
        "status": 400,
        "request_id": "shop-42",
        "trace_id": TRACEPARENT.split("-")[1],
    }
    assert "example.org" not in written
    assert "secret" not in written
    assert CALLER["Authorization"].split()[1] not in written


@pytest.mark.usefixtures("_info")
def test_log_lines_of_requests_can_be_silenced(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("services.chassis.http.access_log").setLevel(logging.WARNING)
    client.get("/livez")
    assert capsys.readouterr().out == ""


def seconds_count(method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("http_server_request_duration_seconds_count", labels) or 0


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/api/v1/boxes/b77/", "/api/v1/boxes/<box_id>/", 404),
        ("GET", "/nowhere/at/all", "unmatched", 404),
        ("BREW", "/livez", "unmatched", 405),
    ],
)
def test_a_request_is_measured_under_its_route(
    client: FlaskClient, method: str, path: str, route: str, status: int
) -> None:
    label = method if method == "GET" else "other"
    before = seconds_count(label, route, status)
    client.open(path, method=method, headers=CALLER)
    assert seconds_count(label, route, status) == before + 1


def test_answers_are_for_their_caller_only(client: FlaskClient) -> None:
    for response in (client.post(BOXES, json=BOX, headers=CALLER), client.get(BOXES), client.get("/nowhere")):
        assert response.headers["Cache-Control"] == "private"
        assert response.headers.getlist("Vary") == ["Authorization"]


def test_probes_tell_what_health_knows() -> None:
    health = Health()
    client = make_app(make_application(health)).test_client()
    assert (client.get("/livez").status_code, client.get("/readyz").status_code) == (200, 200)
    health.expect("thread", max_silence=-1)
    health.check("database", lambda: Reason.DATABASE_UNREACHABLE)
    assert client.get("/livez/").get_json() == {"status": "stalled", "threads": ["thread"]}
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.get_json()["reasons"] == [{"component": "database", "reason": "database_unreachable"}]


def test_metrics_are_told_with_those_that_are_asked_for() -> None:
    class Collector:
        def collect(self) -> list[GaugeMetricFamily]:
            return [GaugeMetricFamily("toy_rows", "asked for at the scrape", value=7)]

    app = create_app(make_application(), service="toys", version="1", apis=[], collectors=[Collector()])  # type: ignore[list-item]
    response = app.test_client().get("/metrics")
    assert response.content_type.startswith("text/plain")
    assert "toy_rows 7.0" in response.text
    assert "http_server_request_duration_seconds_bucket" in response.text


ORIGIN = "https://shop.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}


def cors_headers(client: FlaskClient, origin: str) -> set[str]:
    response = client.get("/livez", headers={"Origin": origin})
    return {name for name, _ in response.headers if name.startswith("Access-Control-")}


def test_no_page_of_another_origin_may_call_by_default(client: FlaskClient) -> None:
    assert cors_headers(client, ORIGIN) == set()
    answer = client.options(BOXES, headers=PREFLIGHT)
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]


def test_pages_of_an_allowed_origin_may_call() -> None:
    client = make_app(cors_origins=[ORIGIN]).test_client()
    preflight = client.options(BOXES, headers=PREFLIGHT)
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Idempotency-Key" in preflight.headers["Access-Control-Allow-Headers"]
    assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
    answer = client.post(BOXES, json=BOX, headers={**CALLER, "Origin": ORIGIN})
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    assert set(answer.headers.getlist("Vary")) == {"Origin", "Authorization"}
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["https://shop.example.evil.test", "http://shop.example", "https://SHOP.example", "null"]
)
def test_an_origin_is_allowed_exactly_or_not_at_all(origin: str) -> None:
    client = make_app(cors_origins=[ORIGIN]).test_client()
    assert cors_headers(client, origin) == set()
    preflight = client.options(BOXES, headers={**PREFLIGHT, "Origin": origin})
    assert not [name for name, _ in preflight.headers if name.startswith("Access-Control-")]
    assert "Origin" in client.get("/livez", headers={"Origin": origin}).headers.getlist("Vary")


def test_a_refusal_can_be_read_by_an_allowed_page() -> None:
    client = make_app(cors_origins=[ORIGIN]).test_client()
    assert client.get(BOXES, headers={"Origin": ORIGIN}).headers["Access-Control-Allow-Origin"] == ORIGIN


def test_the_documents_page_needs_nothing_from_afar(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.content_type.startswith("text/html")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "<script>" not in page.text
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 4
    for link in links:
        with client.get(urljoin("/docs", link)) as asset:
            assert asset.status_code == 200
            assert len(asset.data) > 50
    assert '"/openapi.json"' in client.get("/docs/start.js").text


@pytest.mark.parametrize("name", ["../__init__.py", "..%2f__init__.py", "nothing.js", "/etc/passwd"])
def test_the_documents_page_gives_no_other_file(client: FlaskClient, name: str) -> None:
    response = client.get(f"/docs/assets/{name}")
    assert response.status_code == 404
    assert response.content_type == "application/problem+json"


def test_two_applications_may_serve_the_same_endpoints() -> None:
    assert boxes.blueprint.name in make_app().blueprints
    assert boxes.blueprint.name in make_app().blueprints

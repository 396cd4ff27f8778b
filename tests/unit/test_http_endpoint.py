"""What an endpoint takes and refuses: every bad request gets its own 4xx, a stable code and the place of the fault."""

import copy
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from services.chassis.http.application import Application
from tests.support.toy_service import BOX, Boxes, ToyCommands, make_app, make_application, token

BOXES = "/api/v1/boxes/"
Body = dict[str, Any]


@pytest.fixture
def application() -> Application[Boxes]:
    return make_application()


@pytest.fixture
def client(application: Application[Boxes]) -> FlaskClient:
    return make_app(application).test_client()


def bearer(*roles: str, **claims: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(*roles, **claims)}"}


CUSTOMER = bearer("customer")
ADMIN = bearer("admin")


def box(change: Callable[[Body], object] = lambda _: None) -> Body:
    made = copy.deepcopy(BOX)
    change(made)
    return made


def place(client: FlaskClient, body: object = None, **headers: str) -> TestResponse:
    return client.post(BOXES, json=BOX if body is None else body, headers={**CUSTOMER, **headers})


def problem(response: TestResponse) -> Body:
    """Return a refusal, having checked what all of them have in common."""
    assert response.content_type == "application/problem+json"
    document: Body = json.loads(response.data)
    assert document["status"] == response.status_code
    assert document["type"] == f"urn:oms:problem:{document['code']}"
    assert document["title"]
    assert document["detail"]
    assert len(document["trace_id"]) == 32
    return document


# What is sent, and where its fault must be found with which code.
BAD_BODIES: dict[str, tuple[Callable[[Body], object], str, str]] = {
    "unknown field": (lambda b: b.update(foo=1), "/foo", "unknown_field"),
    "unknown field with a slash": (lambda b: b.update({"a/b~c": 1}), "/a~1b~0c", "unknown_field"),
    "unknown field of a line": (lambda b: b["items"][1].update(foo=1), "/items/1/foo", "unknown_field"),
    "unknown field of an address": (
        lambda b: b["billing_address"].update(planet="x"),
        "/billing_address/planet",
        "unknown_field",
    ),
    "missing field": (lambda b: b.pop("items"), "/items", "missing_field"),
    "missing field of a line": (lambda b: b["items"][2].pop("sku"), "/items/2/sku", "missing_field"),
    "missing field in a member of a union": (
        lambda b: b["shipping_address"].pop("city"),
        "/shipping_address/city",
        "missing_field",
    ),
    "number for a string": (lambda b: b["items"][0].update(sku=1), "/items/0/sku", "wrong_type"),
    "string for a number": (lambda b: b["items"][0].update(quantity="1"), "/items/0/quantity", "wrong_type"),
    "bool for a number": (lambda b: b["items"][0].update(quantity=True), "/items/0/quantity", "wrong_type"),
    "fraction for an integer": (lambda b: b["items"][0].update(quantity=1.0), "/items/0/quantity", "wrong_type"),
    "null for a number": (lambda b: b["items"][0].update(quantity=None), "/items/0/quantity", "wrong_type"),
    "string for a bool": (lambda b: b.update(fragile="true"), "/fragile", "wrong_type"),
    "object for a list": (lambda b: b.update(items={}), "/items", "wrong_type"),
    "list for an object": (lambda b: b.update(billing_address=[]), "/billing_address", "wrong_type"),
    "number for a time": (lambda b: b.update(ship_at=5), "/ship_at", "wrong_type"),
    "time without a zone": (lambda b: b.update(ship_at="2024-01-01T00:00:00"), "/ship_at", "invalid_value"),
    "no time at all": (lambda b: b.update(ship_at="soon"), "/ship_at", "invalid_value"),
    "negative quantity": (lambda b: b["items"][0].update(quantity=-1), "/items/0/quantity", "out_of_range"),
    "zero quantity": (lambda b: b["items"][0].update(quantity=0), "/items/0/quantity", "out_of_range"),
    "huge quantity": (lambda b: b["items"][0].update(quantity=10**30), "/items/0/quantity", "out_of_range"),
    "no lines": (lambda b: b.update(items=[]), "/items", "out_of_range"),
    "too many lines": (lambda b: b.update(items=b["items"] * 40), "/items", "out_of_range"),
    "empty string": (lambda b: b["items"][0].update(sku=""), "/items/0/sku", "out_of_range"),
    "endless string": (lambda b: b["items"][0].update(sku="x" * 65), "/items/0/sku", "out_of_range"),
    "wrong pattern": (
        lambda b: b["billing_address"].update(country_code="de"),
        "/billing_address/country_code",
        "invalid_value",
    ),
    "number in a map of strings": (lambda b: b.update(metadata={"a": 1}), "/metadata/a", "wrong_type"),
    "NUL in a string": (lambda b: b["items"][1].update(sku="a\x00b"), "/items/1/sku", "invalid_value"),
    "NUL in a map": (lambda b: b.update(metadata={"k": "\x00"}), "/metadata/k", "invalid_value"),
    "NUL in a name": (lambda b: b.update(metadata={"k\x00": "v"}), "/metadata/k\x00", "invalid_value"),
    "infinity": (lambda b: b.update(weight=float("inf")), "/weight", "out_of_range"),
    "no number": (lambda b: b.update(weight=float("nan")), "/weight", "out_of_range"),
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_a_fault_in_a_body_is_named_with_its_place(client: FlaskClient, case: str) -> None:
    change, pointer, code = BAD_BODIES[case]
    refusal = problem(place(client, box(change)))
    assert (refusal["status"], refusal["code"]) == (400, "invalid_request")
    assert (pointer, code) in [(row["pointer"], row["code"]) for row in refusal["errors"]]


def test_a_good_body_passes(client: FlaskClient) -> None:
    response = place(client)
    assert response.status_code == 201
    assert response.json == {"id": "b1", "note": "", "version": 1, "created_at": "2024-01-01T00:01:00Z"}
    assert response.headers["Location"] == "/api/v1/boxes/b1/"
    assert response.headers["ETag"] == '"v1"'
    assert response.headers["Content-Type"] == "application/json"


def test_all_faults_of_all_parts_are_told_at_once(client: FlaskClient) -> None:
    def break_it(body: Body) -> None:
        body["items"][0] = {"sku": 7, "quantity": "1", "colour": "red"}
        del body["shipping_address"]

    refusal = problem(client.post(f"{BOXES}?foo=1&foo=2", json=box(break_it), headers=CUSTOMER))
    found = {(row.get("pointer") or row.get("parameter"), row["code"]) for row in refusal["errors"]}
    assert found == {
        ("foo", "repeated_parameter"),
        ("foo", "unknown_parameter"),
        ("/items/0/sku", "wrong_type"),
        ("/items/0/quantity", "wrong_type"),
        ("/items/0/colour", "unknown_field"),
        ("/shipping_address", "missing_field"),
    }


def test_an_unknown_field_is_told_with_the_names_that_are_known(client: FlaskClient) -> None:
    refusal = problem(place(client, box(lambda body: body["items"][0].update(qty=1))))
    assert refusal["detail"] == "/items/0/qty: unknown name 'qty'; known here: quantity, sku"
    inside = problem(place(client, box(lambda body: body["shipping_address"].update(town=1))))
    known = "address1, city, country_code, first_name, last_name, postal_code"
    assert f"unknown name 'town'; known here: {known}" in [row["detail"] for row in inside["errors"]]


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda b: b["billing_address"].update(country_code="de"), "must be two capital letters"),
        (lambda b: b.update(items=[]), "must have at least 1 entry, has 0"),
        (lambda b: b.update(items=b["items"] * 51), "must have at most 100 entries, has 153"),
        (lambda b: b.update(metadata={str(n): "" for n in range(51)}), "must have at most 50 entries, has more"),
        (lambda b: b.update(items={}), "must be a list"),
        (lambda b: b.update(billing_address=[]), "must be an object"),
        (lambda b: b.update(metadata=[]), "must be an object"),
        (
            lambda b: b.update(ship_at="2026-01-31T12:00:00"),
            "must name its time zone, as 2026-01-31T12:00:00Z does",
        ),
    ],
)
def test_a_fault_is_told_in_words_for_people(
    client: FlaskClient, break_it: Callable[[Body], object], told: str
) -> None:
    refusal = problem(place(client, box(break_it)))
    assert [row["detail"] for row in refusal["errors"]] == [told]


def test_a_refusal_does_not_grow_with_the_number_of_faults(client: FlaskClient) -> None:
    refusal = problem(place(client, box(lambda body: body.update({f"x{n}": n for n in range(1000)}))))
    assert len(refusal["errors"]) == 50
    assert "999 more" in refusal["detail"]


def test_a_fault_does_not_repeat_what_was_sent(client: FlaskClient) -> None:
    response = place(client, box(lambda body: body["billing_address"].update(country_code="a secret street")))
    assert b"secret" not in response.data


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "malformed_json"),
        (b"   ", "malformed_json"),
        (b"{", "malformed_json"),
        (b"{} {}", "malformed_json"),
        (b"{'a': 1}", "malformed_json"),
        (b"[" * 5000, "malformed_json"),
        (b'{"a": "\\ud800"}', "malformed_json"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "malformed_json"),
        (b'{"a": "\xff"}', "invalid_utf8"),
        (b'{"a": "\xc3"}', "invalid_utf8"),
        (b"\xff\xfe{\x00}\x00", "invalid_utf8"),
        (b"[]", "invalid_request"),
        (b"null", "invalid_request"),
        (b'"text"', "invalid_request"),
        (b"{}", "invalid_request"),
    ],
)
def test_a_body_that_is_no_json_object_has_its_own_code(client: FlaskClient, raw: bytes, code: str) -> None:
    response = client.post(BOXES, data=raw, content_type="application/json", headers=CUSTOMER)
    assert problem(response)["code"] == code
    assert response.status_code == 400


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "text/plain",
        "application/xml",
        "application/json; charset=latin-1",
        "application/jsonx",
        "multipart/form-data",
    ],
)
def test_a_body_that_is_not_declared_as_json_is_refused(client: FlaskClient, media_type: str | None) -> None:
    response = client.post(BOXES, data=json.dumps(BOX), content_type=media_type, headers=CUSTOMER)
    assert problem(response)["code"] == "unsupported_media_type"
    assert response.status_code == 415


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=UTF-8", "application/json;v=1"])
def test_json_may_be_declared_with_parameters(client: FlaskClient, media_type: str) -> None:
    response = client.post(BOXES, data=json.dumps(BOX), content_type=media_type, headers=CUSTOMER)
    assert response.status_code == 201


def test_a_body_beyond_the_limit_is_refused(client: FlaskClient) -> None:
    refusal = problem(place(client, box(lambda body: body.update(metadata={"a": "x" * 1_000_000}))))
    assert (refusal["status"], refusal["code"]) == (413, "body_too_large")
    assert "262144 bytes" in refusal["detail"]


class Spaces(io.RawIOBase):
    """An input that never ends."""

    sent = 0

    def readinto(self, buffer: Any) -> int:
        self.sent += len(buffer)
        assert self.sent < 10_000_000, "reads on and on"
        buffer[:] = b" " * len(buffer)
        return len(buffer)


def test_a_body_beyond_the_limit_is_refused_without_a_content_length_too(client: FlaskClient) -> None:
    chunked = {"CONTENT_LENGTH": "", "wsgi.input": Spaces(), "wsgi.input_terminated": True}
    response = client.post(BOXES, content_type="application/json", headers=CUSTOMER, environ_overrides=chunked)
    assert response.status_code == 413, response.data
    assert problem(response)["code"] == "body_too_large"


def test_a_body_that_ends_before_its_content_length_is_refused(client: FlaskClient) -> None:
    response = client.post(
        BOXES, data=b"{}", content_type="application/json", headers=CUSTOMER, environ_overrides={"CONTENT_LENGTH": "9"}
    )
    assert problem(response)["code"] == "bad_request"


def test_a_call_without_a_body_model_takes_none_but_an_empty_object(client: FlaskClient) -> None:
    place(client)
    gone = client.delete(f"{BOXES}b1/", headers=ADMIN)
    assert (gone.status_code, gone.data) == (204, b"")
    assert "Content-Type" not in gone.headers
    assert client.delete(f"{BOXES}b1/", json={}, headers=ADMIN).status_code == 204
    refusal = problem(client.delete(f"{BOXES}b1/", json={"force": True}, headers=ADMIN))
    assert refusal["errors"][0]["code"] == "unknown_field"


def test_an_optional_body_may_be_left_out_but_not_be_wrong(client: FlaskClient) -> None:
    place(client)
    assert client.post(f"{BOXES}b1/seal/", headers=ADMIN).status_code == 204
    assert client.post(f"{BOXES}b1/seal/", json={"colour": "red"}, headers=ADMIN).json == {"colour": "red"}
    refusal = problem(client.post(f"{BOXES}b1/seal/", json={"colour": "blue"}, headers=ADMIN))
    assert refusal["errors"] == [
        {"pointer": "/colour", "code": "invalid_value", "detail": "Input should be 'red' or 'black'"}
    ]


@pytest.mark.parametrize(
    ("query", "name", "code"),
    [
        ("foo=1", "foo", "unknown_parameter"),
        ("limit=1&limit=2", "limit", "repeated_parameter"),
        ("limit=x", "limit", "wrong_type"),
        ("limit=", "limit", "wrong_type"),
        ("limit=0", "limit", "out_of_range"),
        ("limit=101", "limit", "out_of_range"),
        ("limit=1e3", "limit", "wrong_type"),
        (f"limit={10**40}", "limit", "out_of_range"),
        ("sort=name", "sort", "invalid_value"),
        ("created_at[gte]=yesterday", "created_at[gte]", "invalid_value"),
        ("created_at[gte]=2024-01-01T00:00:00", "created_at[gte]", "invalid_value"),
        ("created_at[gte]=1700000000", "created_at[gte]", "invalid_value"),
        ("created_from=2024-01-01T00:00:00Z", "created_from", "unknown_parameter"),
        ("note=a%00b", "note", "invalid_value"),
        ("Limit=1", "Limit", "unknown_parameter"),
    ],
)
def test_a_fault_in_a_parameter_is_named(client: FlaskClient, query: str, name: str, code: str) -> None:
    refusal = problem(client.get(f"{BOXES}?{query}", headers=CUSTOMER))
    assert (refusal["status"], refusal["code"]) == (400, "invalid_request")
    assert (name, code) in [(row["parameter"], row["code"]) for row in refusal["errors"]]


def test_an_unknown_parameter_is_told_with_the_names_that_are_known(client: FlaskClient) -> None:
    refusal = problem(client.get(f"{BOXES}?foo=1", headers=CUSTOMER))
    assert refusal["detail"] == "foo: unknown name 'foo'; known here: limit, cursor, note, created_at[gte], sort"


def test_a_call_without_a_query_model_takes_no_parameters(client: FlaskClient) -> None:
    place(client)
    refusal = problem(client.get(f"{BOXES}b1/?verbose=1", headers=CUSTOMER))
    assert refusal["errors"] == [
        {"parameter": "verbose", "code": "unknown_parameter", "detail": "unknown name 'verbose'; known here: none"}
    ]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("note=%FF", "invalid_utf8"),
        ("note=\xff", "invalid_utf8"),
        ("&".join(f"a{n}=1" for n in range(200)), "bad_request"),
    ],
)
def test_a_query_string_that_cannot_be_read_has_its_own_code(client: FlaskClient, query: str, code: str) -> None:
    response = client.get(BOXES, headers=CUSTOMER, environ_overrides={"QUERY_STRING": query})
    assert response.status_code == 400
    assert problem(response)["code"] == code


def test_parameters_are_converted_to_their_types(client: FlaskClient) -> None:
    query = "limit=5&created_at%5Bgte%5D=2024-01-01T00:00:00%2B01:00&note=caf%C3%A9&sort=-created_at"
    assert client.get(f"{BOXES}?{query}", headers=CUSTOMER).json == {"data": [], "next_cursor": None}


def test_a_fault_in_the_path_is_named(client: FlaskClient) -> None:
    refusal = problem(client.get(f"{BOXES}{'x' * 65}/", headers=CUSTOMER))
    assert [(row["parameter"], row["code"]) for row in refusal["errors"]] == [("box_id", "out_of_range")]
    refusal = problem(client.delete(f"{BOXES}a%00b/", headers=ADMIN))
    assert [(row["parameter"], row["code"]) for row in refusal["errors"]] == [("box_id", "invalid_value")]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "missing_token"),
        (bearer("customer", secret="another secret, also long enough for HS256"), 401, "invalid_token"),
        (bearer("customer", exp=1), 401, "expired_token"),
        (bearer("warehouse"), 403, "forbidden_role"),
        (bearer(), 403, "forbidden_role"),
    ],
)
def test_who_may_not_call_learns_nothing_about_the_body(
    client: FlaskClient, headers: dict[str, str], status: int, code: str
) -> None:
    response = client.post(BOXES, data=b"{", content_type="text/plain", headers=headers)
    assert response.status_code == status
    assert problem(response)["code"] == code
    assert [error["parameter"] for error in problem(response)["errors"]] == ["Authorization"]


def test_paths_work_with_and_without_their_trailing_slash(client: FlaskClient) -> None:
    assert client.post("/api/v1/boxes", json=BOX, headers=CUSTOMER).status_code == 201
    assert client.get("/api/v1/boxes/b1", headers=CUSTOMER).status_code == 200
    assert client.get("/api/v1/boxes/b1/", headers=CUSTOMER).status_code == 200


def test_a_refusal_of_the_service_keeps_its_code(client: FlaskClient) -> None:
    refusal = problem(place(client, box(lambda body: body["items"][0].update(sku="none"))))
    assert (refusal["status"], refusal["code"], refusal["title"]) == (422, "unknown_sku", "A SKU is not in the catalog")


def test_the_same_key_and_request_get_the_same_answer_once(
    client: FlaskClient, application: Application[Boxes]
) -> None:
    first = place(client, **{"Idempotency-Key": "k-1"})
    again = client.post(
        BOXES.rstrip("/"),
        data=json.dumps(dict(reversed(BOX.items()))),
        content_type="application/json",
        headers={**CUSTOMER, "Idempotency-Key": "k-1"},
    )
    assert again.status_code == 201
    assert again.data == first.data
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert isinstance(application.commands, ToyCommands)
    assert len(application.commands.causes) == 1


def test_the_same_key_with_another_body_is_refused(client: FlaskClient) -> None:
    place(client, **{"Idempotency-Key": "k-1"})
    refusal = problem(place(client, box(lambda body: body.update(fragile=True)), **{"Idempotency-Key": "k-1"}))
    assert (refusal["status"], refusal["code"]) == (422, "idempotency_key_reused")
    assert refusal["errors"][0]["parameter"] == "Idempotency-Key"


def test_a_key_that_is_too_long_is_refused(client: FlaskClient) -> None:
    refusal = problem(place(client, **{"Idempotency-Key": "x" * 256}))
    assert (refusal["status"], refusal["code"]) == (400, "invalid_header")


def test_a_role_that_must_send_a_key_is_told_so(client: FlaskClient) -> None:
    refusal = problem(client.post(BOXES, json=BOX, headers=bearer("service")))
    assert (refusal["status"], refusal["code"]) == (400, "idempotency_key_required")
    sent = client.post(BOXES, json=BOX, headers={**bearer("service"), "Idempotency-Key": "k"})
    assert sent.status_code == 201


def test_a_preference_that_was_applied_is_told(client: FlaskClient) -> None:
    assert place(client, Prefer="wait=99").headers["Preference-Applied"] == "wait=20"
    assert "Preference-Applied" not in place(client).headers
    assert "Preference-Applied" not in client.get(BOXES, headers={**CUSTOMER, "Prefer": "wait=5"}).headers


def test_a_change_needs_the_version_that_it_changes(client: FlaskClient) -> None:
    place(client)
    change = {"note": "x"}
    missing = problem(client.put(f"{BOXES}b1/", json=change, headers=ADMIN))
    assert (missing["status"], missing["code"]) == (428, "precondition_required")
    wrong = client.put(f"{BOXES}b1/", json=change, headers={**ADMIN, "If-Match": '"v7"'})
    assert wrong.status_code == 412
    assert problem(wrong)["code"] == "precondition_failed"
    assert problem(wrong)["errors"][0]["parameter"] == "If-Match"
    assert wrong.headers["ETag"] == '"v1"'
    good = client.put(f"{BOXES}b1/", json=change, headers={**ADMIN, "If-Match": '"v1"'})
    assert (good.status_code, good.headers["ETag"]) == (200, '"v2"')
    garbled = problem(client.put(f"{BOXES}b1/", json=change, headers={**ADMIN, "If-Match": "v2"}))
    assert (garbled["status"], garbled["code"]) == (400, "invalid_header")


def test_an_optional_precondition_is_checked_where_it_is_given(client: FlaskClient) -> None:
    place(client)
    assert client.post(f"{BOXES}b1/seal/", headers=ADMIN).status_code == 204
    assert client.post(f"{BOXES}b1/seal/", headers={**ADMIN, "If-Match": '"v9"'}).status_code == 412


def test_a_reader_who_has_the_version_already_gets_no_body(client: FlaskClient) -> None:
    place(client)
    response = client.get(f"{BOXES}b1/", headers={**CUSTOMER, "If-None-Match": '"v1"'})
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == '"v1"'
    assert response.headers["Cache-Control"] == "private"
    assert response.headers["Vary"] == "Authorization"
    assert "Content-Type" not in response.headers
    assert client.get(f"{BOXES}b1/", headers={**CUSTOMER, "If-None-Match": '"v0"'}).status_code == 200


def test_a_head_request_is_answered_without_a_body(client: FlaskClient) -> None:
    place(client)
    response = client.head(f"{BOXES}b1/", headers=CUSTOMER)
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["ETag"] == '"v1"'

"""Lists in pages: cursors lead through all rows once, and only through the list that they were made for."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import BaseModel

from services.chassis.errors import Problem
from services.chassis.http.lists import PageQuery, Position, paging
from tests.support.toy_service import BOX, make_app, token

BOXES = "/api/v1/boxes/"
CALLER = {"Authorization": f"Bearer {token('customer')}"}


class Things(PageQuery):
    colour: str | None = None


class OtherThings(PageQuery):
    colour: str | None = None


class Row(BaseModel):
    at: datetime
    id: str


START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = [Row(at=START + timedelta(microseconds=number // 3), id=f"r{number:03}") for number in range(47)]


def position(row: Row) -> Position:
    return row.at, row.id


def page(query: Things) -> tuple[list[str], str | None]:
    """Return the ids of a page of ROWS and its next cursor, as a handler would find them."""
    wanted = paging(query, datetime, str)
    behind = [row for row in ROWS if wanted.after is None or position(row) > wanted.after]
    document = json.loads(wanted.answer(behind[: wanted.fetch], position=position, show=lambda row: row).body)
    return [row["id"] for row in document["data"]], document["next_cursor"]


@pytest.mark.parametrize("limit", [1, 7, 46, 47, 48])
def test_cursors_lead_through_all_rows_once(limit: int) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        ids, cursor = page(Things(limit=limit, cursor=cursor))
        assert len(ids) <= limit
        seen += ids
        if cursor is None:
            break
    assert seen == [row.id for row in ROWS]


def test_the_last_page_has_no_cursor_even_when_it_is_full() -> None:
    assert page(Things(limit=47))[1] is None


def test_an_empty_list_is_a_page() -> None:
    assert paging(Things(), datetime, str).answer([], position=position, show=lambda row: row).body == (
        b'{"data":[],"next_cursor":null}'
    )


def test_a_page_has_twenty_rows_unless_asked_otherwise() -> None:
    assert len(page(Things())[0]) == 20


def test_another_limit_goes_on_with_the_same_cursor() -> None:
    _, cursor = page(Things(limit=5))
    assert page(Things(limit=2, cursor=cursor))[0] == ["r005", "r006"]


def refusal(query: PageQuery, *kinds: type) -> Problem:
    with pytest.raises(Problem) as caught:
        paging(query, *(kinds or (datetime, str)))
    assert (caught.value.status, caught.value.code) == (400, "invalid_cursor")
    assert caught.value.errors[0]["parameter"] == "cursor"
    return caught.value


def test_a_cursor_of_other_filters_is_refused() -> None:
    _, cursor = page(Things(colour="red", limit=5))
    page(Things(colour="red", cursor=cursor))
    assert "other filters" in refusal(Things(colour="blue", cursor=cursor)).detail
    assert "other filters" in refusal(Things(cursor=cursor)).detail


def test_a_cursor_of_another_list_is_refused() -> None:
    _, cursor = page(Things(limit=5))
    assert "another list" in refusal(OtherThings(cursor=cursor)).detail


def forged(change: Any) -> str:
    """Return a real cursor with something changed."""
    _, cursor = page(Things(limit=5))
    assert cursor is not None
    values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return base64.urlsafe_b64encode(json.dumps(change(values)).encode()).rstrip(b"=").decode()


def test_forging_a_cursor_is_what_this_file_can_do() -> None:
    page(Things(cursor=forged(lambda values: values)))


FORGED = {
    "no base64": "%%%",
    "empty": "",
    "half": "WyJh",
    "no JSON": base64.urlsafe_b64encode(b"nonsense").decode(),
    "not UTF-8": base64.urlsafe_b64encode(b'["\xff"]').decode(),
    "no list": forged(lambda _: {"a": 1}),
    "too short": forged(lambda values: values[:2]),
    "too long": forged(lambda values: [*values, 1]),
    "empty list": forged(lambda _: []),
    "fingerprint": forged(lambda values: ["0" * 16, *values[1:]]),
    "no time": forged(lambda values: [values[0], "soon", values[2]]),
    "time without zone": forged(lambda values: [values[0], "2024-01-01T00:00:00", values[2]]),
    "number for a time": forged(lambda values: [values[0], 1, values[2]]),
    "number for a string": forged(lambda values: [values[0], values[1], 7]),
    "NUL": forged(lambda values: [values[0], values[1], "a\x00"]),
    "endless": forged(lambda values: [values[0], values[1], "x" * 1000]),
}


@pytest.mark.parametrize("cursor", FORGED)
def test_a_forged_cursor_is_refused(cursor: str) -> None:
    refusal(Things(cursor=FORGED[cursor]))


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 1.5, "1", True])
def test_a_number_that_no_column_holds_is_refused(number: object) -> None:
    cursor = forged(lambda values: [values[0], number])
    refusal(Things(cursor=cursor), int)


def test_a_list_over_http_refuses_a_forged_cursor(client: FlaskClient) -> None:
    response = client.get(f"{BOXES}?cursor=abc", headers=CALLER)
    assert response.status_code == 400
    assert json.loads(response.data)["code"] == "invalid_cursor"


@pytest.fixture
def client() -> FlaskClient:
    return make_app().test_client()


def test_a_list_over_http_is_read_page_by_page(client: FlaskClient) -> None:
    for _ in range(5):
        client.post(BOXES, json=BOX, headers=CALLER)
    first = client.get(f"{BOXES}?limit=3", headers=CALLER).get_json()
    second = client.get(f"{BOXES}?limit=3&cursor={first['next_cursor']}", headers=CALLER).get_json()
    assert [row["id"] for row in first["data"] + second["data"]] == ["b1", "b2", "b3", "b4", "b5"]
    assert second["next_cursor"] is None

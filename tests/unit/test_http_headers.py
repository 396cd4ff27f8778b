"""Headers with a meaning: waiting, keys, versions."""

import pytest

from services.chassis.errors import Problem
from services.chassis.http.headers import (
    check_version,
    etag,
    expected_versions,
    idempotency_key,
    is_unchanged,
    wait_seconds,
)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait=5", 5),
        ("WAIT=5", 5),
        ("respond-async, wait=10", 10),
        ("wait=7; foo=bar", 7),
        ('wait="7"', 7),
        ("wait=0", 0),
        ("wait=21", 20),
        ("wait=999999999", 20),
        ("wait=-1", None),
        ("wait=soon", None),
        ("wait=1.5", None),
        ("await=5", None),
        ("wait", None),
    ],
)
def test_a_preference_to_wait_is_bounded_and_what_is_not_understood_is_ignored(
    prefer: str | None, seconds: int | None
) -> None:
    assert wait_seconds(prefer) == seconds


@pytest.mark.parametrize("key", ["", " ", "a\x7f", "ü", "x" * 256, " a", "a "])
def test_a_key_that_cannot_be_stored_is_refused(key: str) -> None:
    with pytest.raises(Problem) as caught:
        idempotency_key(key, "POST", "/orders/", b"")
    assert (caught.value.status, caught.value.code) == (400, "invalid_header")
    assert caught.value.errors[0]["parameter"] == "Idempotency-Key"


@pytest.mark.parametrize("key", ["a", "x" * 255, "two words", '"quoted"'])
def test_a_key_is_taken_as_it_is(key: str) -> None:
    assert idempotency_key(key, "POST", "/orders/", b"").key == key


def test_a_request_hash_looks_at_the_meaning_of_a_body_not_at_how_it_is_written() -> None:
    one = idempotency_key("k", "POST", "/orders/", b'{"a": 1, "b": ["x", 2]}')
    other = idempotency_key("k", "POST", "/orders/", b'{"b":["x",2],\n"a":1}')
    assert one == other


def test_a_request_is_the_same_with_and_without_its_trailing_slash() -> None:
    one = idempotency_key("k", "POST", "/orders/?x=1", b"{}")
    assert one == idempotency_key("k", "POST", "/orders?x=1", b"{}")


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("PUT", "/orders/?x=1", b'{"a": 1}'),
        ("POST", "/other/?x=1", b'{"a": 1}'),
        ("POST", "/orders/?x=2", b'{"a": 1}'),
        ("POST", "/orders/?x=1", b'{"a": 2}'),
        ("POST", "/orders/?x=1", b'{"a": "1"}'),
        ("POST", "/orders/?x=1", b""),
    ],
)
def test_another_request_has_another_hash(method: str, target: str, body: bytes) -> None:
    given = idempotency_key("k", "POST", "/orders/?x=1", b'{"a": 1}')
    assert idempotency_key("k", method, target, body).request_hash != given.request_hash


def test_a_version_is_an_entity_tag() -> None:
    assert etag(12) == '"v12"'


@pytest.mark.parametrize(
    ("header", "versions"),
    [
        (None, None),
        ("*", None),
        ('"v12"', {12}),
        ('"v1", "v2"', {1, 2}),
        ('W/"v12"', set()),
        ('"abc"', set()),
        ('"v12x"', set()),
        ('"v12", "abc"', {12}),
        ('"a,b","v3"', {3}),
        (', "v3" ,,"v4",', {3, 4}),
    ],
)
def test_if_match_admits_the_versions_that_it_names(header: str | None, versions: set[int] | None) -> None:
    assert expected_versions(header) == versions


@pytest.mark.parametrize("header", ["v12", "12", '"v12', "", ",", '"v1" "v2"', '"v1", *', '"v1\x00"'])
def test_an_if_match_that_is_no_list_of_tags_is_refused(header: str) -> None:
    with pytest.raises(Problem) as caught:
        expected_versions(header)
    assert (caught.value.status, caught.value.code) == (400, "invalid_header")


@pytest.mark.parametrize(
    ("header", "unchanged"),
    [(None, False), ("*", True), ('"v3"', True), ('W/"v3"', True), ('"v2", "v3"', True), ('"v2"', False)],
)
def test_if_none_match_knows_the_version_that_the_caller_has(header: str | None, unchanged: bool) -> None:
    assert is_unchanged(header, 3) is unchanged


def test_a_change_of_another_version_is_refused_with_the_current_one() -> None:
    with pytest.raises(Problem) as caught:
        check_version(frozenset({1}), 2)
    assert (caught.value.status, caught.value.code) == (412, "precondition_failed")
    assert caught.value.headers == {"ETag": '"v2"'}


def test_a_change_of_the_expected_version_passes() -> None:
    check_version(frozenset({1, 2}), 2)
    check_version(None, 2)

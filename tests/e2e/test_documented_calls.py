"""What the three OpenAPI documents allow and forbid is answered as they say: schemathesis makes the requests.

Requests are drawn from the documents, the same at every run: each parameter and field at its limits, missing, of
another type, and at random. Most of them are about what is really there (`tests.support.documented`).
"""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, Response
from schemathesis.checks import load_all_checks
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi import checks

from deploy.documents import DOCS
from services.chassis.http.shapes import NO_NUL, words_for
from services.order.domain.requests import MAX_ID
from tests.support.documented import Seeds, clear, sow, succeeding
from tests.support.running_shop import Shop

load_all_checks()
CONFIG = {
    "seed": 1,
    # Tokens are ours: those that are generated would be refused, and nothing behind them reached.
    "generation": {
        "deterministic": True,
        "max-examples": 20,
        "database": "none",
        "with-security-parameters": False,
    },
    # 412 and 422 are facts: what a request with a right form meets.
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", "3xx", "404", "409", "412", "422"]},
        # 412, 414 and 428 refuse too.
        "negative_data_rejection": {
            "expected-statuses": ["400", "404", "405", "409", "412", "414", "415", "422", "428"],
        },
        "missing_required_header": {"expected-statuses": ["400", "401", "403", "404", "428"]},
    },
}
# Why a request that fits its schema may be a 400 all the same, by what the answer says: no schema tells these.
_BEYOND_SCHEMAS = re.compile(
    "is not one that this API made"  # of a cursor
    "|must not contain the NUL character"  # true of all text, and said once in docs/api.md
    "|should be a valid integer"  # JSON Schema takes 1.0 for one
    "|goes with status"  # the fields of a status update
    "|send either quantity"  # the two ways to adjust
    "|a payment needs"  # all parts of it, or none
    "|send one of"  # the ways to refund
    "|name an item twice"  # the lines of a refund
    "|items name an item twice"  # of a shipment
    "|lines are empty"  # of what arrived of a return
    "|received counts damaged ones too"  # the same
    "|is beyond the years"  # a time that is none in UTC
    "|goes with|does not go with"  # what a list can be sorted by, with these filters
    "|required of service"  # whose addresses are meant
    "|rows repeat|is the call's own"  # the ids of many, and a key of theirs
    "|Last-Event-ID"  # a header that no document describes
)
# The same, of a name in `metadata`.
_LENGTHS_OF_NAMES = (
    "String should have at least 1 character",
    f"String should have at most {MAX_ID} characters",
)
# Other methods are allowed on these paths too: they ask for something whose id is "resume" or "admin", and there never
# is one.
_ALSO_AN_ID = (
    "/parked/resume/",
    "/orders/admin/",
    "/orders/vendor/",
    "/orders/quote/",
    "/orders/bulk/",
    "/orders/bulk-update/",
    "/orders/analytics/",
)
_TRIES = 25
_TURNS = itertools.count()


def _document(service: str) -> Any:
    path = DOCS / "openapi" / f"{service}.json"
    return schemathesis.openapi.from_path(path, config=schemathesis.Config.from_dict(CONFIG))


DOCUMENTS = {service: _document(service) for service in ("order", "inventory", "notification")}


@pytest.fixture(scope="module")
def seeds(shop: Shop) -> Iterator[Seeds]:
    made = sow(shop)
    yield made
    clear(made)


def _about_what_is_there(case: Case, service: str, seeds: Seeds) -> None:
    """Put real ids into three of four requests, unless it is the ids that are wrong in this one."""
    told = case.meta.components.get(ParameterLocation.PATH) if case.meta else None
    turn = next(_TURNS)
    if told is None or told.mode.is_negative or turn % 4 == 0:
        return
    for name in case.path_parameters:
        ids = seeds.ids(service, case.operation.label, name)
        case.path_parameters[name] = ids[turn % len(ids)]


def _without_made_up_tags(case: Case) -> None:
    """Leave out an empty entity tag in a request that is to be right.

    At the limits schemathesis makes header values of letters and digits only. It finds none that is an entity tag, and
    goes on with an empty one as if that fitted the pattern. Real ones are among those at random.
    """
    for name in ("If-Match", "If-None-Match"):
        if case.meta and not case.meta.generation.mode.is_negative and case.headers.get(name) == "":
            del case.headers[name]


def _is_beyond_schemas(fault: dict[str, str]) -> bool:
    return _BEYOND_SCHEMAS.search(fault["detail"]) is not None or _is_of_a_name(fault)


def _is_of_a_name(fault: dict[str, str]) -> bool:
    """Tell whether a name in `metadata` is at fault: the document's library drops what limits them (`propertyNames`).

    A value, which the document describes, has the same pointer; its limits differ.
    """
    pointer, detail = fault.get("pointer", ""), fault["detail"]
    of_its_characters = "\x00" in pointer and detail == f"must be {words_for(NO_NUL)}"
    return re.match(r"(/orders/\d+)?/metadata/", pointer) is not None and (
        of_its_characters or detail in _LENGTHS_OF_NAMES
    )


def excluded_checks(case: Case, response: Response) -> list[Any]:
    excluded = []
    if response.status_code == 400:
        faults = response.json()["errors"]
        if faults and all(_is_beyond_schemas(fault) for fault in faults):
            excluded.append(checks.positive_data_acceptance)
    if (
        (response.status_code, case.method) == (200, "POST")
        and case.path.endswith("/bulk/")
        and _refused_rows(response)
    ):
        excluded.append(checks.negative_data_rejection)
    if case.path.endswith(_ALSO_AN_ID):
        excluded.append(checks.allow_header_conformance)
    return excluded


def _refused_rows(response: Response) -> list[Any]:
    """Return the rows of a call of many whose form was refused: each without the others, so that the call is a 200."""
    problems = [row["problem"] for row in response.json()["results"]]
    return [problem for problem in problems if problem and problem["code"] == "invalid_request"]


def _send(case: Case, service: str, seeds: Seeds) -> Response:
    headers = seeds.headers(case)
    response = case.call(base_url=seeds.shop.callers.urls[service], headers=headers)
    case.validate_response(response, headers=headers, excluded_checks=excluded_checks(case, response))
    return response


def _answers_as_documented(service: str) -> Callable[..., None]:
    def test(case: Case, seeds: Seeds) -> None:
        _about_what_is_there(case, service, seeds)
        _without_made_up_tags(case)
        _send(case, service, seeds)

    return test


test_order_answers_as_documented = DOCUMENTS["order"].parametrize()(_answers_as_documented("order"))
test_inventory_answers_as_documented = DOCUMENTS["inventory"].parametrize()(_answers_as_documented("inventory"))
test_notification_answers_as_documented = DOCUMENTS["notification"].parametrize()(
    _answers_as_documented("notification")
)


@pytest.mark.parametrize("service", DOCUMENTS)
def test_each_documented_call_can_succeed(service: str, seeds: Seeds) -> None:
    served = seeds.shop.admin.get("/openapi.json", service=service).json()
    assert served == DOCUMENTS[service].raw_schema, "the document that was read is not the one that is served"
    parts = succeeding(seeds)
    operations = [found.ok() for found in DOCUMENTS[service].get_all_operations()]

    failed = [
        operation.label
        for operation in operations
        if not _succeeds(operation, service, seeds, parts.get(operation.label, dict)())
    ]

    assert failed == []


def _succeeds(operation: Any, service: str, seeds: Seeds, parts: dict[str, Any]) -> bool:
    """Return whether one of some requests, drawn with these parts given, is answered with a 2xx."""
    path = {each.name: seeds.ids(service, operation.label, each.name)[0] for each in operation.path_parameters}
    answered: list[int] = []

    @settings(
        max_examples=_TRIES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(**{"path_parameters": path, **parts}))
    def attempt(case: Case) -> None:
        if not any(200 <= status < 300 for status in answered):
            answered.append(_send(case, service, seeds).status_code)

    attempt()
    return any(200 <= status < 300 for status in answered)

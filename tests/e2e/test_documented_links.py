"""Calls behind calls: schemathesis follows the links of the order service's document, from what it made itself.

What it places, ships, refunds and takes back is what the next calls are about. Where a call needs an order that has
come so far, or a body about what is really in it, a caller arranges that in most of the calls, as a storefront would;
the others are as they were drawn.
"""

import contextlib
import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import Flaky
from schemathesis import Case, Response
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.stateful.state_machine import StepInput, StepOutput

from deploy.documents import DOCS
from tests.e2e.test_documented_calls import CONFIG, excluded_checks
from tests.support.documented import Seeds
from tests.support.running_shop import Shop
from tests.support.storefront import ADDRESS, order_body, unique

Json = dict[str, Any]
ORDER = "{order_id}/"
ONE = "/api/v1/orders/{order_id}"
# Only the links that the document declares; requests whose form is right.
_STATEFUL = {
    "phases": {"stateful": {"inference": {"algorithms": []}}},
    "generation": {**CONFIG["generation"], "mode": "positive"},
}
# Each walk has random numbers of its own and is four scenarios. They go on until every call was reached, at least so
# many of them, and at most so long.
_WALKS, _STEPS, _SECONDS = 2, 12, 60.0
_DRAWN = 0.15  # of the calls are left as they were drawn
_LIFE = ("pending", "confirmed", "processing", "shipped", "delivered")
# How far an order has to have come for a call about it.
_NEEDS = {
    f"POST {ONE}/refunds/": "confirmed",
    f"GET {ONE}/label/": "processing",
    f"POST {ONE}/shipments/": "processing",
    f"POST {ONE}/returns/": "delivered",
}
# Calls that must have succeeded with the id of what a call before them made; the second ones are a third step.
BEHIND_AN_ORDER = {
    f"GET {ONE}/",
    f"PUT {ONE}/",
    f"POST {ONE}/confirm/",
    f"PATCH {ONE}/status/",
    f"GET {ONE}/items/",
    f"POST {ONE}/items/",
    f"GET {ONE}/shipments/",
    f"POST {ONE}/shipments/",
    f"GET {ONE}/label/",
    f"GET {ONE}/tracking/",
    f"GET {ONE}/timeline/",
    f"GET {ONE}/refunds/",
    f"POST {ONE}/refunds/",
    f"GET {ONE}/returns/",
    f"POST {ONE}/returns/",
}
BEHIND_A_CANCEL = {f"POST {ONE}/cancel/", f"GET {ONE}/", f"PUT {ONE}/", f"GET {ONE}/timeline/"}
BEHIND_THAT = {
    f"POST {ONE}/shipments/{{shipment_id}}/events/",
    f"POST {ONE}/refunds/{{refund_id}}/settle/",
    f"POST {ONE}/returns/{{return_id}}/approve/",
    f"POST {ONE}/returns/{{return_id}}/decline/",
    f"POST {ONE}/returns/{{return_id}}/receive/",
}
BEHIND_AN_ADDRESS = {f"{method} /api/v1/addresses/{{address_id}}/" for method in ("GET", "PUT", "DELETE")}


@pytest.fixture(scope="module")
def seeds(shop: Shop) -> Seeds:
    """A variant in stock; all else is made by the calls."""
    vendor = unique("vendor")
    return Seeds(shop, vendor, {"sku": [shop.sku(stock=1000, vendor_id=vendor)]}, [], {})


class Arranging:
    """A caller who makes a call fit what is there.

    Args:
        seeds: of the shop.

    """

    def __init__(self, seeds: Seeds) -> None:
        self._shop = seeds.shop
        self._sku = seeds.values["sku"][0]
        self._bodies: Mapping[str, Callable[[Json], Json]] = {
            f"POST {ONE}/confirm/": self._payment,
            f"PATCH {ONE}/status/": lambda order: {"status": (*order["allowed_transitions"], order["status"])[0]},
            f"PUT {ONE}/": lambda _: {"notes": "ring twice"},
            f"POST {ONE}/items/": lambda _: {"sku": self._sku, "quantity": 1},
            f"POST {ONE}/shipments/": lambda _: {},
            f"POST {ONE}/refunds/": lambda _: {"amount": "0.01"},
            f"POST {ONE}/returns/": lambda order: {"lines": [self._line(order, quantity=1, reason="other")]},
            f"POST {ONE}/returns/{{return_id}}/receive/": lambda order: {"lines": [self._line(order, received=1)]},
        }

    def arrange(self, case: Case) -> None:
        """Change a call, and what it is about."""
        label, ids = case.operation.label, case.path_parameters or {}
        case.headers.pop("Idempotency-Key", None)
        if "If-Match" in case.headers:
            case.headers["If-Match"] = "*"
        # What inventory has not answered yet refuses the next call.
        case.headers["Prefer"] = "wait=5"
        if label == "POST /api/v1/orders/":
            case.body = order_body((self._sku, 2), customer_id=unique("c"))
        elif label == "POST /api/v1/addresses/":
            case.body = {**ADDRESS, "customer_id": unique("c")}
        elif label in _NEEDS or label in self._bodies:
            answer = self._shop.admin.get(f"{ids['order_id']}/")
            if answer.status_code == 200:
                self._arrange(case, label, answer.json())

    def _arrange(self, case: Case, label: str, order: Json) -> None:
        if label in _NEEDS and order["status"] in _LIFE:
            for status in _LIFE[_LIFE.index(order["status"]) + 1 : _LIFE.index(_NEEDS[label]) + 1]:
                self._move(order, status)
        if label.endswith("/receive/"):
            self._shop.admin.post(f"{order['id']}/returns/{case.path_parameters['return_id']}/approve/")
        if label in self._bodies:
            case.body = self._bodies[label](order)

    def _move(self, order: Json, status: str) -> None:
        if status == "confirmed":
            self._shop.service.confirm(order)
        else:
            self._shop.admin.move(order, status)

    def _payment(self, order: Json) -> Json:
        amount = order["amount_due"] if order["amount_due"] != "0.00" else order["total_amount"]
        return {"provider": "cards", "reference": unique("pay"), "amount": amount, "currency": order["currency"]}

    def _line(self, order: Json, **parts: Any) -> Json:
        return {"item_id": order["items"][0]["id"], **parts}


class Walked:
    """What came of the calls."""

    def __init__(self) -> None:
        self.succeeded: Counter[str] = Counter()
        self.faults: list[str] = []
        self.calls = 0


def workflow(seeds: Seeds, walked: Walked, paths: str) -> Any:
    """Return a state machine over the document that notes which calls behind links succeeded, and what was wrong."""
    config = schemathesis.Config.from_dict({**CONFIG, **_STATEFUL})
    document = schemathesis.openapi.from_path(DOCS / "openapi" / "order.json", config=config)
    machine: Any = document.include(path_regex=paths).as_state_machine()
    arranging, chance = Arranging(seeds), random.Random(1)

    class Workflow(machine):  # type: ignore[misc]
        def before_call(self, case: Case) -> None:
            if chance.random() >= _DRAWN:
                arranging.arrange(case)

        def get_call_kwargs(self, case: Case) -> Json:
            return {"base_url": seeds.shop.callers.urls["order"], "headers": seeds.headers(case)}

        def step(self, input: StepInput) -> StepOutput:  # noqa: A002 - the name is schemathesis'
            output: StepOutput = super().step(input)
            walked.calls += 1
            if input.transition is not None and input.is_applied and 200 <= output.response.status_code < 300:
                walked.succeeded[input.case.operation.label] += 1
            return output

        def validate_response(self, response: Response, case: Case, **kwargs: Any) -> None:
            excluded = excluded_checks(case, response)
            try:
                case.validate_response(
                    response, excluded_checks=excluded, transport_kwargs=kwargs, recorder=self.recorder
                )
            except FailureGroup as found:
                walked.faults += [f"{case.operation.label}: {response.status_code} {each}" for each in found.exceptions]

    return Workflow


@pytest.mark.slow
@pytest.mark.timing
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (r"^/api/v1/addresses/", BEHIND_AN_ADDRESS),
        (rf"^/api/v1/orders/({re.escape(ORDER)}((cancel|timeline)/)?)?$", BEHIND_A_CANCEL),
        # No cancel among them, which would end most walks early; no stream, which would not end.
        (rf"^/api/v1/orders/({re.escape(ORDER)}((?!cancel|stream)\w+/)?)?$", BEHIND_AN_ORDER),
        (rf"^/api/v1/orders/({re.escape(ORDER)}(refunds|returns|shipments)/.*)?$", BEHIND_THAT),
    ],
    ids=["addresses", "cancels", "orders", "parts of orders"],
)
def test_calls_behind_calls_are_answered_as_documented_down_to_the_third(
    seeds: Seeds, paths: str, wanted: set[str]
) -> None:
    walked = Walked()
    machine = workflow(seeds, walked, paths)
    bounds = settings(
        max_examples=4,
        stateful_step_count=_STEPS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    until = time.monotonic() + _SECONDS

    for number in itertools.count(1):
        # Answers depend on what is there by now, so a walk that begins like another one may go on otherwise, which
        # Hypothesis refuses. What was wrong with answers is noted, not raised: nothing is lost by going on.
        with contextlib.suppress(Flaky):
            seed(number)(machine).run(settings=bounds)
        missing = wanted - set(walked.succeeded)
        if time.monotonic() > until or (not missing and number >= _WALKS):
            break

    assert walked.faults == []
    assert missing == set(), (walked.calls, walked.succeeded)

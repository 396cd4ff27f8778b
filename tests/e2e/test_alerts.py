"""What alerts look at is there in a running shop: a rule over a metric that nobody serves would never fire.

Nor would one that asks for a label, or for the value of a label, that the metric never has. So something is made of
all that there is an alert for, and each rule has to find samples of what it asks for.
"""

import contextlib
from collections.abc import Mapping, Sequence

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.state import SERVICES
from tests.support.alerts import Selector, rules, selectors
from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.troubles import alarm

# Name and labels; `service` is among the latter, as prometheus.yml adds it.
Sample = tuple[str, Mapping[str, str]]
# Workers tell their lag every fifteen seconds.
_SECONDS = 30


def _served(shop: Shop) -> dict[str, list[Sample]]:
    """Return process → the samples that it serves."""
    found = {}
    for service in SERVICES:
        address = shop.stack.state.services[service]
        for role, url in (("api", f"{address.url}/metrics"), ("worker", address.metrics_url)):
            answer = requests.get(url, timeout=10)
            assert answer.status_code == 200, url
            found[f"{service}-{role}"] = [
                (sample.name, {**sample.labels, "service": service})
                for family in text_string_to_metric_families(answer.text)
                for sample in family.samples
            ]
    return found


def _missed(selector: Selector, samples: Sequence[Sample]) -> list[str]:
    """Return what a selector asks for and no sample has: its labels, then each value."""
    fitting = [labels for name, labels in samples if name == selector.metric and selector.labels <= labels.keys()]
    if not fitting:
        return [f"{selector.metric}{sorted(selector.labels)}"]
    return [
        f'{selector.metric}{{{label}="{value}"}}'
        for label, values in selector.values.items()
        for value in values
        if value not in {labels[label] for labels in fitting}
    ]


def _missing(expression: str, samples: Sequence[Sample]) -> list[str]:
    return [missed for selector in selectors(expression) for missed in _missed(selector, samples)]


def _expression(rule: Mapping[str, object]) -> str:
    return str(rule["expr"])


@pytest.fixture(scope="module")
def served(shop: Shop) -> dict[str, list[Sample]]:
    """What a shop serves in which something is wrong of all that there is an alert for.

    Waited for only as long as it may take: what is missing then is told by the test of the rule that asks for it.
    """
    found: dict[str, list[Sample]] = {}

    def all_is_there() -> None:
        make_again()
        found.update(_served(shop))
        samples = [sample for served in found.values() for sample in served]
        assert not [missed for rule in rules() for missed in _missing(_expression(rule), samples)]

    with alarm(shop) as make_again, contextlib.suppress(AssertionError):
        eventually(all_is_there, within=_SECONDS, every=0.5)
    return found


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: f"{rule['alert']} {rule['labels'].get('cause', '')}")
def test_a_running_process_serves_all_that_a_rule_asks_for(
    served: dict[str, list[Sample]], rule: dict[str, object]
) -> None:
    assert selectors(_expression(rule))
    assert _missing(_expression(rule), [sample for samples in served.values() for sample in samples]) == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_worker_serves_the_metric_whose_absence_is_an_alert(
    served: dict[str, list[Sample]], service: str
) -> None:
    (expression,) = [_expression(rule) for rule in rules() if rule["alert"] == "WorkerSilent"]
    assert f'absent(oms_outbox_oldest_age_seconds{{service="{service}"}})' in expression
    assert "oms_outbox_oldest_age_seconds" in {name for name, _ in served[f"{service}-worker"]}

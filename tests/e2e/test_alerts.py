"""What alerts look at is there in a running shop: a rule over a metric that nobody serves would never fire."""

import re

import pytest
import requests

from deploy.local.state import SERVICES
from tests.support.alerts import metrics_of, rules
from tests.support.running_shop import Shop


@pytest.fixture(scope="module")
def served(shop: Shop) -> dict[str, set[str]]:
    """Process → the metrics that it serves, under the names of their samples; also those that have no sample yet."""
    found = {}
    for service in SERVICES:
        address = shop.stack.state.services[service]
        for role, url in (("api", f"{address.url}/metrics"), ("worker", address.metrics_url)):
            answer = requests.get(url, timeout=10)
            assert answer.status_code == 200, url
            found[f"{service}-{role}"] = set(re.findall(r"^# TYPE (\w+) ", answer.text, re.MULTILINE))
    assert all(found.values())
    return found


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: f"{rule['alert']} {rule['labels'].get('cause', '')}")
def test_every_metric_of_a_rule_is_served_by_a_running_process(
    served: dict[str, set[str]], rule: dict[str, dict[str, str]]
) -> None:
    names = metrics_of(str(rule["expr"]))
    assert names
    assert names <= set.union(*served.values())


@pytest.mark.parametrize("service", SERVICES)
def test_every_worker_serves_the_metric_whose_absence_is_an_alert(served: dict[str, set[str]], service: str) -> None:
    (expression,) = [str(rule["expr"]) for rule in rules() if rule["alert"] == "WorkerSilent"]
    assert f'absent(oms_outbox_oldest_age_seconds{{service="{service}"}})' in expression
    assert "oms_outbox_oldest_age_seconds" in served[f"{service}-worker"]

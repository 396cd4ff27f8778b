"""The alerts say what they must, lead somewhere, look at metrics that there are, and do what promtool says they do."""

import os
import re
import shutil
import subprocess
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from deploy.local.state import SERVICES
from services.chassis import collectors, metrics
from services.chassis.service import DatabaseGauge
from services.inventory.bootstrap import SERVICE as INVENTORY
from services.notification.bootstrap import SERVICE as NOTIFICATION
from services.order.bootstrap import SERVICE as ORDER
from tests.support.alerts import ALERTS, OBSERVABILITY, metrics_of, rules

ROOT = OBSERVABILITY.parents[1]
TESTS = OBSERVABILITY / "alerts_test.yml"
ASKED_FOR = {
    *("OrdersStuck", "OutboxOld", "ConsumerLagHigh", "ParkedDead", "BreakerOpen", "InvariantViolated"),
    *("MailFailing", "DeadlinesDeferred", "AuditOverdue"),
}
RULES = rules()


def title(rule: dict[str, Any]) -> str:
    """Return what tells a rule from all others: the alert's name, and the cause where one alert has several."""
    cause: str | None = rule["labels"].get("cause")
    return rule["alert"] if cause is None else f"{rule['alert']} {cause}"


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus' checker; Debian's package `prometheus` has it."""
    found = shutil.which("promtool")
    if found is None and os.environ.get("REQUIRE_PROMTOOL"):
        pytest.fail("promtool is not installed, and REQUIRE_PROMTOOL says that it has to be")
    return found or pytest.skip("promtool is not installed (Debian: package prometheus)")


@pytest.mark.parametrize(
    "command",
    [("check", "rules", ALERTS.name), ("check", "config", "prometheus.yml"), ("test", "rules", TESTS.name)],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(promtool: str, command: tuple[str, ...]) -> None:
    done = subprocess.run([promtool, *command], cwd=OBSERVABILITY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_there_is_an_alert_for_all_that_has_to_wake_somebody() -> None:
    assert {rule["alert"] for rule in RULES} >= ASKED_FOR


def test_no_two_rules_have_one_title() -> None:
    titles = [title(rule) for rule in RULES]
    assert sorted(set(titles)) == sorted(titles)


@pytest.mark.parametrize("rule", RULES, ids=title)
def test_an_alert_says_how_urgent_it_is_what_is_wrong_and_whose(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    said = rule["annotations"]
    assert set(said) == {"summary", "description", "runbook_url"}
    assert "$labels.service" in said["summary"]
    assert "$labels.service" in said["description"]
    assert "$value" in said["description"]


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("rule", RULES, ids=title)
def test_an_alert_leads_to_a_section_that_is_about_it(rule: dict[str, Any]) -> None:
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor == re.sub(r"(?<!^)(?=[A-Z])", "-", rule["alert"]).lower()
    assert anchor in anchors(ROOT / path)


def test_a_runbook_has_no_section_without_an_alert() -> None:
    text = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.+)\n\n`(\w+)`", text, re.MULTILINE))
    assert len(sections) == text.count("\n## ")
    assert set(sections.values()) == {rule["alert"] for rule in RULES}
    for heading, alert in sections.items():
        assert heading.replace(" ", "").lower() == alert.lower()


SECTIONS: list[str] = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8").split("\n## ")[1:]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.partition("\n")[0])
def test_a_section_says_what_it_means_what_to_do_and_whether_it_passes(section: str) -> None:
    points = re.findall(r"^- \*\*(.+?)\*\*", section, re.MULTILINE)
    assert points == ["For users", "Look first", "Do", "Ends by itself"]


def test_commands_of_the_runbooks_exist() -> None:
    text = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")
    reports = {service.name: {*service.reports} for service in (ORDER, INVENTORY, NOTIFICATION)}
    every = {"api", "worker", "migrate", "parked"}
    for name, command in re.findall(r"python -m services\.(\S+) (\w+)", text):
        known = set().union(*reports.values()) if name == "<name>" else reports[name]
        assert command in known | every, f"{name} {command}"


# --- each rule is tested: fires, stays quiet, resolves

CASES: dict[str, list[dict[str, Any]]] = {
    name: test["alert_rule_test"]
    for test in yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]
    for name in [test["name"]]
}


def alerts_over_time(rule: dict[str, Any], case: str) -> list[bool]:
    """Return whether a test expects a rule to fire, at each of its moments in their order, repeats left out."""
    moments = CASES[f"{title(rule)} {case}"]
    assert {moment["alertname"] for moment in moments} == {rule["alert"]}
    minutes = [int(moment["eval_time"].removesuffix("m")) for moment in moments]
    assert minutes == sorted(minutes)
    cause = rule["labels"].get("cause")
    fires = [any(alert["exp_labels"].get("cause") == cause for alert in moment["exp_alerts"]) for moment in moments]
    return [expected for expected, _ in groupby(fires)]


@pytest.mark.parametrize("rule", RULES, ids=title)
def test_every_rule_is_tested_to_fire_to_stay_quiet_and_to_resolve(rule: dict[str, Any]) -> None:
    assert alerts_over_time(rule, "fires") == [True]
    assert alerts_over_time(rule, "stays quiet") == [False]
    assert alerts_over_time(rule, "resolves") == [True, False]


def test_no_test_is_about_a_rule_that_there_is_not() -> None:
    cases = ("fires", "stays quiet", "resolves")
    assert sorted(CASES) == sorted(f"{title(rule)} {case}" for rule in RULES for case in cases)


# --- metrics and labels; that a running stack serves these metrics is tests/e2e/test_alerts.py


def labels_by_metric() -> dict[str, set[str]]:
    """Return the labels of every metric of the product by the name under which Prometheus keeps it."""
    counted = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    registry = CollectorRegistry()
    named = {}
    for metric in counted:
        registry.register(metric)
    for name, metric in registry._names_to_collectors.items():
        assert isinstance(metric, MetricWrapperBase)
        named[name] = set(metric._labelnames)
    gauges: list[DatabaseGauge] = [*collectors.GAUGES, collectors.breaker_open("any")]
    for service in (ORDER, INVENTORY, NOTIFICATION):
        gauges += service.gauges
    return named | {gauge.name: set(gauge.labels) for gauge in gauges}


@pytest.mark.parametrize("rule", RULES, ids=title)
def test_a_rule_asks_for_labels_that_its_metrics_have(rule: dict[str, Any]) -> None:
    known = labels_by_metric()
    expression = rule["expr"]
    there = {"service", "job", "instance"}.union(*(known[name] for name in metrics_of(expression)))
    grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
    asked = {label.strip() for group in grouped for label in group.split(",")}
    asked |= set(re.findall(r"(\w+)=~?\"", expression))
    asked |= set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert asked <= there


def test_every_target_has_the_label_that_rules_add_up_by() -> None:
    jobs = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    labelled = {
        job["job_name"]: {label["target_label"]: label["replacement"] for label in job["relabel_configs"]}
        for job in jobs
    }
    assert labelled == {f"{name}-{role}": {"service": name} for name in SERVICES for role in ("api", "worker")}


def test_prometheus_in_the_containers_is_given_the_rules() -> None:
    prometheus = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["prometheus"]
    assert "./deploy/observability:/etc/prometheus:ro" in prometheus["volumes"]
    assert "--config.file=/etc/prometheus/prometheus.yml" in prometheus["command"]
    config = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text(encoding="utf-8"))
    assert config["rule_files"] == [ALERTS.name]

"""The container files say what they promise; no Docker is needed to read them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.containers.compose import SECRET_NAMES
from deploy.local import kafka
from deploy.local.state import SERVICES

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"topics", *(f"{service}-migrate" for service in SERVICES)}


def test_every_process_of_every_service_has_a_container() -> None:
    for service in SERVICES:
        for role in ("api", "worker", "migrate"):
            assert CONTAINERS[f"{service}-{role}"]["command"] == ["python", "-m", f"services.{service}", role]


def test_consumers_are_lent_the_schemas() -> None:
    command = CONTAINERS["schema-registry"]["command"]
    assert command[:4] == ["python", "-m", "schemas", "serve"]


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_a_container_can_do_nothing_that_it_need_not(name: str) -> None:
    container = CONTAINERS[name]

    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit"} <= set(container)
    if "build" not in container:
        assert int(container["user"].partition(":")[0]) > 0


def test_the_image_runs_as_nobody_in_particular() -> None:
    users = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)

    assert users
    assert all(int(number) > 0 for user in users for number in user)


@pytest.mark.parametrize("name", sorted(set(CONTAINERS) - ONCE))
def test_what_goes_on_running_says_whether_it_is_healthy(name: str) -> None:
    assert CONTAINERS[name]["healthcheck"]["test"][0] == "CMD"
    assert CONTAINERS[name]["restart"] == "unless-stopped"


def test_ports_are_published_on_loopback_only_and_can_be_chosen() -> None:
    published = [port for container in CONTAINERS.values() for port in container.get("ports", ())]

    assert published
    for port in published:
        assert re.fullmatch(r"127\.0\.0\.1:\$\{PORT_[A-Z_]+:-\d+\}:\d+", port), port


def test_what_a_container_waits_for_is_healthy_or_done() -> None:
    for name, container in CONTAINERS.items():
        for other, wish in container.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert wish == {"condition": expected}, (name, other)


def test_every_secret_is_made_at_the_start_and_none_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    wanted = set(re.findall(r"\$\{(\w+):\?", text))

    assert wanted == set(SECRET_NAMES)
    assert not re.search(r"\$\{\w*(PASSWORD|SECRET):?-", text)


def test_the_broker_in_a_container_has_the_settings_of_the_local_one() -> None:
    where_it_listens = {"listener.security.protocol.map", "inter.broker.listener.name"}
    settings = {
        f"KAFKA_{name.upper().replace('.', '_')}": value
        for name, value in kafka.SETTINGS.items()
        if name not in where_it_listens
    }

    assert CONTAINERS["kafka"]["environment"].items() >= settings.items()


def test_prometheus_reads_every_api_and_worker_where_it_serves() -> None:
    scraped = yaml.safe_load((ROOT / "deploy/observability/prometheus.yml").read_text(encoding="utf-8"))
    targets = {
        job["job_name"]: (lookup["names"], lookup["port"])
        for job in scraped["scrape_configs"]
        for lookup in job["dns_sd_configs"]
    }

    for service in SERVICES:
        for role, variable in (("api", "HTTP_PORT"), ("worker", "METRICS_PORT")):
            name = f"{service}-{role}"
            assert targets[name] == ([name], int(CONTAINERS[name]["environment"][variable]))


def test_nothing_gets_into_the_image_unless_it_is_named() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert not {"!.env", "!.local", "!tests", "!.git"} & set(rules)

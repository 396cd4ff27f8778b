"""The container files say what they promise; no Docker is needed to read them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from deploy.containers.compose import SECRET_NAMES
from deploy.local import kafka
from deploy.local.state import SERVICES, TokenSettings
from services.chassis.errors import SettingsError
from services.chassis.settings import ServiceSettings, load_settings
from services.inventory.settings import InventorySettings
from services.notification.settings import NotificationSettings
from services.order.settings import OrderSettings

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


@pytest.mark.parametrize("name", sorted(name for name, container in CONTAINERS.items() if "build" not in container))
def test_what_others_have_made_is_taken_in_a_version_that_is_named(name: str) -> None:
    image = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", CONTAINERS[name]["image"])

    assert re.fullmatch(r"[\w./-]+:v?\d[\d.]*", image), image


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
    wanted = set(re.findall(r"\$\{(\w+):?\?", text))

    assert wanted == set(SECRET_NAMES)
    assert not re.search(r"\$\{\w*(PASSWORD|SECRET):?-", text)


SETTINGS = {"order": OrderSettings, "inventory": InventorySettings, "notification": NotificationSettings}
OF_A_PROVIDER = {
    "JWT_JWKS_URL": "https://id.example/keys",
    "JWT_ISSUER": "https://id.example",
    "JWT_AUDIENCE": "shop",
    "JWT_SECRET": "",
}


def interpolated(container: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return a container's environment as Compose makes it of `${NAME:-default}`, `${NAME?complaint}` and the like."""

    def value_of(match: re.Match[str]) -> str:
        name, mark, rest = match.groups()
        if "?" in mark:
            assert name in variables, f"{name}: {rest}"
            assert variables[name] or mark == "?", f"{name}: {rest}"
        return variables.get(name) or (rest if mark == ":-" else "")

    environment: dict[str, str] = CONTAINERS[container]["environment"]
    return {key: re.sub(r"\$\{(\w+)(:-|:\?|\?|)([^}]*)\}", value_of, value) for key, value in environment.items()}


def settings_in(
    service: str, role: str, variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> ServiceSettings:
    """Return the settings that a container's process reads, or refuses to start with."""
    secrets = dict.fromkeys(SECRET_NAMES, "a secret that is made at the start")
    environment = dotenv_values(ROOT / "deploy/containers/defaults.env")
    environment |= interpolated(f"{service}-{role}", {**secrets, **variables})
    for name, value in environment.items():
        monkeypatch.setenv(name, value or "")
    return load_settings(SETTINGS[service], {"_env_file": None})


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("role", ["api", "worker", "migrate"])
def test_containers_can_be_pointed_at_an_identity_provider(
    service: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = settings_in(service, role, {}, monkeypatch)
    assert local.jwt_secret is not None
    assert (local.jwt_jwks_url, local.jwt_issuer) == (None, TokenSettings(secret="").issuer)
    assert local.jwt_audience == TokenSettings(secret="").audience

    pointed = settings_in(service, role, OF_A_PROVIDER, monkeypatch)
    assert pointed.jwt_secret is None
    assert pointed.jwt_jwks_url == "https://id.example/keys"
    assert (pointed.jwt_issuer, pointed.jwt_audience) == ("https://id.example", "shop")

    with pytest.raises(SettingsError, match=r"JWT_SECRET .* and JWT_JWKS_URL .*both are set"):
        settings_in(service, role, {"JWT_JWKS_URL": "https://id.example/keys"}, monkeypatch)


@pytest.mark.parametrize("port", [None, "9001"])
def test_mails_link_to_the_order_api_at_its_published_port(port: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if port is not None:
        monkeypatch.setenv("PORT_ORDER", port)
    for role in ("api", "worker"):
        settings = settings_in("order", role, {}, monkeypatch)
        assert isinstance(settings, OrderSettings)
        assert settings.public_url == f"http://127.0.0.1:{port or 8001}"


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

"""Settings: read together, refused together, and documented without a gap."""

import re
from pathlib import Path

import pytest
from limits import parse

from services.chassis.errors import SettingsError
from services.chassis.http.roles import ANONYMOUS, Role, RouteClass
from services.chassis.settings import ServiceSettings, load_settings
from services.inventory.settings import InventorySettings
from services.notification.settings import NotificationSettings
from services.order.settings import OrderSettings

ROOT = Path(__file__).parents[2]
REQUIRED = {
    "database_url": "postgresql+psycopg2://u:p@127.0.0.1:1/d",
    "kafka_bootstrap_servers": "127.0.0.1:1",
    "jwt_secret": "x" * 32,
    "jwt_issuer": "issuer",
    "jwt_audience": "audience",
    "_env_file": None,
}


@pytest.mark.parametrize("settings", [OrderSettings, InventorySettings, NotificationSettings])
def test_the_example_names_every_setting_and_nothing_else(settings: type[ServiceSettings]) -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE))
    all_fields = {
        name.upper() for each in (OrderSettings, InventorySettings, NotificationSettings) for name in each.model_fields
    }

    assert {name.upper() for name in settings.model_fields} <= named
    assert named == all_fields


def test_all_missing_and_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "JWT_SECRET", "KAFKA_BOOTSTRAP_SERVERS", "JWT_ISSUER", "JWT_AUDIENCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/d")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")

    with pytest.raises(SettingsError) as refused:
        load_settings(OrderSettings, {"_env_file": None})

    message = str(refused.value)
    for name in ("DATABASE_URL", "JWT_SECRET", "KAFKA_BOOTSTRAP_SERVERS", "JWT_ISSUER", "JWT_AUDIENCE", "LOG_LEVEL"):
        assert name in message
    assert "postgresql+psycopg2://" in message
    assert "'DEBUG', 'INFO', 'WARNING' or 'ERROR'" in message


def test_a_registry_s_client_gets_the_settings_by_its_own_names() -> None:
    ports = {"http_port": 1, "metrics_port": 1}
    assert load_settings(OrderSettings, {**REQUIRED, **ports}).schema_registry_client() is None
    registry = {
        "schema_registry_url": "https://schemas.example/apis/ccompat/v7",
        "schema_registry_username": "ada",
        "schema_registry_password": "a:secret",
        "schema_registry_ca_location": "/etc/ca.pem",
    }
    assert load_settings(OrderSettings, {**REQUIRED, **ports, **registry}).schema_registry_client() == {
        "url": "https://schemas.example/apis/ccompat/v7",
        "basic.auth.user.info": "ada:a:secret",
        "ssl.ca.location": "/etc/ca.pem",
    }


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"schema_registry_url": "schemas.example"}, "SCHEMA_REGISTRY_URL"),
        ({"schema_registry_username": "ada"}, "SCHEMA_REGISTRY_PASSWORD"),
        ({"schema_registry_password": "secret"}, "SCHEMA_REGISTRY_PASSWORD"),
    ],
)
def test_half_a_registry_is_refused(wrong: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load_settings(OrderSettings, {**REQUIRED, **wrong})


@pytest.mark.parametrize(
    ("keys", "told"),
    [({"jwt_secret": None}, "neither is set"), ({"jwt_jwks_url": "https://id.example/keys"}, "both are set")],
)
def test_tokens_are_verified_by_a_secret_or_by_published_keys_never_by_both(keys: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=rf"set exactly one of JWT_SECRET .* and JWT_JWKS_URL .*; {told}"):
        load_settings(OrderSettings, {**REQUIRED, **keys})


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"expiry": 299}, r"JWT_JWKS_EXPIRY_SECONDS: .* JWT_JWKS_FRESH_SECONDS \(300\) at least"),
        ({"fresh": 90_000}, r"JWT_JWKS_EXPIRY_SECONDS: .* JWT_JWKS_FRESH_SECONDS \(90000\) at least"),
        ({"floor": 90_000}, r"JWT_JWKS_FLOOR_SECONDS: .* JWT_JWKS_EXPIRY_SECONDS \(86400\) at most"),
        ({"fresh": 5, "expiry": 9}, r"JWT_JWKS_FLOOR_SECONDS: .* JWT_JWKS_EXPIRY_SECONDS \(9\) at most"),
    ],
)
def test_published_keys_that_would_expire_before_they_may_be_fetched_anew_are_refused(
    keys: dict[str, int], told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        load_settings(OrderSettings, {**REQUIRED, **{f"jwt_jwks_{name}_seconds": age for name, age in keys.items()}})


def test_a_setting_that_is_left_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "")
    published = {**REQUIRED, "jwt_jwks_url": "https://id.example/keys"}
    del published["jwt_secret"]
    assert load_settings(OrderSettings, published).jwt_secret is None


def test_another_default_status_than_pending_or_confirmed_refuses_to_start() -> None:
    with pytest.raises(SettingsError, match=r"DEFAULT_ORDER_STATUS.*'pending' or 'confirmed'"):
        load_settings(OrderSettings, {**REQUIRED, "default_order_status": "shipped"})


def test_a_default_status_of_confirmed_is_the_same_as_auto_confirm() -> None:
    by_status = load_settings(OrderSettings, {**REQUIRED, "default_order_status": "confirmed"})
    by_switch = load_settings(OrderSettings, {**REQUIRED, "auto_confirm_orders": True})

    assert by_status.confirm_terms.auto_confirm
    assert by_status.confirm_terms == by_switch.confirm_terms


def test_an_order_whose_payment_method_was_abolished_still_needs_a_payment() -> None:
    methods = {"card": {"kind": "prepaid"}, "invoice": {"kind": "invoice"}}
    settings = load_settings(OrderSettings, {**REQUIRED, "payment_methods": methods})
    assert [settings.is_prepaid(code) for code in ("card", "invoice", "cheque")] == [True, False, True]


def test_shipping_prices_with_more_decimals_than_the_currency_are_refused() -> None:
    methods = {"standard": {"prices": {"JPY": "4.90"}}}

    with pytest.raises(SettingsError, match="JPY"):
        load_settings(OrderSettings, {**REQUIRED, "shipping_methods": methods})


def test_rate_limits_are_a_list_of_pairs_and_by_default_hold_those_who_come_from_outside() -> None:
    settings = load_settings(
        OrderSettings, {**REQUIRED, "rate_limits": "customer=120/minute, vendor.write=5 per 2 seconds"}
    )

    assert settings.rate_limits == {
        (Role.CUSTOMER, None): parse("120/minute"),
        (Role.VENDOR, RouteClass.WRITE): parse("5/2second"),
    }
    by_default = load_settings(OrderSettings, REQUIRED).rate_limits
    assert set(by_default) == {(Role.CUSTOMER, None), (Role.VENDOR, None), (ANONYMOUS, None)}
    assert load_settings(OrderSettings, {**REQUIRED, "rate_limits": "none"}).rate_limits == {}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("custmer=1/minute", ["RATE_LIMITS[custmer]: ", "the roles are customer, vendor, warehouse, admin, service"]),
        ("vendor=1/minute,customer=many", ["RATE_LIMITS[customer]: ", "'many' is no rate", "120/minute"]),
        ("customer=1/fortnight", ["RATE_LIMITS[customer]: ", "'1/fortnight'", "second, minute, hour, day, month"]),
        ("customer=0/minute", ["RATE_LIMITS[customer]: ", "'0/minute'", "above 0"]),
        ("customer=1/second;9/minute", ["RATE_LIMITS[customer]: ", "'1/second;9/minute'"]),
        ("customer", ["RATE_LIMITS[customer]: ", "'' is no rate"]),
    ],
)
def test_a_rate_limit_that_cannot_be_read_refuses_to_start(given: str, told: list[str]) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(OrderSettings, {**REQUIRED, "rate_limits": given})

    (line,) = str(refused.value).splitlines()[1:]
    assert [part for part in told if part not in line] == []


def test_levels_of_single_loggers_are_a_list_of_pairs() -> None:
    settings = load_settings(InventorySettings, {**REQUIRED, "log_levels": "sqlalchemy=WARNING, gunicorn=ERROR"})

    assert settings.log_levels == {"sqlalchemy": "WARNING", "gunicorn": "ERROR"}


def test_time_zones_are_a_list_and_utc_by_default() -> None:
    assert load_settings(OrderSettings, REQUIRED).analytics_time_zones == ("UTC",)
    named = load_settings(OrderSettings, {**REQUIRED, "analytics_time_zones": "Europe/Berlin, UTC"})
    assert named.analytics_time_zones == ("Europe/Berlin", "UTC")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("UTC,Europe/Atlantis", "'Europe/Atlantis' is no time zone"),
        ("/etc/passwd", "'/etc/passwd' is no time zone"),
        ("UTC,UTC", "each once"),
        ("America", "'America' is no time zone"),
    ],
)
def test_a_time_zone_that_nobody_knows_refuses_to_start(given: str, told: str) -> None:
    with pytest.raises(SettingsError, match=f"ANALYTICS_TIME_ZONES.*{told}"):
        load_settings(OrderSettings, {**REQUIRED, "analytics_time_zones": given})

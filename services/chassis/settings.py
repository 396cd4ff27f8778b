"""Settings every service has, read once from the environment, all faults reported together.

A service's own settings class extends `ServiceSettings`; nothing else in the product reads the environment.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeVar

from limits import RateLimitItem, parse_many
from pydantic import BeforeValidator, Field, InstanceOf, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.chassis.errors import SettingsError
from services.chassis.http.roles import ANONYMOUS, Role, RouteClass

VERSION = "0.1.0"
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _pairs(value: object) -> object:
    if isinstance(value, str):
        return dict(part.strip().partition("=")[::2] for part in value.split(",") if part.strip())
    return value


def _rate(value: object) -> object:
    """Read one rate; the library takes several at once, of which all but the first would be dropped."""
    try:
        (rate,) = parse_many(str(value))
    except ValueError:
        rate = None
    if rate is None or rate.amount == 0:
        units = "second, minute, hour, day, month or year"
        raise ValueError(f"{value!r} is no rate; write a number above 0, a slash and {units}: 120/minute")
    return rate


def _limited(value: object) -> object:
    """Read what a rate is of: a role or those without one, or of either a class of endpoints."""
    role, dot, route_class = str(value).partition(".")
    try:
        return role if role == ANONYMOUS else Role(role), RouteClass(route_class) if dot else None
    except ValueError:
        roles, classes = ", ".join((*Role, ANONYMOUS)), ", ".join(RouteClass)
        message = f"{value!r} is neither a role nor role.class; the roles are {roles}, the classes {classes}"
        raise ValueError(message) from None


def _rates(value: object) -> object:
    return {} if value == "none" else _pairs(value)


# Those who come from outside; what serves many customers at once, and people at work, are not held to any.
_RATE_LIMITS = "customer=3000/minute,vendor=3000/minute,anonymous=3000/minute"
CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class ServiceSettings(BaseSettings):
    """What every service needs to know. Field names are the environment variables, in upper case."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    version: ClassVar[str] = VERSION

    build_id: str = Field(
        default=VERSION, description="tells one deployed build from another; a new one lifts the breaker"
    )
    database_url: str = Field(description="postgresql+psycopg2://user:password@host:port/database")
    database_pool_size: int = Field(default=10, ge=1, le=200)
    kafka_bootstrap_servers: str = Field(description="host:port, comma separated")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_security_ca_location: str | None = None
    kafka_security_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_security_username: str | None = None
    kafka_security_password: SecretStr | None = None
    kafka_group_protocol: Literal["consumer", "classic"] = "consumer"
    schema_registry_url: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="schema ids come from this registry; unset: from schemas/ids.json. Never changed for a cluster",
    )
    schema_registry_username: str | None = None
    schema_registry_password: SecretStr | None = None
    schema_registry_ca_location: str | None = None

    jwt_secret: SecretStr | None = Field(
        default=None, min_length=32, description="verifies tokens by HS256; this or JWT_JWKS_URL"
    )
    jwt_jwks_url: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="the identity provider's keys: RS256, ES256; this or JWT_SECRET",
    )
    jwt_jwks_fresh_seconds: float = Field(default=300, gt=0, description="keys older than this are fetched anew")
    jwt_jwks_expiry_seconds: float = Field(
        default=86_400, gt=0, description="keys older than this, since the provider is away, open no door"
    )
    jwt_jwks_floor_seconds: float = Field(default=10, ge=0, description="least time between two fetches")
    jwt_issuer: str = Field(min_length=1)
    jwt_audience: str = Field(min_length=1)
    cors_origins: CommaSeparated = ()
    rate_limits: Annotated[
        dict[
            Annotated[InstanceOf[tuple], BeforeValidator(_limited)],  # type: ignore[type-arg]
            Annotated[InstanceOf[RateLimitItem], BeforeValidator(_rate)],
        ],
        NoDecode,
        BeforeValidator(_rates),
    ] = Field(
        default=_RATE_LIMITS,
        validate_default=True,
        description="role=rate or role.class=rate, comma separated (customer=120/minute,customer.write=30/minute; "
        "classes read, write, bulk): what one caller may send; anonymous is one address without a token; a role "
        "without one has no limit, and with none nobody has",
    )
    trusted_proxies: int = Field(
        default=0,
        ge=0,
        le=10,
        description="proxies in front of the API that append to X-Forwarded-For: by so many from its end an address "
        "is told that has no token; 0: by the connection",
    )
    rate_limit_storage_url: SecretStr | None = Field(
        default=None, description="redis://host:port: all API processes count there together; unset: each for itself"
    )

    http_host: str = "127.0.0.1"
    http_port: int = Field(ge=1, le=65535)
    http_workers: int = Field(default=2, ge=1, le=64)
    metrics_port: int = Field(ge=1, le=65535)
    log_level: LogLevel = "INFO"
    log_levels: Annotated[dict[str, LogLevel], NoDecode, BeforeValidator(_pairs)] = Field(default_factory=dict)

    consumer_batch_max: int = Field(default=1000, ge=1, le=10_000)
    batch_window_seconds: float = Field(
        default=0.3, ge=0, le=1, description="how long a busy consumer or relay lets a batch fill, at most"
    )
    relay_batch_max: int = Field(default=2000, ge=1, le=10_000)
    relay_flush_seconds: float = Field(default=10, gt=0, le=60)
    outbox_max_rows: int = Field(default=1_000_000, ge=1)
    max_event_bytes: int = Field(default=900_000, ge=100)
    max_attempts: int = Field(default=10, ge=1, le=100, description="tries of a parked event before it is dead")
    park_backoff_seconds: float = Field(
        default=1, gt=0, le=3600, description="first pause of a parked key, then doubled"
    )
    park_backoff_max_seconds: float = Field(default=300, gt=0, le=86_400)
    park_breaker_keys: int = Field(default=20, ge=1)
    park_breaker_seconds: int = Field(default=60, ge=1)
    inbox_retention_days: float = Field(default=17, gt=0)
    inbox_retention_check: Literal["refuse", "warn"] = "refuse"
    dead_retention_days: float = Field(default=30, gt=0)
    statement_timeout_seconds: float = Field(
        default=30, ge=1, description="after it PostgreSQL cancels a statement; audits and migrations take their time"
    )
    max_streams: int = Field(default=500, ge=0, description="Server-Sent Events open at once in one API process")
    idempotency_retention_hours: float = Field(default=24, gt=0)
    deadline_poll_seconds: float = Field(default=1, gt=0, le=60)
    deadline_away_seconds: float = Field(
        default=5, gt=0, description="a silence longer than this counts as having been away"
    )
    deadline_grace_max_seconds: float = Field(
        default=60, gt=0, description="most that a deadline waits after an absence"
    )

    @field_validator("database_url")
    @classmethod
    def _driver_is_psycopg2(cls, value: str) -> str:
        if not value.startswith("postgresql+psycopg2://"):
            raise ValueError("must start with postgresql+psycopg2:// (a bare postgresql:// picks another driver)")
        return value

    @field_validator("jwt_jwks_url")
    @classmethod
    def _tokens_have_one_kind_of_key(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "jwt_secret" in info.data and (info.data["jwt_secret"] is None) == (value is None):
            found = "neither is set" if value is None else "both are set"
            raise ValueError(f"set exactly one of JWT_SECRET (HS256) and JWT_JWKS_URL (RS256, ES256); {found}")
        return value

    @field_validator("jwt_jwks_expiry_seconds")
    @classmethod
    def _keys_are_fetched_before_they_expire(cls, value: float, info: ValidationInfo) -> float:
        fresh = info.data.get("jwt_jwks_fresh_seconds", 0)
        if value < fresh:
            raise ValueError(f"must be JWT_JWKS_FRESH_SECONDS ({fresh:g}) at least: nothing is fetched before that")
        return value

    @field_validator("jwt_jwks_floor_seconds")
    @classmethod
    def _keys_may_be_fetched_before_they_expire(cls, value: float, info: ValidationInfo) -> float:
        expiry = info.data.get("jwt_jwks_expiry_seconds", value)
        if value > expiry:
            raise ValueError(f"must be JWT_JWKS_EXPIRY_SECONDS ({expiry:g}) at most: nothing is fetched until then")
        return value

    @field_validator("schema_registry_password")
    @classmethod
    def _registry_credentials_are_whole(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if (info.data.get("schema_registry_username") is None) != (value is None):
            raise ValueError("set both of SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD, or neither")
        return value

    def schema_registry_client(self) -> dict[str, str] | None:
        """Return the settings of a registry's client by Confluent's names, None where there is no registry."""
        if self.schema_registry_url is None:
            return None
        client = {"url": self.schema_registry_url}
        if self.schema_registry_password is not None:
            secret = self.schema_registry_password.get_secret_value()
            client["basic.auth.user.info"] = f"{self.schema_registry_username}:{secret}"
        if self.schema_registry_ca_location is not None:
            client["ssl.ca.location"] = self.schema_registry_ca_location
        return client

    def kafka_client(self) -> dict[str, str | int | float | bool]:
        """Return the librdkafka settings that every client of this service shares."""
        client: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.kafka_bootstrap_servers,
            "security.protocol": self.kafka_security_protocol,
            "reconnect.backoff.max.ms": 1000,
            "socket.keepalive.enable": True,
        }
        password = self.kafka_security_password
        optional = {
            "ssl.ca.location": self.kafka_security_ca_location,
            "sasl.mechanism": self.kafka_security_sasl_mechanism,
            "sasl.username": self.kafka_security_username,
            "sasl.password": None if password is None else password.get_secret_value(),
        }
        return client | {name: value for name, value in optional.items() if value is not None}


S = TypeVar("S", bound=ServiceSettings)


def load_settings(settings: type[S], overrides: Mapping[str, object] | None = None) -> S:
    """Read `settings` from the environment (and `.env`).

    Args:
        settings: the service's settings class.
        overrides: values that win over the environment.

    Raises:
        SettingsError: with one line for each setting that is missing or wrong.

    """
    try:
        return settings(**dict(overrides or {}))  # type: ignore[arg-type]  # pydantic-settings validates them
    except ValidationError as error:
        lines = [f"  {_name(row['loc'])}: {row['msg']}" for row in error.errors(include_url=False)]
        raise SettingsError("these settings are missing or wrong:\n" + "\n".join(lines)) from error


def _name(location: tuple[int | str, ...]) -> str:
    head, *rest = location
    return str(head).upper() + "".join(f"[{part}]" for part in rest if part != "[key]")

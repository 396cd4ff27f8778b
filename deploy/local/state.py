"""What is running where: the content of `.local/stack.json`, which everybody who uses the stack reads."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from deploy.local.errors import StackStateError
from deploy.local.files import write_privately

SERVICES = ("order", "inventory", "notification")
FILE = "stack.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAddress:
    """A service's API (`url`, its metrics below it), its worker's metrics, and its database, password included."""

    url: str
    metrics_url: str
    database_url: str

    @property
    def http_port(self) -> int:
        """Return the port of the API."""
        return _port(self.url)

    @property
    def metrics_port(self) -> int:
        """Return the port of the worker."""
        return _port(self.metrics_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """How tokens are signed and what they must say."""

    secret: str
    algorithm: str = "HS256"
    issuer: str = "order-management-local"
    audience: str = "order-management"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSink:
    """Where mails are sent to, and where they end up: in a directory, or (`url`) in Mailpit."""

    smtp_url: str
    directory: str | None = None
    url: str | None = None

    @property
    def place(self) -> str:
        """Return where somebody looks for them."""
        return self.directory or self.url or self.smtp_url


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """Every address and secret of a running stack; `processes` are process ids by name."""

    services: Mapping[str, ServiceAddress]
    bootstrap_servers: str
    schema_registry_url: str
    postgres_url: str
    mail: MailSink
    jwt: TokenSettings
    processes: Mapping[str, int] = field(default_factory=dict)

    def save(self, directory: Path) -> None:
        """Write the state into the stack's directory in one step, for its owner's eyes only."""
        content = {
            **{name: asdict(address) for name, address in self.services.items()},
            "kafka": {"bootstrap_servers": self.bootstrap_servers},
            "schema_registry": {"url": self.schema_registry_url},
            "postgres": {"admin_url": self.postgres_url},
            "mail": asdict(self.mail),
            "jwt": asdict(self.jwt),
            "processes": dict(self.processes),
        }
        write_privately(directory / FILE, content)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read the state of the stack in this directory; raise StackStateError when none is there."""
        file = directory / FILE
        if not file.exists():
            raise StackStateError(f"nothing is running in {directory}: `make up` starts the stack")
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return cls(
            services={name: ServiceAddress(**content[name]) for name in SERVICES},
            bootstrap_servers=content["kafka"]["bootstrap_servers"],
            schema_registry_url=content["schema_registry"]["url"],
            postgres_url=content["postgres"]["admin_url"],
            mail=MailSink(**content["mail"]),
            jwt=TokenSettings(**content["jwt"]),
            processes=content["processes"],
        )


def service_environment(state: StackState, service: str) -> dict[str, str]:
    """Return the environment variables that connect a service's processes to this stack."""
    address = state.services[service]
    return {
        "DATABASE_URL": address.database_url,
        "KAFKA_BOOTSTRAP_SERVERS": state.bootstrap_servers,
        "JWT_SECRET": state.jwt.secret,
        "JWT_ISSUER": state.jwt.issuer,
        "JWT_AUDIENCE": state.jwt.audience,
        "HTTP_HOST": urlsplit(address.url).hostname or "",
        "HTTP_PORT": str(address.http_port),
        "METRICS_PORT": str(address.metrics_port),
        "SMTP_URL": state.mail.smtp_url,
    }


def _port(url: str) -> int:
    port = urlsplit(url).port
    if port is None:
        raise ValueError(f"{url} names no port")
    return port

"""Docker Compose, told what it needs: secrets made once, settings of the story, and afterwards what runs where.

Below `.local/`: `compose.env` holds the secrets, for its owner's eyes only; `compose/stack.json` is what `make up`
writes for its stack, so that whatever knows that file (the demo, `token`, `env`, `run`) works on containers too;
`compose/<service>.env` are the settings of the demo's shop, while they are wanted.
"""

import json
import os
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from deploy.local.databases import SUPERUSER, Database
from deploy.local.errors import StackError
from deploy.local.files import write_text_privately
from deploy.local.ports import LOOPBACK
from deploy.local.services import ROOT
from deploy.local.state import FILE, SERVICES, MailSink, ServiceAddress, StackState, TokenSettings

DIRECTORY = ROOT / ".local" / "compose"
SECRETS = ROOT / ".local" / "compose.env"
_SETTINGS = ROOT / ".env"
SECRET_NAMES = ("POSTGRES_PASSWORD", "ORDER_PASSWORD", "INVENTORY_PASSWORD", "NOTIFICATION_PASSWORD", "JWT_SECRET")
# Whose tokens are taken: what `.env` says of it, not somebody's shell.
_TOKEN_NAMES = ("JWT_SECRET", "JWT_JWKS_URL", "JWT_ISSUER", "JWT_AUDIENCE")
_HEALTHY_SECONDS = 240
_BUILT = "topics"


@dataclass(frozen=True, slots=True)
class Published:
    """The ports on this machine, by service and the port in its container."""

    ports: Mapping[tuple[str, int], int]

    def url(self, service: str, port: int, scheme: str = "http") -> str:
        """Return the address of a container's port as one reaches it from here."""
        return f"{scheme}://{self.address(service, port)}"

    def address(self, service: str, port: int) -> str:
        """Return the same without a scheme."""
        return f"{LOOPBACK}:{self.ports[service, port]}"


class Compose:
    """The containers of this checkout."""

    def build(self) -> None:
        """Build the image that all of ours share; what it prints goes where our own errors go."""
        self._run("build", _BUILT)

    def up(self, settings: Mapping[str, Mapping[str, str]] | None = None) -> StackState:
        """Start what does not run as it should, wait until all of it is healthy, and write the state.

        `settings` are environment variables by service, kept until `down`; None leaves them as they are. Raises
        StackError where something does not start, or has two kinds of keys for tokens.
        """
        if {"JWT_SECRET", "JWT_JWKS_URL"} <= set(_token_settings()):
            raise StackError("JWT_SECRET and JWT_JWKS_URL are both set in .env: leave one of them empty")
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        for service, variables in (settings or {}).items():
            write_text_privately(_settings_file(service), _env_file(variables))
        self._run("up", "--detach", "--wait", "--wait-timeout", str(_HEALTHY_SECONDS), "--remove-orphans")
        state = self.state()
        state.save(DIRECTORY)
        return state

    def down(self, *, keep_data: bool = False) -> None:
        """Remove containers and networks; data and secrets go too unless they are to be kept."""
        self._run("down", "--remove-orphans", *([] if keep_data else ["--volumes"]))
        for file in (DIRECTORY / FILE, *(_settings_file(service) for service in SERVICES)):
            file.unlink(missing_ok=True)
        if not keep_data:
            SECRETS.unlink(missing_ok=True)

    def is_running(self) -> bool:
        """Tell whether somebody could be served: whether the order service's API can be reached."""
        return ("order-api", 8001) in self._published().ports

    def state(self) -> StackState:
        """Return where the running containers are reached from this machine, and by whom."""
        published = self._published()
        return StackState(
            services={service: self._address(service, published) for service in SERVICES},
            bootstrap_servers=published.address("kafka", 9092),
            schema_registry_url=_outside_registry() or published.url("schema-registry", 8081),
            postgres_url=self._database("postgres", SUPERUSER, "POSTGRES_PASSWORD", published).url,
            mail=MailSink(url=published.url("mailpit", 8025), smtp_url=published.url("mailpit", 1025, "smtp")),
            jwt=self._tokens(),
        )

    def _tokens(self) -> TokenSettings:
        """Return how tokens are signed; without a secret where that is the identity provider's business."""
        default, chosen = TokenSettings(secret=self._secrets["JWT_SECRET"]), _token_settings()
        issuer, audience = chosen.get("JWT_ISSUER", default.issuer), chosen.get("JWT_AUDIENCE", default.audience)
        return replace(default, issuer=issuer, audience=audience)

    @cached_property
    def _secrets(self) -> Mapping[str, str]:
        """Return the secrets, made up the first time: PostgreSQL's volume remembers them as long as it lives."""
        known = dotenv_values(SECRETS) if SECRETS.exists() else {}
        made = {name: known.get(name) or secrets.token_urlsafe(36) for name in SECRET_NAMES}
        chosen = _token_settings()
        if {"JWT_SECRET", "JWT_JWKS_URL"} & set(chosen):
            # Of tokens it is what `.env` says; none with an identity provider, whose keys verify them.
            made["JWT_SECRET"] = chosen.get("JWT_SECRET", "")
        if made != known:
            SECRETS.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
            write_text_privately(SECRETS, _env_file(made))
        return made

    def _address(self, service: str, published: Published) -> ServiceAddress:
        number = SERVICES.index(service) + 1
        database = self._database(f"oms_{service}", f"oms_{service}", f"{service.upper()}_PASSWORD", published)
        return ServiceAddress(
            url=published.url(f"{service}-api", 8000 + number),
            metrics_url=published.url(f"{service}-worker", 9100 + number) + "/metrics",
            database_url=database.url,
        )

    def _database(self, name: str, user: str, password: str, published: Published) -> Database:
        port = published.ports["postgres", 5432]
        return Database(name=name, user=user, password=self._secrets[password], host=LOOPBACK, port=port)

    def _published(self) -> Published:
        """Ask Docker which port it gave to which; the file may leave it the choice."""
        output = self._run("ps", "--format", "json", capture=True)
        rows: list[dict[str, Any]] = [json.loads(line) for line in output.splitlines() if line]
        return Published(
            {
                (row["Service"], publisher["TargetPort"]): publisher["PublishedPort"]
                for row in rows
                for publisher in row["Publishers"] or ()
                if publisher["PublishedPort"]
            }
        )

    def _run(self, *arguments: str, capture: bool = False) -> str:
        """Run `docker compose`; raise StackError when that fails, what is wrong having been shown."""
        command = ["docker", "compose", *self._env_files(), *arguments]
        # Compose prefers the environment to its files: a JWT_SECRET of somebody's shell must not win over ours.
        environment = {name: value for name, value in os.environ.items() if name not in {*SECRET_NAMES, *_TOKEN_NAMES}}
        try:
            done = subprocess.run(  # noqa: S603 - Docker, with arguments built here
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE if capture else None, text=True, check=False
            )
        except FileNotFoundError as error:
            raise StackError("there is no `docker` here: install Docker 25 or later with Compose 2.24") from error
        if done.returncode != 0:
            raise StackError(f"`docker compose {arguments[0]}` failed with status {done.returncode}; see above")
        return done.stdout or ""

    def _env_files(self) -> Sequence[str]:
        """Return the options that name the files from which docker-compose.yml itself takes values, ours last."""
        files = [file for file in (_SETTINGS, SECRETS) if file == SECRETS or file.exists()]
        return [part for file in files for part in ("--env-file", str(file))] if self._secrets else []


def _token_settings() -> Mapping[str, str]:
    """Return those settings of tokens that `.env` names and does not leave empty."""
    settings = dotenv_values(_SETTINGS)
    return {name: value for name in _TOKEN_NAMES if (value := settings.get(name))}


def _outside_registry() -> str | None:
    """Return the registry that the services were given in `.env`: its ids are on the topics then."""
    return dotenv_values(_SETTINGS).get("SCHEMA_REGISTRY_URL") or None


def _settings_file(service: str) -> Path:
    return DIRECTORY / f"{service}.env"


def _env_file(variables: Mapping[str, str]) -> str:
    """Return the content of an env file; in single quotes Compose takes everything as it stands."""
    if any("'" in value or "\n" in value for value in variables.values()):
        raise ValueError("no quotes and no line breaks: these files have no way to say them")
    return "".join(f"{name}='{value}'\n" for name, value in variables.items())

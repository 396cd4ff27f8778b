"""One stack: its servers, its services and its mail sink, started in order and ended without a trace.

A stack ends with the block of `launch`, unless it is left running. Every process has a name (`postgres`, `kafka`,
`mail`, `schema-registry`, `order-api`, `order-worker` …) under which it can be stopped, killed, frozen and started
again, as the chaos tests do.
"""

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient
from dotenv import dotenv_values

from deploy.kafka import topics
from deploy.local import directory as places
from deploy.local import kafka, postgres
from deploy.local.errors import StackStateError
from deploy.local.kafka import KafkaServer
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.postgres import PostgresServer
from deploy.local.processes import Probe, Processes
from deploy.local.records import Rank
from deploy.local.services import ROOT, ServiceProcess, missing_at, python_command
from deploy.local.signals import ignored
from deploy.local.state import (
    SERVICES,
    MailSink,
    ServiceAddress,
    StackState,
    TokenSettings,
    service_environment,
)

DIRECTORY = ROOT / ".local"
SCHEMA_REGISTRY = "schema-registry"
_READY_SECONDS = 60.0
_MIGRATION_SECONDS = 60.0

# What a service needs here and whoever runs the stack may set otherwise, in the environment or in `.env`.
_DEFAULTS = {"MAIL_FROM": "orders@shop.example", "OPERATOR_EMAIL": "operator@shop.example"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPorts:
    """Ports that somebody asked for; None stands for any free one."""

    order: int | None = None
    inventory: int | None = None
    notification: int | None = None
    kafka: int | None = None
    postgres: int | None = None
    mail: int | None = None
    schema_registry: int | None = None


class Stack:
    """The stack in `directory`, which this process holds; made by `launch`.

    `overrides` are environment variables by service, on top of everything else; `postgres_settings` the same for the
    settings of PostgreSQL.
    """

    def __init__(
        self,
        directory: Path,
        *,
        ports: WantedPorts,
        overrides: Mapping[str, Mapping[str, str]],
        postgres_settings: Mapping[str, str],
    ) -> None:
        take = Ports().take
        self.directory = directory
        self.processes = Processes(directory)
        self.postgres = PostgresServer(
            directory / places.POSTGRES,
            self.processes,
            port=take(ports.postgres),
            password=places.superuser_password(directory),
            settings=postgres_settings,
        )
        self.kafka = KafkaServer(
            directory / places.KAFKA, self.processes, port=take(ports.kafka), controller_port=take()
        )
        self.stays = False
        self._overrides = overrides
        self._take_port = take
        self.mail_port = take(ports.mail)
        self._registry_port = take(ports.schema_registry)
        # With a registry of somebody else the schemas have other ids than in the folder, which must not be served then.
        self._registry_url = _configured().get("SCHEMA_REGISTRY_URL") or None
        self._http_ports = {
            "order": take(ports.order),
            "inventory": take(ports.inventory),
            "notification": take(ports.notification),
        }
        self._metrics_ports = {service: take() for service in SERVICES}
        self._jwt = TokenSettings(secret=secrets.token_urlsafe(48))
        self._databases: dict[str, str] = {}
        self._services: dict[str, ServiceProcess] = {}

    def up(self) -> StackState:
        """Start everything, and return when all of it answers ready and the state is written."""
        self.start_servers()
        self.start_mail()
        self.start_schema_registry()
        self.migrate()
        for service in SERVICES:
            self.start_process(service, "api")
            self.start_process(service, "worker")
        self.await_ready(*self._services, *([] if self._registry_url else [SCHEMA_REGISTRY]))
        self.save_state()
        return self.state

    def leave_running(self) -> None:
        """Let what was started go on without this process; `down` ends it."""
        self.stays = True

    def down(self, *, keep_data: bool = False) -> list[str]:
        """End every process and return the names of those that ran; data goes unless it is to be kept."""
        with ignored():
            ended = self.processes.end_all()
            places.clean(self.directory, keep_data=keep_data)
        return ended

    def start_servers(self) -> None:
        """Start PostgreSQL and Kafka side by side, with a database for each service and the declared topics."""
        pool = ThreadPoolExecutor(2)
        try:
            starts = [pool.submit(self._start_postgres), pool.submit(self._start_kafka)]
            for start in starts:
                start.result()
        except BaseException:
            self.processes.close()  # or the other server's start would be waited for in vain
            raise
        finally:
            pool.shutdown()

    def start_mail(self) -> None:
        """Start the mail sink and wait until it listens."""
        arguments = ("deploy.local.mail", "--directory", str(self.mails), "--port", str(self.mail_port))
        self.processes.start(python_command("mail", arguments, environment={}, rank=Rank.MAIL))
        self.await_ready("mail")

    def start_schema_registry(self) -> None:
        """Start what lends the event schemas to consumers, without waiting for it.

        Where SCHEMA_REGISTRY_URL names a registry, they are registered there instead.
        """
        if self._registry_url:
            self.processes.start(python_command("schemas-register", ("schemas", "register"), environment={}))
            self.processes.await_end("schemas-register", within=_MIGRATION_SECONDS)
            return
        arguments = ("schemas", "serve", "--port", str(self._registry_port))
        self.processes.start(python_command(SCHEMA_REGISTRY, arguments, environment={}))

    def migrate(self) -> None:
        """Bring the databases of all services to their newest schema, side by side."""
        names = {service: f"{service}-migrate" for service in SERVICES}
        for service, name in names.items():
            arguments = (f"services.{service}", "migrate")
            self.processes.start(python_command(name, arguments, environment=self.environment(service)))
        for name in names.values():
            self.processes.await_end(name, within=_MIGRATION_SECONDS)

    def start_process(
        self,
        service: str,
        role: str,
        *arguments: str,
        name: str | None = None,
        module: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Start an `api` or a `worker` without waiting for it, and return its name.

        `order-api` and `order-worker` get the ports in the stack's state, any other name a free one. `module` runs
        in place of `services.<service>`.
        """
        name = name or "-".join([service, role, *(part for part in arguments if not part.startswith("-"))])
        process = ServiceProcess(
            name=name,
            module=module or f"services.{service}",
            role=role,
            arguments=arguments,
            port=self._port_of(name),
            environment={**self.environment(service), **(environment or {})},
        )
        self._services[name] = process
        self.processes.start(process.command())
        return name

    def await_ready(self, *names: str, within: float = _READY_SECONDS) -> None:
        """Wait until these processes are ready; raise ProcessFailedError when one ends or stays silent."""
        self.processes.await_all_ready({name: self._probe(name) for name in names}, within=within)

    def start_again(self, name: str) -> None:
        """Start a process that ended, on the same port and data, and wait until it is ready."""
        self.processes.start_again(name)
        self.await_ready(name)

    def restart(self, name: str) -> int | None:
        """Stop a process and start it again; return the exit status of its former life."""
        status = self.processes.stop(name)
        self.start_again(name)
        return status

    def url(self, name: str) -> str:
        """Return the base address of a service's process."""
        return f"http://{LOOPBACK}:{self._services[name].port}"

    def environment(self, service: str) -> dict[str, str]:
        """Return the environment of a service's processes, which comes on top of this process's own."""
        return {**environment_of(self.state, service), **self._overrides.get(service, {})}

    @property
    def state(self) -> StackState:
        """Return where everything is; raise StackStateError before the servers were started."""
        if not self._databases:
            raise StackStateError("the servers were not started yet")
        return StackState(
            services={service: self._address(service) for service in SERVICES},
            bootstrap_servers=self.kafka.bootstrap_servers,
            schema_registry_url=self._registry_url or f"http://{LOOPBACK}:{self._registry_port}",
            postgres_url=self.postgres.databases.admin.url,
            mail=MailSink(directory=str(self.mails), smtp_url=f"smtp://{LOOPBACK}:{self.mail_port}"),
            jwt=self._jwt,
            processes={name: pid for name, pid in self.processes.pids().items() if pid != os.getpid()},
        )

    def save_state(self) -> None:
        """Write `stack.json`."""
        self.state.save(self.directory)

    @property
    def mails(self) -> Path:
        """Return the directory in which every mail ends up as a file."""
        return self.directory / places.MAIL

    def _start_postgres(self) -> None:
        self.postgres.start()
        for service in SERVICES:
            name = f"oms_{service}"
            self._databases[service] = self.postgres.databases.ensure_database(name, owner=name).url

    def _start_kafka(self) -> None:
        self.kafka.start()
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap_servers})
        topics.create_missing(admin, topics.declared(local=True))

    def _address(self, service: str) -> ServiceAddress:
        return ServiceAddress(
            url=f"http://{LOOPBACK}:{self._http_ports[service]}",
            metrics_url=f"http://{LOOPBACK}:{self._metrics_ports[service]}/metrics",
            database_url=self._databases[service],
        )

    def _port_of(self, name: str) -> int:
        if name in self._services:
            return self._services[name].port
        own = {f"{service}-api": port for service, port in self._http_ports.items()}
        own |= {f"{service}-worker": port for service, port in self._metrics_ports.items()}
        return own.get(name) or self._take_port()

    def _probe(self, name: str) -> Probe:
        if name in self._services:
            return self._services[name].missing
        probes: dict[str, Probe] = {
            postgres.PROCESS: self.postgres.missing,
            kafka.PROCESS: self.kafka.missing,
            "mail": self._mail_missing,
            SCHEMA_REGISTRY: lambda: missing_at(self._registry_port),
        }
        return probes[name]

    def _mail_missing(self) -> str | None:
        try:
            socket.create_connection((LOOPBACK, self.mail_port), timeout=1).close()
        except OSError as error:
            return str(error)
        return None


@contextlib.contextmanager
def launch(
    directory: Path = DIRECTORY,
    *,
    ports: WantedPorts | None = None,
    overrides: Mapping[str, Mapping[str, str]] | None = None,
    postgres_settings: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """Hold a stack in `directory` for the length of the block; it ends with the block unless left running.

    What a crashed launcher left there is ended first. Raises StackStateError when a stack is running there, or
    another process holds it.
    """
    directory = directory.resolve()
    directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    with places.claimed(directory):
        places.prepare(directory)
        stack = Stack(
            directory,
            ports=ports or WantedPorts(),
            overrides=overrides or {},
            postgres_settings=postgres_settings or {},
        )
        try:
            stack.processes.note_launcher()
            yield stack
        finally:
            if stack.stays:
                stack.processes.forget_launcher()
            else:
                stack.down()


def environment_of(state: StackState, service: str) -> dict[str, str]:
    """Return what a service's processes need beside this process' own environment, operators' commands too."""
    return {**_defaults(state, service), **service_environment(state, service)}


def _defaults(state: StackState, service: str) -> dict[str, str]:
    """Return those of the defaults that neither the environment nor `.env` sets."""
    already = _configured()
    # Customers of this stack are on this machine; without an address their mails could not link to the order.
    own = {"PUBLIC_URL": state.services[service].url} if service == "order" else {}
    return {name: value for name, value in (_DEFAULTS | own).items() if name not in already}


def _configured() -> Mapping[str, str | None]:
    """Return what whoever runs the stack set, in `.env` or in the environment."""
    return {**dotenv_values(ROOT / ".env"), **os.environ}

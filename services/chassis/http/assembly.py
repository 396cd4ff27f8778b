"""Puts a service's Flask application together, in the worker process that serves it."""

from typing import TypeVar

from flask import Flask

from services.chassis.collectors import DatabaseCollector
from services.chassis.http.app import create_app
from services.chassis.http.application import Application
from services.chassis.http.auth import TokenVerifier
from services.chassis.http.gathering import until_idle
from services.chassis.http.operations import parked
from services.chassis.http.pacing import Pacer
from services.chassis.http.rate_limits import RateLimits
from services.chassis.http.readiness import ApiReadiness
from services.chassis.http.streams import Streams
from services.chassis.runtime import Runtime
from services.chassis.settings import ServiceSettings
from services.chassis.unit_of_work import UnitOfWork
from services.chassis.waiting import Waiters

S = TypeVar("S", bound=ServiceSettings)
U = TypeVar("U", bound=UnitOfWork)


def assemble(runtime: Runtime[S, U]) -> Flask:
    """Return the Flask application of a service; opens no connection yet."""
    service, settings = runtime.service, runtime.settings
    ApiReadiness(runtime).register()
    tokens, streams = TokenVerifier.from_settings(settings), Streams(settings.max_streams)
    pacer = Pacer(runtime.health)
    application = Application(
        commands=runtime.commands(until_idle),
        queries=runtime.queries,
        health=runtime.health,
        tokens=tokens,
        streams=streams,
        pacer=pacer,
        rate_limits=_rate_limits(settings),
        waiters=_waiters(runtime),
        settings=settings,
        operations=Application(
            commands=runtime.operations(),
            queries=runtime.operator_queries,
            health=runtime.health,
            tokens=tokens,
            streams=streams,
            pacer=pacer,
        ),
    )
    # The outbox's own gauges are the worker's; here only what is this process' own.
    own = DatabaseCollector(runtime.engine, [], service.name, settings)
    return create_app(
        application,
        service=service.name,
        version=settings.version,
        apis=[*service.blueprints, parked],
        problems=service.problems,
        cors_origins=settings.cors_origins,
        collectors=[own],
    )


def _rate_limits(settings: ServiceSettings) -> RateLimits | None:
    if not settings.rate_limits:
        return None
    storage = settings.rate_limit_storage_url
    return RateLimits(
        settings.rate_limits,
        None if storage is None else storage.get_secret_value(),
        settings.trusted_proxies,
    )


def _waiters(runtime: Runtime[S, U]) -> Waiters[U] | None:
    look = runtime.service.seen
    if look is None:
        return None
    return Waiters(engine=runtime.engine, queries=runtime.queries, look=look, health=runtime.health)

"""Builds a service's Flask application: its endpoints, and what every service has beside them.

Importing this has no effect beyond that of Flask; whatever an application needs is handed to `create_app`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, jsonify, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.info import Info
from flask_openapi.models.security_scheme import SecurityScheme
from flask_openapi.openapi import OpenAPI
from prometheus_client.registry import Collector

from services.chassis.health import Health, HealthAnswer
from services.chassis.http import context, cors, docs
from services.chassis.http.application import EXTENSION, Application
from services.chassis.http.documents import Problem
from services.chassis.http.endpoint import Api
from services.chassis.http.exposition import exposition
from services.chassis.http.problems import CODES, Catalogue, ProblemAnswers
from services.chassis.line_log import LineLog

_BEARER: dict[str, SecurityScheme | dict[str, Any]] = {
    "bearer": SecurityScheme(type="http", scheme="bearer", bearerFormat="JWT")
}


def create_app(
    application: Application[Any],
    *,
    service: str,
    version: str,
    apis: Sequence[Api],
    problems: Catalogue | None = None,
    cors_origins: Collection[str] = (),
    collectors: Sequence[Collector] = (),
) -> Flask:
    """Return the Flask application of a service.

    Args:
        application: what the endpoints run with.
        service: its name, in the document and in the log.
        version: its version, the same.
        apis: the endpoints.
        problems: the codes that only this service knows.
        cors_origins: origins whose pages may call the API.
        collectors: metrics that are asked for at each scrape.

    """
    title = f"{service.capitalize()} API"
    app = OpenAPI(
        service,
        info=Info(title=title, version=version),
        security_schemes=_BEARER,
        # The document gets our error model; our endpoints declare their 400s themselves.
        validation_error_status=400,
        validation_error_model=Problem,
        doc_ui=False,
        static_folder=None,
    )
    app.openapi_version = "3.1.1"
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.extensions[EXTENSION] = application
    name = "services.chassis.http.access_log"
    context.install(app, LineLog(name, event="request_handled", service=service, version=version))
    cors.install(app, cors_origins)
    ProblemAnswers({**CODES, **(problems or {})}).register(app)
    _Probes(application.health, collectors).register(app)
    docs.install(app, title)
    for api in apis:
        _register(app, api.blueprint)
    return app


def _register(app: OpenAPI, blueprint: APIBlueprint) -> None:
    """Add a blueprint; flask-openapi would drop the documents of an earlier one's calls under the same path."""
    earlier = {path: app.paths[path] for path in blueprint.paths if path in app.paths}
    app.register_api(blueprint)
    for path, item in earlier.items():
        told = {method: getattr(item, method) for method in item.model_fields_set}
        app.paths[path] = app.paths[path].model_copy(update=told)


@dataclass(frozen=True, slots=True)
class _Probes:
    """The routes for those who watch the process; no token, no personal data."""

    health: Health
    collectors: Sequence[Collector]

    def register(self, app: Flask) -> None:
        app.add_url_rule("/livez", "livez", self.livez)
        app.add_url_rule("/readyz", "readyz", self.readyz)
        app.add_url_rule("/metrics", "metrics", self.metrics)

    def livez(self) -> tuple[Response, int]:
        return _answered(self.health.livez())

    def readyz(self) -> tuple[Response, int]:
        return _answered(self.health.readyz())

    def metrics(self) -> Response:
        body, content_type = exposition(request.headers.get("Accept", ""), self.collectors)
        return Response(body, content_type=content_type)


def _answered(answer: HealthAnswer) -> tuple[Response, int]:
    return jsonify(answer.body), answer.status

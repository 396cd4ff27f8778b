"""The API's own documents: `/openapi.json`, and Swagger UI at `/docs` with all assets from a package."""

import json
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from flask import Blueprint, Response, send_from_directory, url_for
from flask_openapi.openapi import OpenAPI

from services.chassis.http.links import with_links

_ASSETS = Path(str(files("flask_openapi_swagger"))) / "templates" / "swagger"
_POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="{assets}images/swagger.svg">
<link rel="stylesheet" href="{assets}css/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{assets}js/swagger-ui-bundle.js"></script>
<script src="{start}"></script>
</body>
</html>
"""
# In a file of its own, so that the content security policy needs no exception for inline scripts.
_START = """SwaggerUIBundle({{url: "{document}", dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true,
  persistAuthorization: false, validatorUrl: null}});
"""


def install(app: OpenAPI, title: str) -> None:
    """Serve the documents of `app`."""
    pages = _Pages(app, title)
    blueprint = Blueprint("documents", __name__)
    blueprint.add_url_rule("/openapi.json", "document", pages.document)
    blueprint.add_url_rule("/docs", "page", pages.page)
    blueprint.add_url_rule("/docs/start.js", "start", pages.start)
    blueprint.add_url_rule("/docs/assets/<path:name>", "asset", pages.asset)
    app.register_blueprint(blueprint)


class _Pages:
    """The views."""

    def __init__(self, app: OpenAPI, title: str) -> None:
        self._app = app
        self._title = title

    def document(self) -> Response:
        """Answer with the OpenAPI document."""
        return Response(self._document, mimetype="application/json")

    def page(self) -> Response:
        """Answer with the page that shows it."""
        assets = url_for("documents.asset", name="")
        page = _PAGE.format(title=self._title, assets=assets, start=url_for("documents.start"))
        return Response(page, mimetype="text/html", headers={"Content-Security-Policy": _POLICY})

    def start(self) -> Response:
        """Answer with the script that points Swagger UI at our document."""
        return Response(_START.format(document=url_for("documents.document")), mimetype="text/javascript")

    def asset(self, name: str) -> Response:
        """Answer with a file of Swagger UI."""
        return send_from_directory(_ASSETS, name, max_age=3600)

    @cached_property
    def _document(self) -> str:
        # Written once: it takes 14 ms and more, in which every other request waits, and anybody may ask for it.
        return json.dumps(with_links(self._app.api_doc), sort_keys=True)

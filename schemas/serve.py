"""`python -m schemas serve`: the read half of Confluent's Schema Registry API, answered from the folder.

For those who have no registry: any Confluent client decodes our topics with it. Nothing can be written; the folder is
read once, at the start. Paths, answers and error codes are those of Confluent's API reference (version 1).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flask import Flask, Response, request
from gunicorn.app.base import BaseApplication
from werkzeug.exceptions import HTTPException

from schemas.subjects import COMPATIBILITY, SubjectVersion, fingerprint_of

MIME: Final = "application/vnd.schemaregistry.v1+json"
READ_ONLY: Final = (
    "this registry serves a folder and is read-only: schemas come from files; "
    "`make schemas-register` registers them in a registry that takes writes"
)
_THREADS = 8
_GRACEFUL_SECONDS = 5
_MAX_BODY = 1 << 20
_HIGHEST_VERSION = 2**31 - 1


class RegistryError(Exception):
    """A refusal with Confluent's error code, whose first three digits are the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Subjects:
    """Finds versions by subject, by id and by schema; each method raises RegistryError for what is not there."""

    def __init__(self, versions: Iterable[SubjectVersion]) -> None:
        self._of: dict[str, dict[int, SubjectVersion]] = {}
        self._by_id: dict[int, SubjectVersion] = {}
        for found in versions:
            self._of.setdefault(found.subject, {})[found.version] = found
            self._by_id[found.id] = found

    def names(self, prefix: str) -> list[str]:
        """Return the subjects whose names begin with `prefix`."""
        return sorted(name for name in self._of if name.startswith(prefix))

    def versions(self, subject: str) -> list[SubjectVersion]:
        """Return a subject's versions, oldest first."""
        if subject not in self._of:
            raise RegistryError(40401, f"Subject '{subject}' not found.")
        return [self._of[subject][number] for number in sorted(self._of[subject])]

    def version(self, subject: str, wanted: str) -> SubjectVersion:
        """Return one version; `latest` and -1 are the newest."""
        versions = self.versions(subject)
        if wanted in ("latest", "-1"):
            return versions[-1]
        if not (wanted.isascii() and wanted.isdecimal() and 0 < int(wanted[:20]) <= _HIGHEST_VERSION):
            raise RegistryError(
                42202,
                f"The specified version '{wanted}' is not a valid version id. "
                'Allowed values are between [1, 2^31-1] and the string "latest"',
            )
        if int(wanted) not in self._of[subject]:
            raise RegistryError(40402, f"Version {wanted} not found.")
        return self._of[subject][int(wanted)]

    def by_id(self, schema_id: int) -> SubjectVersion:
        """Return the version with this id."""
        if schema_id not in self._by_id:
            raise RegistryError(40403, f"Schema {schema_id} not found")
        return self._by_id[schema_id]

    def holding(self, subject: str, text: str) -> SubjectVersion | None:
        """Return the subject's version that is this schema, None where it has no such version."""
        try:
            sha256 = fingerprint_of(text)
        except (ValueError, RecursionError) as error:
            raise RegistryError(42201, f"Invalid schema: {error}") from error
        return next((found for found in reversed(self.versions(subject)) if found.sha256 == sha256), None)


def create_app(versions: Iterable[SubjectVersion]) -> Flask:
    """Return the registry as a Flask application."""
    app = Flask("schemas.serve")
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    app.url_map.strict_slashes = False
    subjects = Subjects(versions)
    _subject_routes(app, subjects)
    _id_routes(app, subjects)
    _setting_routes(app, subjects)
    app.register_error_handler(RegistryError, lambda error: _refused(error.code // 100, error.code, str(error)))
    app.register_error_handler(HTTPException, _http_refused)
    return app


def _subject_routes(app: Flask, subjects: Subjects) -> None:
    one = "/subjects/<subject>/versions/<version>"
    app.add_url_rule("/subjects", "subjects", lambda: _answer(subjects.names(_prefix())))
    app.add_url_rule("/subjects/<subject>", "look_up", lambda subject: _look_up(subjects, subject), methods=["POST"])
    app.add_url_rule(
        "/subjects/<subject>/versions",
        "versions",
        lambda subject: _answer([found.version for found in subjects.versions(subject)]),
    )
    app.add_url_rule(
        "/subjects/<subject>/versions", "register", lambda subject: _register(subjects, subject), methods=["POST"]
    )
    app.add_url_rule(one, "version", lambda subject, version: _answer(_shown(subjects.version(subject, version))))
    app.add_url_rule(f"{one}/schema", "text", lambda subject, version: _raw(subjects.version(subject, version)))
    app.add_url_rule(f"{one}/referencedby", "users", lambda subject, version: _users(subjects, subject, version))
    for place in ("/subjects/<subject>", one):
        app.add_url_rule(place, f"delete {place}", _read_only, methods=["DELETE"])


def _id_routes(app: Flask, subjects: Subjects) -> None:
    one = "/schemas/ids/<int:number>"
    app.add_url_rule("/schemas", "schemas", lambda: _answer(_listed(subjects)))
    app.add_url_rule(one, "by_id", lambda number: _answer({"schema": subjects.by_id(number).text}))
    app.add_url_rule(f"{one}/schema", "text_by_id", lambda number: _raw(subjects.by_id(number)))
    app.add_url_rule(f"{one}/subjects", "subjects_by_id", lambda number: _answer([subjects.by_id(number).subject]))
    app.add_url_rule(f"{one}/versions", "versions_by_id", lambda number: _answer([_place(subjects.by_id(number))]))
    app.add_url_rule("/schemas/types", "types", lambda: _answer(["AVRO"]))


def _setting_routes(app: Flask, subjects: Subjects) -> None:
    """Every subject has the one setting of all."""
    app.add_url_rule("/", "root", lambda: _answer({}))
    for probe in ("livez", "readyz"):  # it needs nothing that could be missing later
        app.add_url_rule(f"/{probe}", probe, lambda: _answer({"status": "ok"}))
    app.add_url_rule("/contexts", "contexts", lambda: _answer(["."]))
    for name, content in (("config", {"compatibilityLevel": COMPATIBILITY}), ("mode", {"mode": "READONLY"})):
        place = f"/{name}/<subject>"
        app.add_url_rule(f"/{name}", name, lambda content=content: _answer(content))
        app.add_url_rule(
            place, f"{name} of subject", lambda subject, content=content: _if_known(subjects, subject, content)
        )
        for written in (f"/{name}", place):
            app.add_url_rule(written, f"write {written}", _read_only, methods=["PUT", "DELETE"])


def _if_known(subjects: Subjects, subject: str, content: Mapping[str, str]) -> Response:
    subjects.versions(subject)
    return _answer(content)


def _users(subjects: Subjects, subject: str, version: str) -> Response:
    """No schema of ours refers to another subject's."""
    subjects.version(subject, version)
    return _answer([])


def _look_up(subjects: Subjects, subject: str) -> Response:
    found = subjects.holding(subject, _asked())
    if found is None:
        raise RegistryError(40403, "Schema not found")
    return _answer(_shown(found))


def _register(subjects: Subjects, subject: str) -> Response:
    """Answer as a registry in the mode READONLY: what is there already is as good as registered."""
    text = _asked()
    found = subjects.holding(subject, text) if subject in subjects.names("") else None
    return _read_only() if found is None else _answer({"id": found.id})


def _read_only(**_place: object) -> Response:
    raise RegistryError(42205, READ_ONLY)


def _asked() -> str:
    """Return the schema in the request's body."""
    body: Any = request.get_json(force=True, silent=True)
    text = body.get("schema") if isinstance(body, dict) else None
    if not isinstance(text, str):
        raise RegistryError(42201, 'the body is {"schema": "<a schema as text>"}')
    if body.get("schemaType", "AVRO") != "AVRO":
        raise RegistryError(42201, "schemas are AVRO here")
    return text


def _listed(subjects: Subjects) -> list[dict[str, object]]:
    newest = request.args.get("latestOnly") == "true"
    return [
        _shown(found) for name in subjects.names(_prefix()) for found in subjects.versions(name)[-1 if newest else 0 :]
    ]


def _prefix() -> str:
    # Confluent's clients ask for the subjects of all contexts so; here is but the default one.
    return request.args.get("subjectPrefix", "").removeprefix(":*:")


def _place(found: SubjectVersion) -> dict[str, object]:
    return {"subject": found.subject, "version": found.version}


def _shown(found: SubjectVersion) -> dict[str, object]:
    return {**_place(found), "id": found.id, "schema": found.text}


def _answer(content: object, status: int = 200) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, mimetype=MIME)


def _raw(found: SubjectVersion) -> Response:
    return Response(found.text, mimetype=MIME)


def _refused(status: int, code: int, message: str) -> Response:
    return _answer({"error_code": code, "message": message}, status)


def _http_refused(error: HTTPException) -> Response:
    status = error.code or 500
    answer = _refused(status, status, f"HTTP {status} {error.name}")
    if status == 405 and isinstance(allowed := getattr(error, "valid_methods", None), list):
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no type information
    """gunicorn, told by us instead of by its command line."""

    def __init__(self, app: Flask, options: Mapping[str, object]) -> None:
        self._app = app
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._app


def serve(versions: Iterable[SubjectVersion], host: str, port: int) -> None:
    """Serve the registry until SIGTERM; then the process ends with 0."""
    options = {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "workers": 1,
        "worker_class": "gthread",
        "threads": _THREADS,
        "graceful_timeout": _GRACEFUL_SECONDS,
        "control_socket_disable": True,
        "proc_name": "schema-registry",
    }
    _Server(create_app(versions), options).run()

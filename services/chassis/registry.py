"""Schema ids from a Confluent Schema Registry (EVENTS 3), asked by Confluent's own client.

Invariant: nothing is ever registered from here, and no event is written under an id that was not known at the start. So
a registry that is away stops no writer; a reader needs it only for an id that it has not met yet.
"""

import functools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import fastavro

from services.chassis import logs
from services.chassis.avro import FolderSchemas, Parsed, SchemaSource, WriterSchema, contract_versions, stripped
from services.chassis.errors import RegistryUnavailable, SchemaMismatch, SettingsError

# Settings of Confluent's client, by its names.
Access = Mapping[str, str]
_REQUEST = {"timeout": 3, "max.retries": 1, "retries.wait.ms": 200, "retries.max.wait.ms": 200}
_SUBJECT_UNKNOWN, _SCHEMA_UNKNOWN = 40401, 40403
# How long an id stays unknown that the registry did not have: a follower of the registry may just be behind.
_UNKNOWN_SECONDS = 10.0
_UNKNOWN_MAX = 1000
T = TypeVar("T")
log = logs.logger(__name__)


def schemas_of(folder: Path, access: Access | None) -> SchemaSource:
    """Return where ids come from: the registry, or without one the folder.

    A process and those that it forks share what was learned from a registry, so that an API's worker that starts later
    needs it no more than one that started at first.
    """
    return FolderSchemas(folder) if access is None else _shared(folder, tuple(sorted(access.items())))


@functools.cache
def _shared(folder: Path, access: tuple[tuple[str, str], ...]) -> "RegistrySchemas":
    return RegistrySchemas(folder, dict(access))


class RegistrySchemas:
    """Schemas of the contract's folder under the ids that a registry gave them, and whatever else is registered there.

    Args:
        folder: the contract's folder.
        access: the registry's address and our credentials.
        clock: seconds, monotonic.

    """

    mode = "registry"

    def __init__(self, folder: Path, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self._newest = {found.fullname: found for found in contract_versions(folder)}
        self._access = access
        self._clock = clock
        self._lock = threading.Lock()
        self._current: dict[str, WriterSchema] = {}
        self._by_id: dict[int, WriterSchema] = {}
        self._unknown: dict[int, float] = {}

    def prepare(self) -> None:
        """Look up the ids of the schemas under which this build writes, unless they are known.

        Raises:
            RegistryUnavailable: not now.
            SchemaMismatch: a schema is not registered.
            SettingsError: the registry lets us not in.

        """
        with self._lock:
            if not self._current:
                found = self._look_up()
                self._by_id |= {writer.id: writer for writer in found.values()}
                self._current = found

    def current(self, fullname: str) -> WriterSchema:
        """Return the newest version of `fullname` with its id; raises as `prepare` does until that has succeeded."""
        if not self._current:
            self.prepare()
        try:
            return self._current[fullname]
        except KeyError:
            raise SchemaMismatch(f"no schema {fullname} in the contract; it has {sorted(self._current)}") from None

    def by_id(self, schema_id: int) -> WriterSchema | None:
        """Return the schema with that id, fetched at its first use; None where the registry has none of ours.

        Raises:
            RegistryUnavailable: it cannot be told now.

        """
        known = self._by_id.get(schema_id)
        if known is not None or self._is_unknown(schema_id):
            return known
        found = self._fetch(schema_id)
        if found is None:
            if len(self._unknown) >= _UNKNOWN_MAX:  # a stranger may invent ids without end
                self._unknown.clear()
            self._unknown[schema_id] = self._clock()
        else:
            self._by_id[schema_id] = found
        return found

    def _is_unknown(self, schema_id: int) -> bool:
        since = self._unknown.get(schema_id)
        return since is not None and self._clock() - since < _UNKNOWN_SECONDS

    def _look_up(self) -> dict[str, WriterSchema]:
        found, missing = {}, []
        with self._client() as client:
            for version in self._newest.values():
                schema_id = _id_of(client, version.subject, version.text)
                if schema_id is None:
                    missing.append(version.subject)
                else:
                    found[version.fullname] = WriterSchema(schema_id, version.fullname, version.schema)
        if missing:
            raise SchemaMismatch(
                f"the schema registry lacks {', '.join(missing)} as in this build; "
                "register them first: make schemas-register"
            )
        return found

    def _fetch(self, schema_id: int) -> WriterSchema | None:
        """Ask for one schema; a client for each is cheap, for each id is met once, and may not outlive a fork."""
        with self._client() as client:
            text = _text_of(client, schema_id)
        if text is None:
            return None
        try:
            schema: Any = fastavro.parse_schema(stripped(json.loads(text)))
            return WriterSchema(schema_id, _fullname_of(schema), schema)
        except (fastavro.schema.SchemaParseException, ValueError, TypeError, KeyError, RecursionError) as error:
            log.warning("foreign_schema_unusable", schema_id=schema_id, error=type(error).__name__)
            return None

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """Lend a client, and translate what goes wrong."""
        # Only here: without a registry none of it is loaded.
        import httpx2  # noqa: PLC0415
        from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: PLC0415
        from confluent_kafka.schema_registry.error import SchemaRegistryError  # noqa: PLC0415

        try:
            client = SchemaRegistryClient({**_REQUEST, **self._access})
        except (OSError, ValueError) as error:
            raise SettingsError(f"SCHEMA_REGISTRY_…: {error}") from error
        try:
            with client:
                yield client
        except SchemaRegistryError as error:
            what = f"the schema registry answers {error.http_status_code}: {error.error_message}"
            if error.http_status_code in (401, 403) and not self._current:
                raise SettingsError(f"{what} (SCHEMA_REGISTRY_USERNAME, SCHEMA_REGISTRY_PASSWORD)") from error
            raise RegistryUnavailable(what) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, KeyError, TypeError) as error:
            raise RegistryUnavailable(f"the schema registry: {type(error).__name__}: {error}") from error


def _id_of(client: Any, subject: str, text: str) -> int | None:
    """Return the id of a schema under a subject, None where it is not registered there."""
    from confluent_kafka.schema_registry import Schema  # noqa: PLC0415

    return _unless_missing(lambda: int(client.lookup_schema(subject, Schema(text, "AVRO")).schema_id))


def _text_of(client: Any, schema_id: int) -> str | None:
    return _unless_missing(lambda: str(client.get_schema(schema_id).schema_str))


def _unless_missing(ask: Callable[[], T]) -> T | None:
    """Return an answer, None where the registry says that there is none: a proxy's own 404 does not say that."""
    from confluent_kafka.schema_registry.error import SchemaRegistryError  # noqa: PLC0415

    try:
        return ask()
    except SchemaRegistryError as error:
        if error.error_code in (_SUBJECT_UNKNOWN, _SCHEMA_UNKNOWN):
            return None
        raise


def _fullname_of(schema: Parsed) -> str:
    """Return the name of a record; raise ValueError for a schema that no event can have."""
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise ValueError("no record")
    return str(schema["name"])

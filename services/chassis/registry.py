"""Schema ids from a Confluent Schema Registry, asked by Confluent's own client.

Invariant: nothing is ever registered from here, and no event is written under an id that was not known at the start. So
a registry that is away stops no writer; a reader needs it only for an id that it has not met yet. It waits while the
registry is away or does not let us in; what the registry itself refuses for good is the record's fault.
"""

import functools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import fastavro

from services.chassis import logs
from services.chassis.avro import (
    FolderSchemas,
    Parsed,
    SchemaSource,
    WriterSchema,
    contract_versions,
    stripped,
    unregistered,
)
from services.chassis.errors import (
    RegistryAccessDenied,
    RegistryUnavailable,
    SchemaMismatch,
    SettingsError,
    UndecodableEvent,
)

# Settings of Confluent's client, by its names.
Access = Mapping[str, str]
_REQUEST = {"timeout": 3, "max.retries": 1, "retries.wait.ms": 200, "retries.max.wait.ms": 200}
_MISSING = (40401, 40403)  # subject, schema
_DENIED = (401, 403)
# Answers that say nothing about what was asked for: let in first, or asked again later.
_NOT_FOR_GOOD = (*_DENIED, 407, 408, 425, 429)
# Ids are positive and signed. Asked for another one, a registry answers as for a path that it does not have.
_ID_MAX = 2**31 - 1
# How long an id stays refused that the registry did not have: a follower of the registry may just be behind.
_REFUSED_SECONDS = 10.0
_REFUSED_MAX = 1000
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


class _Refusal(NamedTuple):
    reason: str
    since: float


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
        # Without credentials that somebody wrote into the address.
        self._name = f"the schema registry at {re.sub('//[^/]*@', '//', access['url'])}"
        self._clock = clock
        self._lock = threading.Lock()
        self._current: dict[str, WriterSchema] = {}
        self._by_id: dict[int, WriterSchema] = {}
        self._refused: dict[int, _Refusal] = {}

    def prepare(self) -> None:
        """Look up the ids of the schemas under which this build writes, unless they are known.

        Raises:
            RegistryUnavailable: not now.
            SchemaMismatch: a schema is not registered.
            SettingsError: the registry does not let us in.

        """
        try:
            self._learn()
        except RegistryAccessDenied as error:
            raise SettingsError(str(error)) from error

    def _learn(self) -> None:
        with self._lock:
            if not self._current:
                found = self._look_up()
                self._by_id |= {writer.id: writer for writer in found.values()}
                self._current = found

    def current(self, fullname: str) -> WriterSchema:
        """Return the newest version of `fullname` with its id.

        Raises:
            RegistryUnavailable: the ids are not known yet, and cannot be had now; credentials that are refused count
                as that here, since it is no event's fault.
            SchemaMismatch: there is no such schema.

        """
        if not self._current:
            self._learn()
        try:
            return self._current[fullname]
        except KeyError:
            raise SchemaMismatch(f"no schema {fullname} in the contract; it has {sorted(self._current)}") from None

    def by_id(self, schema_id: int) -> WriterSchema:
        """Return the schema with that id, fetched at its first use.

        Raises:
            UndecodableEvent: the registry has none of ours under it, or refuses it for good.
            RegistryUnavailable: it cannot be told now.

        """
        known = self._by_id.get(schema_id)
        if known is not None:
            return known
        if not 1 <= schema_id <= _ID_MAX:
            raise unregistered(schema_id)
        refused = self._refused.get(schema_id)
        if refused is not None and self._clock() - refused.since < _REFUSED_SECONDS:
            raise UndecodableEvent(refused.reason)
        try:
            found = self._by_id[schema_id] = self._fetch(schema_id)
        except UndecodableEvent as error:
            if len(self._refused) >= _REFUSED_MAX:  # a stranger may invent ids without end
                self._refused.clear()
            self._refused[schema_id] = _Refusal(str(error), self._clock())
            raise
        return found

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

    def _fetch(self, schema_id: int) -> WriterSchema:
        """Ask for one schema; a client for each is cheap, for each id is met once, and may not outlive a fork."""
        with self._client() as client:
            text = _text_of(client, schema_id)
        try:
            schema: Any = fastavro.parse_schema(stripped(json.loads(text)))
            return WriterSchema(schema_id, _fullname_of(schema), schema)
        except (fastavro.schema.SchemaParseException, ValueError, TypeError, KeyError, RecursionError) as error:
            log.warning("foreign_schema_unusable", schema_id=schema_id, error=type(error).__name__)
            raise UndecodableEvent(
                f"schema id {schema_id} is no schema that an event can have ({type(error).__name__})"
            ) from error

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
            raise self._unavailable(error) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, KeyError, TypeError) as error:
            raise RegistryUnavailable(f"{self._name}: {type(error).__name__}: {error}") from error

    def _unavailable(self, error: Any) -> RegistryUnavailable:
        answers = f"{self._name} answers {error.http_status_code}"
        if error.http_status_code in _DENIED:
            # The settings first: a log line is cut off where the registry has much to say.
            settings = "SCHEMA_REGISTRY_USERNAME, SCHEMA_REGISTRY_PASSWORD"
            return RegistryAccessDenied(f"{answers} ({settings}): {error.error_message}")
        return RegistryUnavailable(f"{answers}: {error.error_message}")


def _id_of(client: Any, subject: str, text: str) -> int | None:
    """Return the id of a schema under a subject, None where it is not registered there."""
    from confluent_kafka.schema_registry import Schema  # noqa: PLC0415
    from confluent_kafka.schema_registry.error import SchemaRegistryError  # noqa: PLC0415

    try:
        return int(client.lookup_schema(subject, Schema(text, "AVRO")).schema_id)
    except SchemaRegistryError as error:
        if error.error_code in _MISSING:  # a proxy's own 404 does not say that
            return None
        raise


def _text_of(client: Any, schema_id: int) -> str:
    """Return the text of a schema; a refusal that stays is its record's fault."""
    from confluent_kafka.schema_registry.error import SchemaRegistryError  # noqa: PLC0415

    try:
        return str(client.get_schema(schema_id).schema_str)
    except SchemaRegistryError as error:
        if error.error_code in _MISSING:
            raise unregistered(schema_id) from error
        if _is_for_good(error):
            reason = f"the schema registry answers {error.http_status_code} for schema id {schema_id}"
            raise UndecodableEvent(f"{reason}: {error.error_message}") from error
        raise


def _is_for_good(error: Any) -> bool:
    """Return whether the registry itself refuses what was asked for: without its code it is a proxy that speaks."""
    is_its_own = isinstance(error.error_code, int) and error.error_code > 0
    return is_its_own and 400 <= error.http_status_code < 500 and error.http_status_code not in _NOT_FOR_GOOD


def _fullname_of(schema: Parsed) -> str:
    """Return the name of a record; raise ValueError for a schema that no event can have."""
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise ValueError("no record")
    return str(schema["name"])

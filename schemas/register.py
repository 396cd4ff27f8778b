"""`python -m schemas register`: the contract's schemas in a schema registry; the deploy step of registry mode.

Safe to repeat: what is there already stays as it is. The registry itself guards the contract from then on, by
FULL_TRANSITIVE compatibility of every subject.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter

import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from schemas.subjects import COMPATIBILITY, SubjectVersion

_REQUEST = {"timeout": 10, "max.retries": 3, "retries.wait.ms": 200}
_NAMES = ("URL", "USERNAME", "PASSWORD", "CA_LOCATION")
_NOT_THERE = 404


class RegistrationError(Exception):
    """A schema could not be registered; the message names its subject, and what the registry said."""


def access_of(settings: Mapping[str, str | None]) -> dict[str, str]:
    """Return what Confluent's client needs from the settings that the services have too.

    Raises RegistrationError for one that is missing.
    """
    url, user, password, ca = (settings.get(f"SCHEMA_REGISTRY_{name}") or None for name in _NAMES)
    if url is None:
        raise RegistrationError("no registry is named: set SCHEMA_REGISTRY_URL, or --url")
    if (user is None) != (password is None):
        raise RegistrationError("set both of SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD, or neither")
    optional = {"basic.auth.user.info": f"{user}:{password}" if user else None, "ssl.ca.location": ca}
    return {"url": url} | {name: value for name, value in optional.items() if value is not None}


def register(versions: Iterable[SubjectVersion], access: Mapping[str, str]) -> Iterator[str]:
    """Register every version under its subject, older ones first, and yield a line for each.

    Args:
        versions: the contract's.
        access: settings of Confluent's client: `url`, and credentials if need be.

    Raises:
        RegistrationError: the registry is away, or refuses one; those before it are registered.

    """
    try:
        client = SchemaRegistryClient({**_REQUEST, **access})
    except (OSError, ValueError) as error:
        raise RegistrationError(str(error)) from error
    ordered = sorted(versions, key=attrgetter("subject", "version"))
    with client:
        for subject, of_subject in groupby(ordered, key=attrgetter("subject")):
            try:
                yield from _register_subject(client, subject, list(of_subject))
            except SchemaRegistryError as error:
                said = f"{error.http_status_code} {error.error_message} (error {error.error_code})"
                raise RegistrationError(f"{subject}: the registry says {said}") from error
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, KeyError, TypeError) as error:
                raise RegistrationError(f"{access['url']}: {type(error).__name__}: {error}") from error


def _register_subject(client: SchemaRegistryClient, subject: str, versions: list[SubjectVersion]) -> Iterator[str]:
    known = [_id_of(client, version) for version in versions]
    if None in known or _compatibility_of(client, subject) != COMPATIBILITY:
        # Before the first schema, so that there is no moment in which the subject takes anything.
        client.set_compatibility(subject, COMPATIBILITY)
    for version, schema_id in zip(versions, known, strict=True):
        did = "exists" if schema_id is not None else "registered"
        found = schema_id or client.register_schema(subject, Schema(version.text, "AVRO"))
        yield f"{did:10}  {subject} version {version.version} with the id {found}"


def _id_of(client: SchemaRegistryClient, version: SubjectVersion) -> int | None:
    try:
        found: int | None = client.lookup_schema(version.subject, Schema(version.text, "AVRO")).schema_id
    except SchemaRegistryError as error:
        if error.http_status_code == _NOT_THERE:
            return None
        raise
    return found


def _compatibility_of(client: SchemaRegistryClient, subject: str) -> str | None:
    """Return a subject's own setting, None where it has none."""
    try:
        level: str = client.get_compatibility(subject)
    except SchemaRegistryError as error:
        if error.http_status_code == _NOT_THERE:
            return None
        raise
    return level

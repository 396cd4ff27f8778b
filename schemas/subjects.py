"""The contract as a schema registry sees it: each version of an event, under its subject.

An event's subject is `<topic>-<fullname>` (Confluent's TopicRecordNameStrategy), since a topic carries several events.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.catalog import Catalog, Identity, Schema
from schemas.errors import SchemaFolderError
from schemas.identities import fingerprint
from schemas.model import parse_record

COMPATIBILITY: Final = "FULL_TRANSITIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectVersion:
    """A version of an event. `id` is the folder's, `text` its schema as JSON, `sha256` what tells it from others."""

    subject: str
    version: int
    id: int
    text: str
    sha256: str


def subject_versions(catalog: Catalog) -> tuple[SubjectVersion, ...]:
    """Return every version of every event in the order of their ids, so versions of one event in theirs.

    A released version is the text that was released, whatever docs were changed since: a registry tells texts apart.

    Raises SchemaFolderError if ids.json does not belong to the schemas.
    """
    return tuple(_subject_version(catalog, line) for line in catalog.identities)


def _subject_version(catalog: Catalog, line: Identity) -> SubjectVersion:
    schema = catalog.released.get((line.fullname, line.version)) or catalog.events.get(line.fullname)
    if schema is None or fingerprint(schema) != line.sha256:
        place = catalog.folder / "ids.json"
        raise SchemaFolderError(place, f"{line.fullname} version {line.version} has no such schema; run `make schemas`")
    return SubjectVersion(
        subject=f"{schema.topic}-{schema.fullname}",
        version=line.version,
        id=line.id,
        text=text_of(schema.source),
        sha256=line.sha256,
    )


def text_of(source: dict[str, Any]) -> str:
    """Return a schema as it is registered and served: the file's content without its white space."""
    return json.dumps(source, separators=(",", ":"), ensure_ascii=False)


def fingerprint_of(text: str) -> str | None:
    """Return what tells a schema from others, None for one that no event can have.

    Clients write a schema down in their own way before they ask for it, so that texts cannot be compared.

    Raises ValueError for a text that is not JSON.
    """
    source = json.loads(text)
    try:
        record = parse_record(source)
        return fingerprint(Schema(path=Path("asked"), source=source, record=record, topic="", key=()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None

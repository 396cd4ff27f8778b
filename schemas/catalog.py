"""The folder, read: its topics, current schemas, released schemas and ids.

Layout, which the services' codec reads too: `<producer>/<Event>.avsc` is the newest version of an event,
`released/<fullname>/<version>.avsc` every version that ever left the house, `ids.json` the id of each.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from fastavro.schema import SchemaParseException, parse_schema

from schemas.errors import SchemaFolderError
from schemas.model import Record, parse_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """One schema file. `key` and `topic` are the record's own properties, empty when missing."""

    path: Path
    source: dict[str, Any]
    record: Record
    topic: str
    key: tuple[str, ...]

    @property
    def fullname(self) -> str:
        """The event's Avro fullname, `oms.<producer>.<Event>`."""
        return self.record.fullname


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic of topics.yaml; `events` are fullnames, `config` holds the broker's own setting names."""

    name: str
    description: str
    key: str
    producer: str
    owner: str
    consumers: tuple[str, ...]
    events: tuple[str, ...]
    partitions: int
    replication: int
    config: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One line of ids.json: the id that stands for a version of an event on the wire."""

    fullname: str
    version: int
    sha256: str
    id: int
    released: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Everything in the folder. `events` by fullname, `released` by fullname and version, both sorted."""

    folder: Path
    topics: tuple[Topic, ...]
    events: dict[str, Schema]
    released: dict[tuple[str, int], Schema]
    identities: tuple[Identity, ...]

    def example_json(self, event: Schema) -> Path:
        """Return the path of an event's golden example."""
        return self.folder / "examples" / event.path.parent.name / f"{event.record.name}.json"

    def latest_identity(self, fullname: str) -> Identity | None:
        """Return the newest version's line of ids.json, or None for an event that has none."""
        own = [identity for identity in self.identities if identity.fullname == fullname]
        return max(own, key=lambda identity: identity.version, default=None)


def load(folder: Path) -> Catalog:
    """Read the folder. Raises SchemaFolderError for the first file that cannot be understood."""
    events = [_load_schema(path) for path in sorted(folder.glob("*/*.avsc"))]
    by_name: dict[str, Schema] = {}
    for event in events:
        if event.fullname in by_name:
            first = by_name[event.fullname].path
            raise SchemaFolderError(event.path, f"defines {event.fullname}, which {first} defines already")
        by_name[event.fullname] = event
    return Catalog(
        folder=folder,
        topics=_load_topics(folder / "topics.yaml"),
        events=dict(sorted(by_name.items())),
        released=_load_released(folder / "released"),
        identities=_load_identities(folder / "ids.json"),
    )


def _load_schema(path: Path) -> Schema:
    try:
        source = json.loads(path.read_text(encoding="utf-8"))
        parse_schema(source)
        record = parse_record(source)
    except (ValueError, KeyError, SchemaParseException) as error:
        raise SchemaFolderError(path, f"not a schema: {error}") from error
    return Schema(
        path=path,
        source=source,
        record=record,
        topic=source.get("topic", ""),
        key=tuple(source.get("key", ())),
    )


def _load_released(folder: Path) -> dict[tuple[str, int], Schema]:
    released = {}
    for path in folder.glob("*/*.avsc"):
        if not path.stem.isdecimal():
            raise SchemaFolderError(path, "a released schema is named <version>.avsc")
        released[path.parent.name, int(path.stem)] = _load_schema(path)
    return dict(sorted(released.items()))


def _load_identities(path: Path) -> tuple[Identity, ...]:
    if not path.exists():
        return ()
    try:
        return tuple(Identity(**entry) for entry in json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise SchemaFolderError(path, f"not a list of ids: {error}") from error


def _load_topics(path: Path) -> tuple[Topic, ...]:
    try:
        declared = yaml.safe_load(path.read_text(encoding="utf-8"))["topics"]
        return tuple(_topic(name, values) for name, values in declared.items())
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise SchemaFolderError(path, f"not a list of topics: {error!r}") from error


def _topic(name: str, values: dict[str, Any]) -> Topic:
    events = tuple(f"oms.{values['producer']}.{event}" for event in values["events"])
    return Topic(name=name, **{**values, "consumers": tuple(values["consumers"]), "events": events})

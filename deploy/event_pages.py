"""The catalogue of events in Markdown: a page a topic, and an index."""

from collections.abc import Iterator, Mapping, Sequence

from deploy.asyncapi import HEADERS, key_of
from deploy.event_readers import Reader
from schemas.catalog import Catalog, Schema, Topic
from schemas.model import Array, Enum, Map, Nullable, Primitive, Record, Type, walk

_DAY_MS = 86_400_000
_LOGICAL = {"timestamp-micros": "time (long, microseconds since 1970 UTC)", "uuid": "UUID (string)"}
_HEAD = """# Events

What is told on Kafka, a page a topic. Written by `make documents` from [schemas/](../../schemas/README.md) and the \
services' tables of handlers; for tools the same is in [asyncapi.json](../asyncapi.json) (AsyncAPI 3.0). How to decode \
a record: [warehouse.md](../warehouse.md).
"""


def pages(catalog: Catalog, readers: Sequence[Reader]) -> dict[str, str]:
    """Return name of a file → text of every page."""
    written = {f"{topic.name}.md": _page(catalog, topic, readers) for topic in catalog.topics}
    return {"README.md": _index(catalog, readers), **written}


def type_of(kind: Type) -> str:
    """Return a type in words."""
    match kind:
        case Primitive(name=name, logical=logical):
            return _LOGICAL[logical] if logical else name
        case Nullable(of=of):
            return f"{type_of(of)}, or null"
        case Array(items=items):
            return f"list of {type_of(items)}"
        case Map(values=values):
            return f"map of {type_of(values)}"
        case Enum(symbols=symbols):
            return f"one of {', '.join(f'`{symbol}`' for symbol in symbols)}"
        case Record(name=name):
            return name


def since(catalog: Catalog, event: Schema) -> dict[str, int]:
    """Return path of a field → the version of the event that had it first."""
    lines = sorted(line.version for line in catalog.identities if line.fullname == event.fullname) or [1]
    first: dict[str, int] = {}
    for version in lines:
        schema = catalog.released.get((event.fullname, version), event)
        for path, _, _ in walk(schema.record):
            first.setdefault(path, version)
    return {path: first.get(path, lines[-1]) for path, _, _ in walk(event.record)}


def _index(catalog: Catalog, readers: Sequence[Reader]) -> str:
    topics = [
        (
            _link(topic.name),
            topic.key,
            ", ".join(_link(topic.name, name) for name in topic.events),
            topic.producer,
            ", ".join(_who_reads(topic, readers)),
        )
        for topic in catalog.topics
    ]
    headers = [(f"`{name}`", told["description"]) for name, told in HEADERS.items()]
    return "\n".join(
        [
            _HEAD,
            *_table(("topic", "key", "events", "written by", "read by"), topics),
            "\n## Headers\n\nThose of CloudEvents 1.0 in binary mode. Who writes from outside may leave them out.\n",
            *_table(("header", "what"), headers),
            "",
        ]
    )


def _page(catalog: Catalog, topic: Topic, readers: Sequence[Reader]) -> str:
    facts = [
        ("key", topic.key),
        ("partitions", str(topic.partitions)),
        ("replicas", f"{topic.replication}, of which {topic.config['min.insync.replicas']} must have a record"),
        ("kept", _kept(topic)),
        ("written by", topic.producer),
        ("read by", ", ".join(_who_reads(topic, readers)) or "nobody"),
    ]
    ours = [reader for reader in readers if reader.topic == topic.name]
    parts = [f"# {topic.name}\n\n{topic.description}\n", *_table(("", ""), facts), ""]
    if ours:
        parts += ["## What the services do\n", *_matrix(topic, ours), ""]
    for name in topic.events:
        parts += _event(catalog, catalog.events[name])
    return "\n".join(parts)


def _matrix(topic: Topic, readers: Sequence[Reader]) -> Iterator[str]:
    """Write a row an event, a column a reader."""
    rows = [
        (_link(None, name), *(reader.reactions.get(name, "skips it") for reader in readers)) for name in topic.events
    ]
    if any(reader.malformed for reader in readers):
        rows.append(("what cannot be decoded", *(reader.malformed or "parks its key" for reader in readers)))
    yield from _table(("event", *(reader.service for reader in readers)), rows)


def _event(catalog: Catalog, event: Schema) -> Iterator[str]:
    line = catalog.latest_identity(event.fullname)
    version = "not numbered yet" if line is None else f"version {line.version}, schema id {line.id}"
    yield f"## {event.record.name}\n\n{event.record.doc}\n\n`{event.fullname}`, {version}. Key: {key_of(event)}.\n"
    yield from _table(("field", "type", "meaning", "personal data", "since"), _fields(event, since(catalog, event)))
    yield f"\n```json\n{catalog.example_json(event).read_text(encoding='utf-8').strip()}\n```\n"


def _fields(event: Schema, first: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    for path, _, field in walk(event.record):
        name = path.removeprefix(f"{event.record.name}.")
        yield f"`{name}`", type_of(field.type), field.doc, "yes" if field.pii else "", str(first[path])


def _who_reads(topic: Topic, readers: Sequence[Reader]) -> list[str]:
    """Return the services that read a topic, then who else is known to."""
    ours = [reader.service for reader in readers if reader.topic == topic.name]
    return list(dict.fromkeys([*ours, *topic.consumers]))


def _kept(topic: Topic) -> str:
    milliseconds = topic.config.get("retention.ms")
    if milliseconds is None:
        return "the newest record of each key"
    return f"{milliseconds / _DAY_MS:g} days"


def _link(topic: str | None, fullname: str | None = None) -> str:
    """Return a link to a topic's page, or to an event on it; without a topic, to one on the same page."""
    if fullname is None:
        return f"[{topic}]({topic}.md)"
    name = fullname.rpartition(".")[2]
    return f"[{name}]({f'{topic}.md' if topic else ''}#{name.lower()})"


def _table(head: Sequence[str], rows: Iterator[tuple[str, ...]] | Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"

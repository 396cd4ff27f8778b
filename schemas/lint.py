"""What every schema and topic must look like, whatever its history.

Protects readers in other languages (one definition a name, documented fields, enums that survive a newer
symbol), the people in the data (`pii`), and the agreement of topics.yaml with the schemas.
"""

import keyword
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from schemas import binary
from schemas.catalog import Catalog, Schema, Topic
from schemas.model import Enum, Field, Nullable, Primitive, Record, innermost, named_types, walk

MAY_HOLD_PERSONAL_DATA: Final = frozenset(
    {
        "oms.storefront.OrderRequested",
        "oms.order.OrderPlaced",
        "oms.order.OrderProcessingStarted",
        "oms.order.OrderDetailsChanged",
    }
)
PERSONAL: Final = re.compile(
    r"(^|_)(e?mail|phone|address\d?|(first|last|full|given|family|customer|contact|recipient)_name|recipient|company"
    r"|street|city|state_province|postal_code|zip|country_code|notes?|ship_to|bill_to|birth(day|_?date)|iban|ip)$"
)
# What the generated classes need for themselves: arguments, methods, and what their methods read fields with.
TAKEN: Final = frozenset(
    {"self", "cls", "data", "at", "key", "to_bytes", "read", "to_avro", "from_avro"}
    | {name for name in vars(binary) if name.startswith("read_")}
)
FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
CO_PARTITIONED: Final = ("order.events.v1", "inventory.events.v1")


def schema_problems(catalog: Catalog) -> Iterator[str]:
    """Say what is wrong with single schemas, each with the file and the field's path."""
    for event in catalog.events.values():
        for rule in (_place, _docs, _names, _enums, _key, _personal_data):
            for problem in rule(event):
                yield f"{event.path}: {problem}"


def _place(event: Schema) -> Iterator[str]:
    expected = f"oms.{event.path.parent.name}.{event.path.stem}"
    if event.fullname != expected:
        yield f"defines {event.fullname}, its place says {expected}"


def _docs(event: Schema) -> Iterator[str]:
    for kind in named_types(event.record).values():
        if not kind.doc.strip():
            yield f"{kind.fullname} has no doc"
    for path, _, field in walk(event.record):
        if not field.doc.strip():
            yield f"{path} has no doc"


def _names(event: Schema) -> Iterator[str]:
    for kind in named_types(event.record).values():
        if not kind.fullname.startswith(event.fullname):
            yield f"{kind.fullname} is not named after its event ({event.record.name}…)"
    for path, _, field in walk(event.record):
        if not FIELD_NAME.fullmatch(field.name) or keyword.iskeyword(field.name):
            yield f"{path} is not a usable name: lower case with underscores, no keyword"
        elif field.name in TAKEN:
            yield f"{path} is not a usable name: the generated class needs it for itself"


def _enums(event: Schema) -> Iterator[str]:
    for kind in named_types(event.record).values():
        if not isinstance(kind, Enum):
            continue
        if kind.default not in kind.symbols:
            yield f"{kind.fullname} has no default among its symbols: a newer symbol would break its readers"
        for symbol in kind.symbols:
            if not FIELD_NAME.fullmatch(symbol):
                yield f"{kind.fullname}: the symbol {symbol} is not lower case with underscores"


def _key(event: Schema) -> Iterator[str]:
    if not event.key:
        yield "has no key: a list of its fields of which the first that is not null is the record's key"
    for name in event.key:
        field = event.record.field(name)
        if field is None or not _is_text(field):
            yield f"its key {name} is not a string field"
        elif field.pii:
            yield f"its key {name} is personal data"


def _is_text(field: Field) -> bool:
    kind = field.type.of if isinstance(field.type, Nullable) else field.type
    return isinstance(kind, Primitive) and kind.name == "string"


def _personal_data(event: Schema) -> Iterator[str]:
    for path, _, field in walk(event.record):
        if field.pii and event.fullname not in MAY_HOLD_PERSONAL_DATA:
            yield f"{path} is personal data (pii), which this event may not carry"
        if not field.pii and (PERSONAL.search(field.name) or _holds_personal_data(field)):
            yield f'{path} holds personal data by its name or parts and is not marked "pii": true'


def _holds_personal_data(field: Field) -> bool:
    inner, _ = innermost(field.type)
    return isinstance(inner, Record) and any(part.pii for part in inner.fields)


def names_defined_twice(catalog: Catalog) -> Iterator[str]:
    """Name types that two files define: code generators take whichever they meet first."""
    first: dict[str, tuple[Schema, Enum | Record]] = {}
    classes: dict[str, str] = {}
    for event in catalog.events.values():
        for fullname, kind in named_types(event.record).items():
            owner, definition = first.setdefault(fullname, (event, kind))
            if definition != kind:
                yield f"{event.path}: defines {fullname} differently from {owner.path}"
            elif owner is not event:
                yield f"{event.path}: defines {fullname}, which {owner.path} defines already"
            elif classes.setdefault(kind.name, fullname) != fullname:
                yield f"{event.path}: {fullname} and {classes[kind.name]} would be one class in contracts.py"


def topic_problems(catalog: Catalog) -> Iterator[str]:
    """Say where topics.yaml and the schemas disagree, and what is unsafe about a topic."""
    place = catalog.folder / "topics.yaml"
    listed = Counter(event for topic in catalog.topics for event in topic.events)
    for topic in catalog.topics:
        for problem in (*_membership(topic, catalog), *_settings(topic)):
            yield f"{place}: {topic.name}: {problem}"
    for fullname, times in listed.items():
        if times > 1:
            yield f"{place}: {fullname} is listed {times} times"
    for fullname, event in catalog.events.items():
        if fullname not in listed:
            yield f"{event.path}: no topic of {place} lists {fullname}"
    yield from _co_partitioning(catalog)


def _membership(topic: Topic, catalog: Catalog) -> Iterator[str]:
    for fullname in topic.events:
        event = catalog.events.get(fullname)
        if event is None:
            yield f"lists {fullname}, which has no schema"
        elif event.topic != topic.name:
            yield f"lists {fullname}, whose schema names the topic {event.topic!r}"


def _settings(topic: Topic) -> Iterator[str]:
    needed = ["cleanup.policy", "min.insync.replicas", "unclean.leader.election.enable", "max.message.bytes"]
    if topic.config.get("cleanup.policy") == "delete":
        needed += ["retention.ms", "segment.ms"]
    for name in needed:
        if name not in topic.config:
            yield f"has no {name}"


def _co_partitioning(catalog: Catalog) -> Iterator[str]:
    counts = {topic.name: topic.partitions for topic in catalog.topics if topic.name in CO_PARTITIONED}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {partitions}" for name, partitions in counts.items())
        yield f"{catalog.folder / 'topics.yaml'}: must have equally many partitions: {listed}"

"""The AsyncAPI document of the events: the topics and schemas of `schemas/`, and who sends and receives them.

It tells of the whole system: each operation is one participant's, whom its tag names. The form is that of AsyncAPI
3.0.0, with version 0.5.0 of its bindings for Kafka.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from deploy.event_readers import Reader
from schemas.catalog import Catalog, Schema, Topic
from schemas.examples import read_json

Node = dict[str, Any]
CONTENT_TYPE: Final = "application/avro"
_AVRO: Final = "application/vnd.apache.avro;version=1.9.0"
_BINDING: Final = "0.5.0"
_ABOUT: Final = """\
What the services, storefronts and warehouses tell each other on Kafka. Each operation is that of the participant in \
its tag. A value is Avro in Confluent's wire format: byte 0, the schema's id as four bytes big-endian, the Avro body. \
Examples show a record as a codec without logical types reads it: times are microseconds since 1970, null is null."""


def _text(description: str, **more: Any) -> Node:
    return {"type": "string", "description": description, **more}


# CloudEvents 1.0 in binary mode, with our extensions.
HEADERS: Final[dict[str, Node]] = {
    "ce_specversion": _text("The version of CloudEvents.", const="1.0"),
    "ce_id": _text("The event's id; who has seen it drops the record. A UUIDv7 where we are the producer."),
    "ce_type": _text("The Avro fullname of the value's schema."),
    "ce_source": _text("The producer, such as `/oms/order`."),
    "ce_subject": _text("The record's key."),
    "ce_time": _text("When it was told, RFC 3339.", format="date-time"),
    "ce_dataschema": _text("`urn:oms:schema:` and the id in front of the value.", pattern="^urn:oms:schema:[0-9]+$"),
    "content-type": _text("The form of the value.", const=CONTENT_TYPE),
    "ce_sequence": _text(
        "Counts a key's records on its topic: 1, 2, 3 …, with zeros in front, so that it sorts as text.",
        pattern="^[0-9]{10,}$",
    ),
    "ce_correlationid": _text("Shared by all events of one order: the order's id; else the request's."),
    "ce_causationid": _text("The id of the event or request that caused this one; absent where time alone did."),
    "traceparent": _text("W3C Trace Context.", pattern="^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"),
}
_NOT_ALWAYS: Final = ("ce_causationid",)


def asyncapi(catalog: Catalog, readers: Sequence[Reader], services: Sequence[str], version: str) -> Node:
    """Return the document.

    Args:
        catalog: the event contract.
        readers: who reads what.
        services: names of those who write by themselves; a topic of another producer is written from outside.
        version: of the product.

    """
    messages = {name: _message(catalog, event, services) for name, event in catalog.events.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Order management events", "version": version, "description": _ABOUT},
        "defaultContentType": CONTENT_TYPE,
        "servers": {"kafka": _server()},
        "channels": {topic.name: _channel(topic) for topic in catalog.topics},
        "operations": {
            **{f"{topic.producer}.send.{topic.name}": _send(topic, services) for topic in catalog.topics},
            **{f"{reader.group}.receive.{reader.topic}": _receive(reader) for reader in readers},
        },
        "components": {
            "schemas": {"headers": {"type": "object", "properties": HEADERS}},
            "messages": messages,
        },
    }


def key_of(event: Schema) -> str:
    """Return which fields of an event make its record's key."""
    return ", else ".join(f"`{name}`" for name in event.key)


def _server() -> Node:
    brokers = {"default": "localhost:9092", "description": "What the services have as KAFKA_BOOTSTRAP_SERVERS."}
    return {"host": "{brokers}", "protocol": "kafka", "variables": {"brokers": brokers}}


def _channel(topic: Topic) -> Node:
    return {
        "address": topic.name,
        "description": f"{topic.description} Key: {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in topic.events},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "replicas": topic.replication,
                "topicConfiguration": {**topic.config, "cleanup.policy": topic.config["cleanup.policy"].split(",")},
                "bindingVersion": _BINDING,
            }
        },
        "x-owner": topic.owner,
        "x-consumers": list(topic.consumers),
    }


def _message(catalog: Catalog, event: Schema, services: Sequence[str]) -> Node:
    line = catalog.latest_identity(event.fullname)
    return {
        "name": event.fullname,
        "title": event.record.name,
        "description": event.record.doc,
        "contentType": CONTENT_TYPE,
        "headers": _headers(event, services),
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "payload": {"schemaFormat": _AVRO, "schema": event.source},
        "examples": [{"name": event.record.name, "payload": read_json(catalog.example_json(event))}],
        "bindings": {
            "kafka": {
                "key": _text(f"The value of {key_of(event)}."),
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "4",
                "schemaLookupStrategy": "TopicRecordNameStrategy",
                "bindingVersion": _BINDING,
            }
        },
        **({} if line is None else {"x-schema-version": line.version, "x-schema-id": line.id}),
    }


def _headers(event: Schema, services: Sequence[str]) -> Node:
    """Return what is true of an event's headers; those from outside may leave out all of them."""
    producer = event.path.parent.name
    own: Node = {"properties": {"ce_type": {"const": event.fullname}}}
    if producer in services:
        own["properties"]["ce_source"] = {"const": f"/oms/{producer}"}
        own["required"] = [name for name in HEADERS if name not in _NOT_ALWAYS]
    return {"allOf": [{"$ref": "#/components/schemas/headers"}, own]}


def _send(topic: Topic, services: Sequence[str]) -> Node:
    outside = "" if topic.producer in services else ", from outside of these services"
    return _operation("send", topic.producer, f"{topic.producer} writes{outside}.", topic.name, topic.events)


def _receive(reader: Reader) -> Node:
    told = [f"- {name.rpartition('.')[2]}: {effect}" for name, effect in reader.reactions.items()]
    if reader.malformed is not None:
        told.append(f"- what cannot be decoded: {reader.malformed}")
    group = {"groupId": {"type": "string", "const": reader.group}, "bindingVersion": _BINDING}
    return {
        **_operation("receive", reader.service, f"{reader.service} reads.", reader.topic, reader.reactions),
        "description": "\n".join(told),
        "bindings": {"kafka": group},
    }


def _operation(action: str, whose: str, summary: str, topic: str, events: Iterable[str]) -> Node:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "summary": summary,
        "tags": [{"name": whose}],
        "messages": list(_references(topic, events)),
    }


def _references(topic: str, events: Iterable[str]) -> Iterator[Node]:
    for name in events:
        yield {"$ref": f"#/channels/{topic}/messages/{name}"}

"""Creates the declared topics, and tells where those that exist differ from their declaration.

Existing topics are never changed here: partitions cannot be taken back and retention deletes data, so a difference
is reported for somebody to decide on.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not re-exported for type checkers
    AdminClient,
    ConfigResource,
    NewTopic,
)

DECLARATION = Path(__file__).parents[2] / "schemas" / "topics.yaml"
_REQUEST_SECONDS = 30.0
_POLL_SECONDS = 0.05


class TopicsError(Exception):
    """A topic could not be created or looked at; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic as declared: `config` holds the broker's own setting names and values."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A setting of an existing topic that is not as declared."""

    topic: str
    setting: str
    declared: str
    actual: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.setting} is {self.actual}, declared is {self.declared}"


def declared(file: Path = DECLARATION, *, local: bool = False) -> list[Topic]:
    """Read the declaration; `local` applies its values for a cluster of one broker."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    override = content.get("local", {}) if local else {}
    return [_topic(name, entry, override) for name, entry in content["topics"].items()]


def create_missing(admin: AdminClient, topics: Sequence[Topic]) -> list[str]:
    """Create those of the topics that are not there and wait until they can be used; return their names.

    Raises TopicsError when the broker refuses one.
    """
    existing = _metadata(admin)
    missing = [topic for topic in topics if topic.name not in existing]
    if missing:
        requests = [_request(topic) for topic in missing]
        for name, future in admin.create_topics(requests, operation_timeout=_REQUEST_SECONDS).items():
            _await_creation(name, future)
        _await_leaders(admin, missing)
    return [topic.name for topic in missing]


def differences(admin: AdminClient, topics: Sequence[Topic]) -> list[Difference]:
    """Compare the topics, all of which must exist, with their declaration."""
    existing = _metadata(admin)
    resources = {topic.name: ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in topics}
    futures = admin.describe_configs(list(resources.values()), request_timeout=_REQUEST_SECONDS)
    found: list[Difference] = []
    for topic in topics:
        try:
            entries = futures[resources[topic.name]].result()
        except KafkaException as error:
            raise TopicsError(f"{topic.name} cannot be looked at: {error.args[0].str()}") from error
        actual = {name: entry.value for name, entry in entries.items()}
        found += _compare(topic, existing[topic.name], actual)
    return found


def _topic(name: str, entry: Mapping[str, Any], override: Mapping[str, Any]) -> Topic:
    config = {**entry.get("config", {}), **override.get("config", {})}
    return Topic(
        name=name,
        partitions=override.get("partitions", entry["partitions"]),
        replication=override.get("replication", entry["replication"]),
        config={setting: _as_text(value) for setting, value in config.items()},
    )


def _as_text(value: object) -> str:
    """Return a YAML value as the broker writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _request(topic: Topic) -> NewTopic:
    return NewTopic(
        topic.name,
        num_partitions=topic.partitions,
        replication_factor=topic.replication,
        config=dict(topic.config),
    )


def _metadata(admin: AdminClient) -> dict[str, Any]:
    try:
        return dict(admin.list_topics(timeout=_REQUEST_SECONDS).topics)
    except KafkaException as error:
        raise TopicsError(f"the cluster does not answer: {error.args[0].str()}") from error


def _await_creation(name: str, future: Any) -> None:
    try:
        future.result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # someone else was faster
            raise TopicsError(f"{name} was not created: {error.args[0].str()}") from error


def _await_leaders(admin: AdminClient, topics: Sequence[Topic]) -> None:
    """Wait until every partition has a leader: before, a first produce or fetch meets errors."""
    deadline = time.monotonic() + _REQUEST_SECONDS
    while time.monotonic() < deadline:
        existing = _metadata(admin)
        if all(topic.name in existing and _has_leaders(existing[topic.name], topic) for topic in topics):
            return
        time.sleep(_POLL_SECONDS)
    raise TopicsError(f"some partitions got no leader within {_REQUEST_SECONDS:.0f} s")


def _has_leaders(metadata: Any, topic: Topic) -> bool:
    partitions = metadata.partitions.values()
    return len(partitions) == topic.partitions and all(partition.leader >= 0 for partition in partitions)


def _compare(topic: Topic, metadata: Any, actual: Mapping[str, str]) -> Iterator[Difference]:
    partitions = metadata.partitions
    pairs = {
        "partitions": (str(topic.partitions), str(len(partitions))),
        "replication": (str(topic.replication), str(len(partitions[0].replicas))),
        **{setting: (value, actual.get(setting, "unknown")) for setting, value in topic.config.items()},
    }
    for setting, (wanted, found) in pairs.items():
        if wanted != found:
            yield Difference(topic=topic.name, setting=setting, declared=wanted, actual=found)

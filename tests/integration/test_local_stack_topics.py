"""Topics come from their declaration, again and again the same, and differences are named."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from deploy.kafka.topics import DECLARATION, declared
from tests.support.eventually import eventually

ROOT = Path(__file__).parents[2]


@pytest.fixture
def declaration(tmp_path: Path, kafka_server: str) -> Iterator[Path]:
    """The real declaration under names of its own, so that tests may change the topics."""
    content = yaml.safe_load(DECLARATION.read_text(encoding="utf-8"))
    unique = uuid.uuid4().hex[:8]
    content["topics"] = {f"{name}.{unique}": entry for name, entry in content["topics"].items()}
    file = tmp_path / "topics.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    yield file
    admin = AdminClient({"bootstrap.servers": kafka_server})
    existing = admin.list_topics(timeout=10).topics
    names = [name for name in content["topics"] if name in existing]
    for deletion in (admin.delete_topics(names) if names else {}).values():
        deletion.result()


def run_topics(bootstrap_servers: str, declaration: Path, *options: str) -> subprocess.CompletedProcess[str]:
    arguments = ["-m", "deploy.kafka", "topics", "--bootstrap-servers", bootstrap_servers, "--file", str(declaration)]
    return subprocess.run([sys.executable, *arguments, *options], cwd=ROOT, check=False, capture_output=True, text=True)


def test_every_declared_topic_is_created_as_declared_and_a_second_run_changes_nothing(
    kafka_server: str, declaration: Path
) -> None:
    names = [topic.name for topic in declared(declaration)]

    first = run_topics(kafka_server, declaration, "--local")
    second = run_topics(kafka_server, declaration, "--local")

    assert (first.returncode, first.stdout.split()) == (0, [word for name in names for word in ("created", name)])
    assert (second.returncode, second.stdout.split()) == (0, [word for name in names for word in ("exists", name)])
    assert "differs" not in first.stderr + second.stderr


def test_a_setting_that_differs_is_named_with_both_values(kafka_server: str, declaration: Path) -> None:
    run_topics(kafka_server, declaration, "--local")
    topic = next(topic.name for topic in declared(declaration) if topic.name.startswith("order.requests.v1"))
    entry = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": kafka_server})
    admin.incremental_alter_configs([resource])[resource].result()

    def named() -> None:  # the broker shows a change a moment after it accepted it
        result = run_topics(kafka_server, declaration, "--local")
        assert f"differs  {topic}: retention.ms is 1000, declared is 604800000" in result.stderr.splitlines()
        assert result.returncode == 1

    eventually(named, within=20)


def test_partitions_and_replication_that_differ_are_named(kafka_server: str, declaration: Path) -> None:
    run_topics(kafka_server, declaration, "--local")
    content = yaml.safe_load(declaration.read_text())
    topic = next(iter(content["topics"]))
    content["topics"][topic]["partitions"] = 24
    declaration.write_text(yaml.safe_dump(content, sort_keys=False))

    result = run_topics(kafka_server, declaration)

    assert result.returncode == 1
    assert f"{topic}: partitions is 12, declared is 24" in result.stderr
    assert f"{topic}: replication is 1, declared is 3" in result.stderr


def test_a_topic_that_the_broker_refuses_is_named(kafka_server: str, declaration: Path) -> None:
    result = run_topics(kafka_server, declaration)  # three replicas of each on a cluster of one

    assert result.returncode == 1
    assert declared(declaration)[0].name in result.stderr
    assert "replication factor" in result.stderr.lower()

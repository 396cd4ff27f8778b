"""A consumer in Java (tests/java): classes generated from the schemas, plain Avro, Kafka's own client, our registry.

What it reads is compared with the golden examples and with what an independent reader sees in the topics.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.state import StackState
from schemas import contracts
from schemas.examples import from_hex, read_json
from tests.contract.schema_folder import CONTRACT
from tests.support.registry import folder_served
from tests.support.running_shop import Shop
from tests.support.sale import TOPICS, events_of_a_sale

PROJECT = Path(__file__).parents[1] / "java"
TOOLS = ("java", "javac", "mvn")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"needs Java 17 and Maven; not here: {', '.join(MISSING)}"),
    pytest.mark.timeout(300),
]
EXAMPLES = sorted([*CONTRACT.glob("examples/*/*.json"), *CONTRACT.glob("released/*/*.json")])


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that Maven builds into; the schemas become classes on the way."""
    target = tmp_path_factory.mktemp("java")
    goals = ("compile", "dependency:copy-dependencies")
    command = ["mvn", "--batch-mode", "--quiet", f"-Dtarget={target}", *goals]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    with folder_served() as url:
        yield url


def run(target: Path, *arguments: str, lines: str = "") -> list[dict[str, Any]]:
    """Run the consumer and return what it printed."""
    classpath = os.pathsep.join([str(target / "classes"), str(target / "lib" / "*")])
    command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classpath, "warehouse.Main", *arguments]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def with_defaults(example: Path, fullname: str) -> dict[str, Any]:
    """Return an example as the newest schema reads it: what its own version did not have yet has its default."""
    domain, name = fullname.split(".")[1:]
    schema = read_json(CONTRACT / domain / f"{name}.avsc")
    return {**{f["name"]: f["default"] for f in schema["fields"] if "default" in f}, **read_json(example)}


def test_every_record_and_enum_of_the_schemas_becomes_a_class(target: Path) -> None:
    generated = target / "generated-sources" / "avro" / "oms"
    found = {path.relative_to(generated).with_suffix("").as_posix() for path in generated.rglob("*.java")}
    for fullname in contracts.EVENTS:
        assert fullname.removeprefix("oms.").replace(".", "/") in found
    nested = {"order/OrderPlacedLine", "order/OrderCancelledReason", "storefront/OrderRequestedAddress"}
    assert nested <= found


def test_java_reads_every_golden_example(target: Path, registry: str) -> None:
    lines = "".join(from_hex(path.with_suffix(".hex")).hex() + "\n" for path in EXAMPLES)
    found = run(target, "bytes", registry, lines=lines)
    assert {line["class"] for line in found} == set(contracts.EVENTS)
    assert [line["event"] for line in found] == [
        with_defaults(path, line["class"]) for path, line in zip(EXAMPLES, found, strict=True)
    ]


def test_java_reads_live_topics(target: Path, shop: Shop) -> None:
    sale = {(entry.topic, entry.partition, entry.offset): entry for entry in events_of_a_sale(shop)}
    state = StackState.load(shop.stack.directory)
    printed = run(target, "topics", state.schema_registry_url, state.bootstrap_servers, *TOPICS)
    found = {(line["topic"], line["partition"], line["offset"]): line for line in printed}
    for place, entry in sale.items():
        line = found[place]
        assert (line["key"], line["class"], line["event"]) == (
            (entry.key or b"").decode(),
            entry.headers["ce_type"],
            entry.event,
        )

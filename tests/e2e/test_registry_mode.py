"""A cluster in registry mode: a real registry gives the ids, the saga runs on them, and folder mode is refused."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from confluent_kafka.schema_registry import Schema, topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from deploy.local.ports import LOOPBACK, Ports
from deploy.local.services import ROOT
from deploy.local.state import StackState
from schemas import contracts
from schemas.identities import FIRST_ID
from tests.contract.schema_folder import CONTRACT, SchemaFolder
from tests.support.apicurio import start_apicurio, url_at
from tests.support.eventually import eventually
from tests.support.registry import client_of, folder_served, plain
from tests.support.running_shop import Shop, open_shop
from tests.support.servers import SESSIONS

VARIABLE = "SCHEMA_REGISTRY_URL"
SHIPPED = "order.events.v1-oms.order.OrderShipped"


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """The registry's address, which everything is started with."""
    with pytest.MonkeyPatch.context() as environment:
        url = url_at(Ports().take())
        environment.setenv(VARIABLE, url)
        yield url


@pytest.fixture(scope="module")
def shop(registry: str) -> Iterator[Shop]:
    """A shop of its own: the mode is for life."""
    directory = SESSIONS / f"{os.getpid()}-registry"
    port = urlsplit(registry).port
    assert port is not None
    with open_shop(directory, before=lambda stack: start_apicurio(stack.processes, port)) as running:
        yield running
    shutil.rmtree(directory)


def run(*command: str, shop: Shop | None = None, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """Run a command; variables that are None are taken out of its environment."""
    environment = {**os.environ, **(shop.stack.environment("order") if shop else {}), **variables}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def free_ports() -> dict[str, str]:
    ports = Ports()
    return {"HTTP_PORT": str(ports.take()), "METRICS_PORT": str(ports.take())}


@pytest.mark.timeout(240)
def test_the_saga_runs_on_the_registry_s_ids_and_confluents_deserializer_reads_it(shop: Shop, registry: str) -> None:
    assert StackState.load(shop.stack.directory).schema_registry_url == registry
    order = shop.customer.placed((shop.sku(), 2))
    shop.service.confirm(order, wait=10)
    shop.await_order(order["id"], reservation_status="allocated")
    shop.kinds(order["id"], "order.events.v1")
    entries = [entry for entry in shop.log.entries if entry.key == order["id"].encode()]
    assert len(entries) >= 4
    with client_of(registry) as client:
        # Without our strategy the client asks for associations, which Apicurio lacks: one such request of a thousand
        # it never answers.
        deserialize = AvroDeserializer(client, conf={"subject.name.strategy": topic_record_subject_name_strategy})
        for entry in entries:
            assert entry.value is not None
            schema_id = int.from_bytes(entry.value[1:5])
            assert schema_id < FIRST_ID
            fullname = entry.headers["ce_type"]
            assert client.get_subjects_by_schema_id(schema_id) == [f"{entry.topic}-{fullname}"]
            found = plain(deserialize(entry.value, SerializationContext(entry.topic, MessageField.VALUE)))
            # The services' own reading, by another library and another way to the schema.
            event = contracts.EVENTS[fullname].from_avro(found)
            assert event.order_id == order["id"]


def test_registering_again_changes_nothing(shop: Shop, registry: str) -> None:  # noqa: ARG001  # it registered first
    done = run("schemas", "register")
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert len(lines) == len(json.loads((CONTRACT / "ids.json").read_text())), "each version of each event"
    assert all(line.startswith("exists ") for line in lines)


def test_the_registry_refuses_what_would_break_consumers(shop: Shop, registry: str) -> None:  # noqa: ARG001
    source = json.loads((CONTRACT / "order/OrderShipped.avsc").read_text(encoding="utf-8"))
    source["fields"].append({"name": "weight_grams", "type": "long"})
    with client_of(registry) as client:
        assert client.get_compatibility(SHIPPED) == "FULL_TRANSITIVE"
        with pytest.raises(SchemaRegistryError) as refused:
            client.register_schema(SHIPPED, Schema(json.dumps(source), "AVRO"))
    assert refused.value.http_status_code == 409


@pytest.mark.parametrize("command", [("migrate",), ("worker",), ("api",), ("parked", "list"), ("stuck",)])
def test_a_process_in_folder_mode_is_refused_with_what_to_do(shop: Shop, command: tuple[str, ...]) -> None:
    done = run("services.order", *command, shop=shop, **free_ports(), **{VARIABLE: None})
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("order: this database was begun with schema ids from a registry (SCHEMA_REGISTRY_URL)")
    assert "from the folder (schemas/ids.json" in last
    assert "set SCHEMA_REGISTRY_URL as before" in last


@pytest.mark.parametrize("role", ["api", "worker"])
def test_a_process_whose_schemas_are_not_registered_names_them(shop: Shop, role: str, tmp_path: Path) -> None:
    folder = SchemaFolder.copy(tmp_path)
    folder.edit(folder.path / "ids.json", lambda lines: lines.pop())
    with folder_served(folder.path) as incomplete:
        done = run("services.order", role, shop=shop, **free_ports(), **{VARIABLE: incomplete})
    assert done.returncode == 1
    assert "lacks order.requests.v1-oms.storefront.PaymentReported" in done.stderr.splitlines()[-1]
    assert "make schemas-register" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("role", ["api", "worker"])
def test_a_process_waits_for_a_registry_that_is_away(shop: Shop, role: str) -> None:
    """And is ready once it is back."""
    port = Ports().take()
    away = {VARIABLE: f"http://{LOOPBACK}:{port}"}
    name = shop.stack.start_process("order", role, name=f"order-{role}-early", environment=away)
    log = shop.processes.log(name)
    eventually(lambda: _assert_in("start_put_off", log.read_text(encoding="utf-8")), within=20)
    assert shop.processes.is_alive(name)
    with folder_served(port=port):
        shop.stack.await_ready(name)
    assert shop.processes.stop(name) == 0


def _assert_in(words: str, text: str) -> None:
    assert words in text


@pytest.mark.usefixtures("shop")
def test_registration_says_what_is_wrong(registry: str) -> None:
    for url, words in (("http://127.0.0.1:1", "ConnectError"), ("ftp://x", "Invalid url"), (registry + "x", "404")):
        done = run("schemas", "register", **{VARIABLE: url})
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr
    assert "set SCHEMA_REGISTRY_URL, or --url" in run("schemas", "register", **{VARIABLE: None}).stderr

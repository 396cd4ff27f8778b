"""An operator's hands on parked keys: `parked list|show|retry|discard|resume`, as the command line runs them."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deploy.local.databases import Databases
from schemas import contracts
from services.chassis.events import new_id
from services.chassis.parked_cli import parked_commands
from services.order.bootstrap import SERVICE
from tests.support import shop
from tests.support.ledger import TABLES, Ledger
from tests.support.services import World, world_of


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def world(ledger: Ledger, postgres_server: Databases) -> Iterator[World]:
    with world_of(ledger.service, postgres_server, park_backoff_seconds=3600, park_breaker_keys=3) as world:
        yield world


def parked(world: World, *arguments: str) -> Result:
    """Run `parked …` as in a narrow terminal."""
    return CliRunner(env={"COLUMNS": "80", "USER": "ada"}).invoke(
        parked_commands(lambda: world.runtime), list(arguments)
    )


def park(ledger: Ledger, world: World, *keys: str, error: type[Exception] = ValueError) -> None:
    """Park two events of each key."""

    def fail(*_: Any) -> None:
        raise error("a bug")

    ledger.before = fail
    for note in ("1", "2"):
        world.deliver(*[ledger.confirmed(key, note) for key in keys])
    ledger.before = lambda *_: None


def test_list_says_what_is_parked_why_and_until_when(ledger: Ledger, world: World) -> None:
    assert "nothing is parked" in parked(world, "list").stdout
    park(ledger, world, "A", "B")
    listed = parked(world, "list").stdout
    assert "order.events.v1" in listed
    assert "ValueError: a bug" in listed
    assert "retrying" in listed
    assert "B" not in parked(world, "list", "--key", "A").stdout.replace("Bug", "")


@pytest.mark.parametrize(
    "command", [("list",), ("show",), ("retry",), ("discard", "--reason", "x")], ids=lambda words: words[0]
)
def test_a_command_that_finds_nothing_says_so(ledger: Ledger, world: World, command: tuple[str, ...]) -> None:
    """Whoever mistyped a key must not read silence as success."""
    park(ledger, world, "A")
    done = parked(world, *command, "--key", "B")
    assert (done.exit_code, done.stdout) == (0, "nothing that fits is parked\n")


@pytest.mark.parametrize(
    "key",
    [new_id(), "k" * 399, "two words", "it's", "$HOME `id`", "\x1b[31mred\x07\n'\\end", "ümlaut 🦊"],
    ids=["id", "long", "blank", "quote", "shell", "control", "beyond"],
)
def test_whatever_is_copied_from_the_list_is_whole_in_one_line(ledger: Ledger, world: World, key: str) -> None:
    park(ledger, world, key)
    lines = parked(world, "list").stdout.splitlines()
    copied = dict(line.split(maxsplit=1) for line in lines if line.startswith(("topic", "key", "fingerprint")))
    assert not [char for line in lines for char in line if not char.isprintable()]
    shell = subprocess.run(["bash", "-c", f"printf %s {copied['key']}"], capture_output=True, check=True)
    assert shell.stdout.decode() == key
    assert copied["topic"] == ledger.reads
    assert copied["fingerprint"] == world.one("SELECT fingerprint FROM parked_keys")


def test_show_tells_where_events_stand_and_what_they_say(ledger: Ledger, world: World) -> None:
    park(ledger, world, "A")
    shown = json.loads(parked(world, "show", "--key", "A").stdout)
    assert (shown["key"], shown["attempts"]) == ("A", 1)
    assert [event["headers"]["ce_type"] for event in shown["events"]] == [ledger.confirmed("A").FULLNAME] * 2
    assert set(shown["events"][0]) == {"event_id", "partition", "offset", "bytes", "parked_at", "headers", "event"}
    assert [event["event"] for event in shown["events"]] == [ledger.confirmed("A", note).to_avro() for note in "12"]


def test_show_masks_what_the_schema_marks_as_personal(postgres_server: Databases) -> None:
    """Whoever looks at a parked request sees what is wrong with it, and not who sent it."""
    request = shop.request(
        "R1",
        {"NEW": 2},
        customer_id="c-1",
        customer_email="ada@example.org",
        notes="ring twice",
        metadata={"campaign": "x" * 300},
        billing_address=replace(shop.ADDRESS, city="Paris"),
        discounts=(contracts.OrderRequestedDiscount(code="TEN", amount_minor=10),),
    )
    with world_of(SERVICE, postgres_server) as world:
        world.processor.handle([world.record(request)])
        said = parked(world, "show", "--key", "R1").stdout
    (event,) = json.loads(said)["events"]
    assert {name: value for name, value in event["event"].items() if value == "***"} == dict.fromkeys(
        ("customer_email", "shipping_address", "billing_address", "notes"), "***"
    )
    assert event["event"]["items"] == [{"sku": "NEW", "quantity": 2}]
    assert event["event"]["discounts"] == [{"code": "TEN", "amount_minor": 10}]
    assert (event["event"]["customer_id"], event["event"]["locale"]) == ("c-1", None)
    assert event["event"]["metadata"]["campaign"].endswith("... (300 characters)")
    assert not [secret for secret in ("Lovelace", "ada@", "Bonn", "Paris", "ring") if secret in said]


def test_show_tells_why_an_event_cannot_be_decoded_and_of_its_headers_only_what_is_ours(
    ledger: Ledger, world: World
) -> None:
    strange = {"ce_name": "Ada Lovelace", "password": "secret", "ce_subject": "s" * 5000, "ce_time": "\x1b[31m"}
    record = world.record(ledger.confirmed("A"), value=b"\x01Ada Lovelace, Bonn", headers=strange)
    world.processor.handle([record])
    said = parked(world, "show").stdout
    (event,) = json.loads(said)["events"]
    assert set(event["headers"]) == {"ce_id", "ce_type", "ce_subject", "ce_time"}
    assert event["headers"]["ce_subject"].endswith("... (5000 characters)")
    assert (event["undecodable"], event["bytes"]) == ("the first byte is 1, not 0", len(record.value or b""))
    assert not [secret for secret in ("Lovelace", "secret", "Bonn", "\x1b") if secret in said]


def test_retry_handles_what_fits_the_filter_and_leaves_the_rest(ledger: Ledger, world: World) -> None:
    park(ledger, world, "A", "B")
    assert "would retry 2 event(s) of order.events.v1 A" in parked(world, "retry", "--key", "A", "--dry-run").stdout
    assert world.one("SELECT count(*) FROM parked_keys") == 2
    assert "A: 2 handled, 0 still parked" in parked(world, "retry", "--key", "A").stdout
    assert world.rows("SELECT key FROM parked_keys") == ["B"]
    assert world.rows("SELECT key, note FROM entries ORDER BY position") == [("A", "1"), ("A", "2")]


def test_retry_without_a_filter_handles_every_key_and_says_which_fail_again(ledger: Ledger, world: World) -> None:
    park(ledger, world, "A", "B")

    def fail_b(received: Any, _uow: Any) -> None:
        if received.key == "B":
            raise ValueError("a bug")

    ledger.before = fail_b
    said = parked(world, "retry").stdout
    assert "A: 2 handled, 0 still parked" in said
    assert "B: 0 handled, 2 still parked" in said


def test_retry_by_fingerprint_handles_the_keys_of_one_repair(ledger: Ledger, world: World) -> None:
    park(ledger, world, "A", error=ValueError)
    park(ledger, world, "B", error=KeyError)
    fingerprint = world.one("SELECT fingerprint FROM parked_keys WHERE key = 'A'")
    assert fingerprint.startswith("ValueError@")
    parked(world, "retry", "--fingerprint", fingerprint)
    assert world.rows("SELECT key FROM parked_keys") == ["B"]


def test_a_dead_key_stays_dead_while_its_first_event_fails_and_is_retrying_once_that_is_out_of_the_way(
    ledger: Ledger, world: World
) -> None:
    park(ledger, world, "A")
    world.rows("UPDATE parked_keys SET state = 'dead', attempts = 10")
    failing = {"1", "2"}

    def fail(received: Any, _uow: Any) -> None:
        if received.event.order_number in failing:
            raise ValueError("a bug")

    ledger.before = fail
    parked(world, "retry", "--key", "A")
    assert world.one("SELECT state FROM parked_keys") == "dead"
    failing.remove("1")
    parked(world, "retry", "--key", "A")
    assert world.rows("SELECT state, attempts FROM parked_keys") == [("retrying", 1)]


def test_discard_needs_a_reason_and_says_what_it_is_about(ledger: Ledger, world: World) -> None:
    park(ledger, world, "A")
    before = world.snapshot(*TABLES)
    assert parked(world, "discard", "--key", "A").exit_code != 0
    assert parked(world, "discard", "--reason", "lost").exit_code != 0
    assert "would discard" in parked(world, "discard", "--key", "A", "--reason", "lost", "--dry-run").stdout
    assert world.snapshot(*TABLES) == before


@pytest.mark.parametrize("reason", ["", " \t "])
def test_a_reason_that_says_nothing_is_refused(ledger: Ledger, world: World, reason: str) -> None:
    park(ledger, world, "A")
    before = world.snapshot(*TABLES, "parked_keys", "breakers")
    for command in (("discard", "--key", "A"), ("discard", "--key", "A", "--dry-run"), ("resume",)):
        refused = parked(world, *command, "--reason", reason)
        assert (refused.exit_code, "must say why" in refused.stderr) == (2, True)
    assert world.snapshot(*TABLES, "parked_keys", "breakers") == before


def test_discard_gives_up_the_first_event_and_its_followers_run(ledger: Ledger, world: World) -> None:
    park(ledger, world, "A")
    assert "discarded" in parked(world, "discard", "--key", "A", "--reason", "lost").stdout
    assert world.one("SELECT error FROM dead_events") == "discarded: lost (was: ValueError: a bug)"
    while world.processor.retries.retry_due():
        pass
    assert world.rows("SELECT note FROM entries") == ["2"]


def test_resume_closes_the_breaker_and_keeps_the_reason(ledger: Ledger, world: World) -> None:
    park(ledger, world, "A", "B")
    assert "was not stopped" in parked(world, "resume", "--reason", "so").stdout
    with pytest.raises(Exception, match="many keys"):
        park(ledger, world, "C")
    assert parked(world, "resume").exit_code != 0
    assert "ledger: resumed" in parked(world, "resume", "--reason", "the data is repaired").stdout
    ledger.before = lambda *_: None
    world.deliver(ledger.confirmed("X"))
    assert world.one("SELECT reason FROM breakers WHERE reason IS NOT NULL") == "the data is repaired"

"""The pages of the events say in words what schemas, topics and tables of handlers say."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.event_pages import pages, since, type_of
from deploy.event_readers import Reader, reaction, readers
from schemas.catalog import Catalog, Identity, Schema, Topic
from schemas.contracts import OrderPlaced, StockReserved, VariantPublished
from schemas.model import Array, Enum, Map, Nullable, Primitive, Record, parse_record
from services.chassis.incoming import Subscription

SYMBOLS = Enum(fullname="oms.a.BoxSize", doc="Size.", symbols=("s", "l"), default="s", aliases=())
PART = Record(fullname="oms.a.BoxPart", doc="A part.", fields=(), aliases=())


def schema(folder: Path, *fields: dict[str, Any]) -> Schema:
    source = {"type": "record", "name": "Packed", "namespace": "oms.a", "doc": "A box is packed.", "fields": [*fields]}
    path = folder / "a" / "Packed.avsc"
    return Schema(path=path, source=source, record=parse_record(source), topic="boxes.v1", key=("box_id", "sku"))


def text(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "string", "doc": f"The {name}.", **more}


def version(number: int, *, released: bool) -> Identity:
    return Identity(fullname="oms.a.Packed", version=number, sha256="", id=70 + number, released=released)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """A contract of one topic with one event in its second version."""
    (tmp_path / "examples" / "a").mkdir(parents=True)
    (tmp_path / "examples" / "a" / "Packed.json").write_text('{"box_id": "b1"}\n', encoding="utf-8")
    parts = {"type": "array", "items": {"type": "record", "name": "PackedPart", "doc": "x", "fields": [text("note")]}}
    topic = Topic(
        name="boxes.v1",
        description="Boxes.",
        key="box id",
        producer="a",
        owner="a",
        consumers=("b", "strangers"),
        events=("oms.a.Packed",),
        partitions=3,
        replication=2,
        config={"cleanup.policy": "delete", "retention.ms": 604_800_000, "min.insync.replicas": 1},
    )
    return Catalog(
        folder=tmp_path,
        topics=(topic,),
        events={
            "oms.a.Packed": schema(
                tmp_path,
                text("box_id"),
                text("email", pii=True, doc="This | that."),
                {"name": "parts", "type": parts, "default": [], "doc": "Parts."},
            )
        },
        released={("oms.a.Packed", 1): schema(tmp_path, text("box_id"), text("email", pii=True))},
        identities=(version(1, released=True), version(2, released=False)),
    )


READER = Reader(
    service="b", group="b", topic="boxes.v1", reactions={"oms.a.Packed": "`keep`. Emits: X | Y."}, malformed=None
)


def rows(page: str) -> list[list[str]]:
    """Return the cells of all tables."""
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in page.splitlines()
        if line.startswith("|")
    ]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Primitive(name="string"), "string"),
        (Primitive(name="string", logical="uuid"), "UUID (string)"),
        (Primitive(name="long", logical="timestamp-micros"), "time (long, microseconds since 1970 UTC)"),
        (Nullable(of=Primitive(name="int")), "int, or null"),
        (Array(items=PART), "list of BoxPart"),
        (Map(values=Primitive(name="long")), "map of long"),
        (Nullable(of=SYMBOLS), "one of `s`, `l`, or null"),
    ],
)
def test_a_type_is_told_in_words(kind: Any, told: str) -> None:
    assert type_of(kind) == told


def test_a_field_is_as_old_as_the_first_version_that_has_it(catalog: Catalog) -> None:
    assert since(catalog, catalog.events["oms.a.Packed"]) == {
        "Packed.box_id": 1,
        "Packed.email": 1,
        "Packed.parts": 2,
        "Packed.parts[].note": 2,
    }


def test_an_event_without_a_number_is_of_version_one(catalog: Catalog) -> None:
    new = replace(catalog, identities=(), released={})

    assert set(since(new, new.events["oms.a.Packed"]).values()) == {1}
    assert "`oms.a.Packed`, not numbered yet." in pages(new, [])["boxes.v1.md"]


def test_a_page_tells_of_its_topic(catalog: Catalog) -> None:
    page = pages(catalog, [READER])["boxes.v1.md"]

    assert page.startswith("# boxes.v1\n\nBoxes.\n")
    assert ["key", "box id"] in rows(page)
    assert ["partitions", "3"] in rows(page)
    assert ["replicas", "2, of which 1 must have a record"] in rows(page)
    assert ["kept", "7 days"] in rows(page)
    assert ["written by", "a"] in rows(page)
    assert ["read by", "b, strangers"] in rows(page)


def test_a_compacted_topic_keeps_the_newest_of_each_key(catalog: Catalog) -> None:
    (topic,) = catalog.topics
    compacted = replace(topic, config={"cleanup.policy": "compact", "min.insync.replicas": 1}, consumers=())

    page = pages(replace(catalog, topics=(compacted,)), [])["boxes.v1.md"]

    assert ["kept", "the newest record of each key"] in rows(page)
    assert ["read by", "nobody"] in rows(page)


def test_a_page_tells_what_each_service_does_with_each_event(catalog: Catalog) -> None:
    other = replace(READER, service="c", reactions={}, malformed="`refuse`. Emits: Z.")

    told = rows(pages(catalog, [READER, other])["boxes.v1.md"])

    assert ["event", "b", "c"] in told
    assert ["[Packed](#packed)", "`keep`. Emits: X \\| Y.", "skips it"] in told
    assert ["what cannot be decoded", "parks its key", "`refuse`. Emits: Z."] in told


def test_a_page_tells_each_event_with_its_fields_and_its_example(catalog: Catalog) -> None:
    page = pages(catalog, [])["boxes.v1.md"]

    assert "## Packed\n\nA box is packed.\n\n`oms.a.Packed`, version 2, schema id 72. Key: `box_id`, else" in page
    assert rows(page)[-4:] == [
        ["`box_id`", "string", "The box_id.", "", "1"],
        ["`email`", "string", "This \\| that.", "yes", "1"],
        ["`parts`", "list of PackedPart", "Parts.", "", "2"],
        ["`parts[].note`", "string", "The note.", "", "2"],
    ]
    assert '```json\n{"box_id": "b1"}\n```' in page


def test_the_index_leads_to_every_topic_and_event(catalog: Catalog) -> None:
    index = pages(catalog, [READER])["README.md"]

    assert ["[boxes.v1](boxes.v1.md)", "box id", "[Packed](boxes.v1.md#packed)", "a", "b, strangers"] in rows(index)


def reserve(received: object, uow: object) -> None:
    """Reacts to: order.OrderPlaced.  Emits: StockReserved | StockRejected."""


def publish(received: object, uow: object) -> None:
    """Reacts to: inventory.VariantPublished.  Emits: nothing."""


def refuse(received: object, uow: object) -> None:
    """Reacts to: what cannot be decoded.  Emits: a refusal."""


def silent(received: object, uow: object) -> None:
    """Do something."""


def test_a_service_has_a_reader_for_each_topic_of_its_tables() -> None:
    subscription: Subscription[Any] = Subscription(
        "shop-group", {OrderPlaced: reserve, VariantPublished: publish}, foreign={OrderPlaced.TOPIC: refuse}
    )

    catalog_reader, order_reader = readers("shop", [subscription])

    assert (order_reader.service, order_reader.group, order_reader.topic) == ("shop", "shop-group", OrderPlaced.TOPIC)
    assert order_reader.reactions == {"oms.order.OrderPlaced": "`reserve`. Emits: StockReserved | StockRejected."}
    assert order_reader.malformed == "`refuse`. Emits: a refusal."
    assert (catalog_reader.topic, catalog_reader.malformed) == (VariantPublished.TOPIC, None)
    assert StockReserved.FULLNAME not in catalog_reader.reactions


def test_a_handler_that_does_not_say_what_it_reacts_to_has_no_page() -> None:
    with pytest.raises(ValueError, match="silent does not say"):
        reaction(silent)

"""Whatever bytes a record holds, decoding gives an event or says why not: nothing else gets out of it."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import contracts
from schemas.identities import FIRST_ID
from services.chassis.avro import FOLDER_IDS, Codec, FolderSchemas
from services.chassis.errors import UndecodableEvent

SCHEMAS = Path(contracts.__file__).parent
# The contract's examples: class name → the value of a record.
VALUES = {file.stem: bytes.fromhex(file.read_text()) for file in (SCHEMAS / "examples").glob("*/*.hex")}
EVENTS = {event.__name__: event for event in contracts.EVENTS.values()}
CODEC = Codec(contracts.EVENTS, FolderSchemas(SCHEMAS))
# Lengths and counts that are huge, negative or too long to be any number.
ODD = st.sampled_from([b"\xff" * 9 + b"\x01", b"\xfe\xff\xff\xff\x0f", b"\x01", b"\x80" * 20, b"\xff\xfe"])


def test_every_example_decodes_to_its_event() -> None:
    assert set(VALUES) == set(EVENTS)
    for name, value in VALUES.items():
        assert type(CODEC.decode(value, EVENTS[name].FULLNAME)) is EVENTS[name]


def test_an_id_that_a_registry_gave_tells_which_setting_the_services_do_not_share() -> None:
    value = b"\x00" + (7).to_bytes(4) + VALUES["OrderConfirmed"][5:]
    assert FOLDER_IDS == FIRST_ID
    told = f"schema id 7 .from {FIRST_ID} on they are the schema folder's, .* the same SCHEMA_REGISTRY_URL"
    with pytest.raises(UndecodableEvent, match=told):
        CODEC.decode(value, EVENTS["OrderConfirmed"].FULLNAME)


@pytest.mark.parametrize("name", sorted(VALUES))
def test_what_is_cut_off_anywhere_is_undecodable(name: str) -> None:
    for length in range(len(VALUES[name])):
        with pytest.raises(UndecodableEvent):
            CODEC.decode(VALUES[name][:length], EVENTS[name].FULLNAME)


@settings(max_examples=1000, deadline=None)
@given(
    name=st.sampled_from(sorted(VALUES)),
    damages=st.lists(st.tuples(st.integers(0, 10_000), st.one_of(st.binary(max_size=9), ODD)), min_size=1, max_size=4),
    cut=st.one_of(st.none(), st.integers(0, 10_000)),
)
def test_damaged_bytes_are_an_event_or_undecodable(
    name: str, damages: list[tuple[int, bytes]], cut: int | None
) -> None:
    value = VALUES[name]
    for place, damage in damages:
        at = place % len(value)
        value = value[:at] + damage + value[at + 1 :]
    if cut is not None:
        value = value[: cut % len(value)]
    with contextlib.suppress(UndecodableEvent):
        assert type(CODEC.decode(value, EVENTS[name].FULLNAME)) is EVENTS[name]


def test_what_is_wrong_with_bytes_is_said_without_the_bytes() -> None:
    """They may hold personal data, and the text is kept and logged."""
    value = VALUES["OrderPlaced"]
    assert b"example.org" in value
    for damaged in (value[:-1], value + b"x", b"\x05" + value[1:], value[:3], value[:40], value[:150]):
        with pytest.raises(UndecodableEvent) as refused:
            CODEC.decode(damaged, contracts.OrderPlaced.FULLNAME)
        assert "example.org" not in str(refused.value)

"""Rows put into an outbox by hand, for topics and sizes that no handler would choose."""

from services.chassis.events import new_id
from tests.support.services import World


def put_row(world: World, topic: str, key: str, sequence: int, payload: bytes = b"\x00 payload") -> None:
    """Add a row without waking the relay."""
    world.rows(
        """INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, topic, headers, sequence)
           VALUES (:id, 'ledger', :key, 'oms.inventory.StockReleased', :payload, :topic, '{}', :sequence)""",
        id=new_id(),
        key=key,
        payload=payload,
        topic=topic,
        sequence=sequence,
    )

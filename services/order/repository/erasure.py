"""What people wrote about orders that are erased: of the rows of other nouns only their words go."""

from collections.abc import Sequence

from services.chassis.connection import Connection
from services.chassis.statements import sql

# The one change that the history's trigger lets pass.
BLANK_HISTORY = sql("""
UPDATE order_history SET note = NULL WHERE order_id = ANY(:ids ::uuid[]) AND note IS NOT NULL
""")
BLANK_REFUNDS = sql("UPDATE refunds SET note = NULL WHERE order_id = ANY(:ids ::uuid[]) AND note IS NOT NULL")
BLANK_RETURNS = sql("UPDATE returns SET note = NULL WHERE order_id = ANY(:ids ::uuid[]) AND note IS NOT NULL")
# A place is mostly a town, and sometimes a neighbour.
BLANK_CARRIERS_WORDS = sql("""
UPDATE shipment_events e SET message = NULL, place = NULL FROM shipments s
WHERE s.id = e.shipment_id AND s.order_id = ANY(:ids ::uuid[]) AND (e.message IS NOT NULL OR e.place IS NOT NULL)
""")


def blank_words(connection: Connection, order_ids: Sequence[str]) -> None:
    """Blank the notes and carriers' messages of orders whose rows are locked."""
    if order_ids:
        for statement in (BLANK_HISTORY, BLANK_REFUNDS, BLANK_RETURNS, BLANK_CARRIERS_WORDS):
            connection.execute(statement, {"ids": list(order_ids)})

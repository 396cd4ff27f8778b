"""Returns of orders whose rows are locked."""

from pydantic_core import to_json

from services.chassis.connection import Connection
from services.chassis.events import from_micros, new_id, to_micros
from services.chassis.results import Row
from services.chassis.statements import sql
from services.order.domain.returns import Disposition, Identity, Return, ReturnLine, ReturnStatus

OF_ORDER = sql("""
SELECT id::text, order_id::text, return_number, status, expected, note, decline_reason, lines, requested_at,
       decided_at, received_at
FROM returns WHERE order_id = :order_id ::uuid ORDER BY requested_at, id
""")
DRAW_NUMBER = sql("""
SELECT nextval('return_numbers') AS number, (SELECT value FROM facts WHERE name = 'return_number_key') AS key
""")
INSERT = sql("""
INSERT INTO returns (id, order_id, return_number, status, expected, note, decline_reason, lines, requested_at,
                     decided_at, received_at)
VALUES (:id ::uuid, :order_id ::uuid, :number, :status, :expected, :note, :decline_reason, :lines ::jsonb,
        :requested_at, :decided_at, :received_at)
""")
UPDATE = sql("""
UPDATE returns SET status = :status, decline_reason = :decline_reason, lines = :lines ::jsonb,
    decided_at = :decided_at, received_at = :received_at
WHERE id = :id ::uuid
""")


class Returns:
    """The returns that one transaction looks at."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, order_id: str) -> list[Return]:
        """Return an order's returns, oldest first."""
        return [_return(row) for row in self._connection.execute(OF_ORDER, {"order_id": order_id})]

    def new_identity(self) -> Identity:
        """Return what a new return is called."""
        drawn = self._connection.execute(DRAW_NUMBER).one()
        return Identity(return_id=new_id(), count=drawn.number, number_key=bytes.fromhex(drawn.key))

    def add(self, one: Return) -> None:
        """Keep a new return."""
        parameters = {
            "order_id": one.order_id,
            "number": one.number,
            "expected": one.expected,
            "note": one.note,
            "requested_at": from_micros(one.requested_at),
        }
        self._connection.execute(INSERT, parameters | _state(one))

    def update(self, one: Return) -> None:
        """Keep what became of a return."""
        self._connection.execute(UPDATE, _state(one))


def _state(one: Return) -> dict[str, object]:
    return {
        "id": one.id,
        "status": one.status.value,
        "decline_reason": one.decline_reason,
        "lines": to_json([_line_values(line) for line in one.lines]).decode(),
        "decided_at": None if one.decided_at is None else from_micros(one.decided_at),
        "received_at": None if one.received_at is None else from_micros(one.received_at),
    }


def _line_values(line: ReturnLine) -> dict[str, object]:
    return {
        "item_id": line.item_id,
        "sku": line.sku,
        "quantity": line.quantity,
        "reason": line.reason,
        "received": line.received,
        "damaged": line.damaged,
        "restocked": line.restocked,
        "disposition": line.disposition and line.disposition.value,
    }


def _return(row: Row) -> Return:
    return Return(
        id=row.id,
        order_id=row.order_id,
        number=row.return_number,
        status=ReturnStatus(row.status),
        expected=row.expected,
        note=row.note,
        decline_reason=row.decline_reason,
        lines=tuple(
            ReturnLine(**{**line, "disposition": line["disposition"] and Disposition(line["disposition"])})
            for line in row.lines
        ),
        requested_at=to_micros(row.requested_at),
        decided_at=None if row.decided_at is None else to_micros(row.decided_at),
        received_at=None if row.received_at is None else to_micros(row.received_at),
    )

"""Edits of orders whose rows are locked."""

from collections.abc import Sequence

from pydantic_core import to_json

from services.chassis.connection import Connection
from services.chassis.events import from_micros, to_micros
from services.chassis.results import Row
from services.chassis.statements import sql
from services.order.domain.history import Actor
from services.order.domain.lines import OrderLine, Shortage
from services.order.domain.revisions import Revision, RevisionReason, RevisionStatus

_COLUMNS = """r.order_id::text, r.revision, r.status, r.lines, r.totals, r.reason, r.shortages, r.actor_type,
    r.actor_id, r.created_at, r.settled_at"""
FIND = sql(f"""
SELECT {_COLUMNS} FROM order_revisions r WHERE r.order_id = :order_id ::uuid AND r.revision = :revision
""")
NEWEST = sql(f"""
SELECT {_COLUMNS} FROM orders o JOIN order_revisions r ON r.order_id = o.id AND r.revision = o.revision
WHERE o.id = ANY(:ids ::uuid[])
""")
INSERT = sql("""
INSERT INTO order_revisions (order_id, revision, status, lines, totals, reason, shortages, actor_type, actor_id,
                             created_at, settled_at)
VALUES (:order_id ::uuid, :revision, :status, :lines ::jsonb, :totals ::jsonb, :reason, :shortages ::jsonb,
        :actor_type, :actor_id, :created_at, :settled_at)
""")
UPDATE = sql("""
UPDATE order_revisions SET status = :status, reason = :reason, shortages = :shortages ::jsonb,
    settled_at = :settled_at
WHERE order_id = :order_id ::uuid AND revision = :revision
""")
_TOTALS = (
    *("subtotal_minor", "discount_minor", "shipping_minor", "tax_minor", "total_minor"),
    *("previous_total_minor", "recorded_minor"),
)


class Revisions:
    """The edits that one transaction looks at."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, order_id: str, revision: int) -> Revision | None:
        """Return an order's edit by its number, None where there is none."""
        row = self._connection.execute(FIND, {"order_id": order_id, "revision": revision}).first()
        return None if row is None else _revision(row)

    def add(self, revision: Revision) -> None:
        """Keep a new edit."""
        parameters = {
            "lines": to_json(revision.lines).decode(),
            "totals": to_json({name: getattr(revision, name) for name in _TOTALS}).decode(),
            "actor_type": revision.actor.type,
            "actor_id": revision.actor.id,
            "created_at": from_micros(revision.created_at),
        }
        self._connection.execute(INSERT, parameters | _state(revision))

    def update(self, revision: Revision) -> None:
        """Keep what became of an edit."""
        self._connection.execute(UPDATE, _state(revision))


def newest_of_orders(connection: Connection, order_ids: Sequence[str]) -> dict[str, Revision]:
    """Return the newest edit of each order that has any."""
    if not order_ids:
        return {}
    rows = connection.execute(NEWEST, {"ids": list(order_ids)})
    return {row.order_id: _revision(row) for row in rows}


def _state(revision: Revision) -> dict[str, object]:
    shortages = [[s.sku, s.requested, s.available, s.expected_at] for s in revision.shortages]
    return {
        "order_id": revision.order_id,
        "revision": revision.revision,
        "status": revision.status.value,
        "reason": revision.reason and revision.reason.value,
        "shortages": to_json(shortages).decode(),
        "settled_at": None if revision.settled_at is None else from_micros(revision.settled_at),
    }


def _revision(row: Row) -> Revision:
    return Revision(
        order_id=row.order_id,
        revision=row.revision,
        status=RevisionStatus(row.status),
        lines=tuple(OrderLine(**line) for line in row.lines),
        **row.totals,
        reason=row.reason and RevisionReason(row.reason),
        shortages=tuple(Shortage(*shortage) for shortage in row.shortages),
        actor=Actor(type=row.actor_type, id=row.actor_id),
        created_at=to_micros(row.created_at),
        settled_at=None if row.settled_at is None else to_micros(row.settled_at),
    )

"""Saved addresses: locked by those who change them, read by those who place orders with them."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic_core import to_json

from services.chassis.connection import Connection
from services.chassis.events import from_micros, to_micros
from services.chassis.results import Row
from services.chassis.statements import sql
from services.order.domain.addresses import Known, SavedAddress
from services.order.domain.drafts import OrderDraft

_COLUMNS = "id::text, customer_id, label, fields, version, created_at, updated_at"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
LOCK = sql(f"""
SELECT {_COLUMNS} FROM addresses WHERE id = ANY(:ids ::uuid[]) ORDER BY id FOR UPDATE
""")
READ = sql("SELECT id::text, customer_id, fields FROM addresses WHERE id = ANY(:ids ::uuid[])")
FIND = sql(f"""
SELECT {_COLUMNS} FROM addresses WHERE id = :id ::uuid AND (:customer_id ::text IS NULL OR customer_id = :customer_id)
""")
PAGE = sql(f"""
SELECT {_COLUMNS} FROM addresses
WHERE customer_id = :customer_id
    AND (:after_id ::uuid IS NULL OR (created_at, id) > (:after_time ::timestamptz, :after_id ::uuid))
ORDER BY created_at, id LIMIT :limit
""")
INSERT = sql("""
INSERT INTO addresses (id, customer_id, label, fields, version, created_at, updated_at)
VALUES (:id ::uuid, :customer_id, :label, :fields ::jsonb, :version, :created_at, :updated_at)
""")
UPDATE = sql("""
UPDATE addresses SET label = :label, fields = :fields ::jsonb, version = :version, updated_at = :updated_at
WHERE id = :id ::uuid
""")
ERASE = sql("DELETE FROM addresses WHERE customer_id = :customer_id")
DELETE = sql("DELETE FROM addresses WHERE id = :id ::uuid")


class Addresses:
    """The saved addresses that one transaction looks at.

    Attributes:
        known: what the drafts of this transaction name.

    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._locked: dict[str, SavedAddress] = {}
        self.known: Known = {}

    def lock(self, address_ids: Iterable[str]) -> None:
        """Lock addresses that commands change, sorted."""
        wanted = _ids(address_ids)
        if wanted:
            self._locked = {row.id: _address(row) for row in self._connection.execute(LOCK, {"ids": wanted})}

    def erase(self, customer_id: str) -> int:
        """Delete all addresses that a customer saved, and return how many; orders have their own."""
        return self._connection.execute(ERASE, {"customer_id": customer_id}).rowcount

    def load(self, drafts: Iterable[OrderDraft]) -> None:
        """Read the addresses that drafts name by their ids: one statement, none where they name none."""
        named = {i for draft in drafts for i in (draft.shipping_address_id, draft.billing_address_id) if i is not None}
        wanted = _ids(named)
        if wanted:
            rows = self._connection.execute(READ, {"ids": wanted})
            found = {row.id: row for row in rows}
            self.known = {
                (row.customer_id, name): row.fields for name in named if (row := found.get(name.lower())) is not None
            }

    def locked(self, address_id: str) -> SavedAddress | None:
        """Return an address that is locked, None where there is none."""
        return self._locked.get(address_id.lower())

    def find(self, address_id: str, customer_id: str | None) -> SavedAddress | None:
        """Return an address, of a customer unless that is None."""
        if _UUID.fullmatch(address_id) is None:
            return None
        row = self._connection.execute(FIND, {"id": address_id, "customer_id": customer_id}).first()
        return None if row is None else _address(row)

    def page(self, customer_id: str, after: tuple[Any, ...] | None, limit: int) -> list[SavedAddress]:
        """Return a customer's addresses, oldest first, from behind `after` = (time, id)."""
        time, last = after or (None, None)
        wanted = {"customer_id": customer_id, "after_time": time, "after_id": last, "limit": limit}
        return [_address(row) for row in self._connection.execute(PAGE, wanted)]

    def add(self, address: SavedAddress) -> None:
        """Keep a new address."""
        parameters = {"customer_id": address.customer_id, "created_at": from_micros(address.created_at)}
        self._connection.execute(INSERT, parameters | _changing(address))

    def update(self, address: SavedAddress) -> None:
        """Write an address that is locked."""
        self._connection.execute(UPDATE, _changing(address))

    def delete(self, address: SavedAddress) -> None:
        """Delete an address that is locked."""
        self._connection.execute(DELETE, {"id": address.id})


def _ids(texts: Iterable[str]) -> list[str]:
    # Whatever else was sent is nobody's, and PostgreSQL cannot even be asked for it.
    return sorted({text.lower() for text in texts if _UUID.fullmatch(text)})


def _changing(address: SavedAddress) -> dict[str, object]:
    return {
        "id": address.id,
        "label": address.label,
        "fields": to_json(dict(address.fields)).decode(),
        "version": address.version,
        "updated_at": from_micros(address.updated_at),
    }


def _address(row: Row) -> SavedAddress:
    return SavedAddress(
        id=row.id,
        customer_id=row.customer_id,
        label=row.label,
        fields=row.fields,
        version=row.version,
        created_at=to_micros(row.created_at),
        updated_at=to_micros(row.updated_at),
    )

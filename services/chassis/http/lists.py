"""Lists in pages: `limit`, an opaque `cursor`, and `{"data": […], "next_cursor": …}`.

A cursor holds the position of the last row that was shown: the values of the sort key, ending in a unique one. The
next page asks for what lies behind them (keyset), so rows that come or go meanwhile neither shift nor repeat others.
A cursor is bound to the filters and the order it was made with; one of another list is refused, not misread.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import GenericAlias
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from services.chassis.http.models import Moment, Query
from services.chassis.http.problems import refused
from services.chassis.http.shapes import shape, text
from services.chassis.idempotency import Answer

R = TypeVar("R")
Position = tuple[datetime | int | str, ...]
_STRICT = ConfigDict(strict=True)
# What PostgreSQL can compare with a column: a forged value is refused here, not by the database.
_KINDS: dict[type, Any] = {
    datetime: Moment,
    int: Annotated[int, Field(ge=-(2**63), lt=2**63)],
    UUID: Annotated[str, shape(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "a UUID")],
    str: Annotated[str, text(most=512)],
}


class PageQuery(Query):
    """The query parameters of every list; a list adds its filters."""

    limit: int = Field(20, ge=1, le=100, description="rows on a page")
    cursor: str | None = Field(None, max_length=2000, description="`next_cursor` of the page before")


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of a list is asked for.

    Args:
        limit: rows on the page.
        after: position of the last row of the page before; None asks for the first page.
        fingerprint: of the filters and the order.

    """

    limit: int
    after: Position | None
    fingerprint: str

    @property
    def fetch(self) -> int:
        """Rows to read: one more than are shown, which tells whether there is a next page."""
        return self.limit + 1

    def answer(self, rows: Sequence[R], *, position: Callable[[R], Position], show: Callable[[R], BaseModel]) -> Answer:
        """Return the page.

        Args:
            rows: up to `fetch` rows, in order, from behind `after`.
            position: a row's values of the sort key.
            show: a row's representation.

        """
        shown = rows[: self.limit]
        cursor = self._cursor(position(shown[-1])) if len(rows) > self.limit else None
        body = to_json({"data": [show(row) for row in shown], "next_cursor": cursor}, by_alias=True)
        return Answer(200, body, {})

    def _cursor(self, position: Position) -> str:
        return base64.urlsafe_b64encode(to_json([self.fingerprint, *position])).rstrip(b"=").decode()


def paging(query: PageQuery, *kinds: type) -> Paging:
    """Return the page that a query asks for.

    Args:
        query: the endpoint's query; all of it but `limit` and `cursor` is filters and order.
        kinds: types of the sort key's values: `datetime`, `int`, `str`, or `UUID` for a string that is one.

    Raises:
        Problem: 400 `invalid_cursor`.

    """
    filters = query.model_dump(mode="json", exclude={"limit", "cursor"})
    told = json.dumps([type(query).__name__, filters], sort_keys=True)
    fingerprint = hashlib.sha256(told.encode()).hexdigest()[:16]
    after = None if query.cursor is None else _position(query.cursor, fingerprint, kinds)
    return Paging(query.limit, after, fingerprint)


def _position(cursor: str, fingerprint: str, kinds: tuple[type, ...]) -> Position:
    try:
        document = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found, *values = _adapter(kinds).validate_json(document)
    except (ValueError, binascii.Error, ValidationError) as error:
        raise _invalid("is not one that this API made") from error
    if found != fingerprint:
        raise _invalid("belongs to another list, other filters or another order")
    return tuple(values)


@lru_cache(maxsize=64)
def _adapter(kinds: tuple[type, ...]) -> TypeAdapter[Any]:
    shape: Any = GenericAlias(tuple, (str, *(_KINDS[kind] for kind in kinds)))
    return TypeAdapter(shape, config=_STRICT)


def _invalid(fault: str) -> Exception:
    detail = f"cursor {fault}; send `next_cursor` of the page before with the same filters, or none"
    return refused("invalid_cursor", detail, [{"parameter": "cursor", "code": "invalid_cursor", "detail": detail}])

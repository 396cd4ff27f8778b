"""The base classes of what a request may carry. Both are closed: what they do not name is refused."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

_DATED = re.compile(r"\d{4}-\d\d-\d\d")
_QUOTED = 100


def _dated(value: object) -> object:
    """Refuse seconds since 1970, which pydantic takes for a time and no document tells of."""
    if isinstance(value, str) and not _DATED.match(value):
        raise ValueError(f"{value[:_QUOTED]!r} is no time such as 2026-01-31T12:00:00Z (RFC 3339)")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is beyond the years 1 to 9999 in UTC") from error


# A time with its zone, that is one of the years which both Python and PostgreSQL know.
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
# The same as a query parameter. Not in JSON: behind a function of ours pydantic's strict mode takes no text for a time.
QueryMoment = Annotated[Moment, BeforeValidator(_dated)]


class Body(BaseModel):
    """A JSON object in a request. Types are strict: "1" is no number, 1 is no string, 1.0 is no integer."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Query(BaseModel):
    """The query parameters of an endpoint, by their aliases; their strings are converted to the fields' types."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ReadAlone:
    """Documents a member of a body as a model, and takes any value: `read_member` validates it, and it alone.

    Args:
        model: what is documented.

    """

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the JSON Schema; called by pydantic."""
        return handler(self._model.__pydantic_core_schema__)

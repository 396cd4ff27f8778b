"""The base classes of what a request may carry. Both are closed: what they do not name is refused."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is beyond the years 1 to 9999 in UTC") from error


# A time with its zone, that is one of the years which both Python and PostgreSQL know.
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Body(BaseModel):
    """A JSON object in a request. Types are strict: "1" is no number, 1 is no string, 1.0 is no integer."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Query(BaseModel):
    """The query parameters of an endpoint, by their aliases; their strings are converted to the fields' types."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

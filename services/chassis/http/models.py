"""The base classes of what a request may carry. Both are closed: what they do not name is refused."""

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """A JSON object in a request. Types are strict: "1" is no number, 1 is no string, 1.0 is no integer."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Query(BaseModel):
    """The query parameters of an endpoint, by their aliases; their strings are converted to the fields' types."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

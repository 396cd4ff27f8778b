"""The shapes of what every API answers, as OpenAPI shows them. Nothing is validated with these."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    pointer: str | None = Field(None, description="JSON Pointer (RFC 6901) into the body", examples=["/items/0/sku"])
    parameter: str | None = Field(None, description="name of the path or query parameter, or of the header")
    code: str = Field(description="stable code of the fault", examples=["unknown_field"])
    detail: str = Field(description="what is wrong, and what would be right")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457). Some codes add members of their own."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="the code as a URI", examples=["urn:oms:problem:invalid_request"])
    title: str = Field(description="what the code means")
    status: int = Field(description="the HTTP status code")
    code: str = Field(description="stable code to branch on", examples=["invalid_request"])
    detail: str = Field(description="names the offender and the valid options; for people")
    errors: list[Fault] = Field(description="every fault that was found; may be empty")
    trace_id: str | None = Field(description="W3C trace id; find the request's log lines by it")


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    data: list[T]
    next_cursor: str | None = Field(description="send it as `cursor` to get the next page; null on the last one")

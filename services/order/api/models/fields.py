"""What the fields of requests and answers look like, whatever they are of."""

from typing import Annotated, TypeVar

from pydantic import Field, StringConstraints

from services.order.domain.requests import EMAIL, MAX_ADDRESS_FIELD, MAX_EMAIL, MAX_ID, MAX_NOTES

T = TypeVar("T")


# PostgreSQL's text holds every character but NUL.
NO_NUL = r"^[^\x00]*$"


Id = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID, pattern=NO_NUL)]


Notes = Annotated[str, StringConstraints(max_length=MAX_NOTES, pattern=NO_NUL)]


# It travels in events, where nobody's words belong.
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]


AddressField = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ADDRESS_FIELD, pattern=NO_NUL)]


Email = Annotated[str, StringConstraints(max_length=MAX_EMAIL, pattern=EMAIL)]


Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


# A decimal string: a JSON number would have been a float on its way.
Money = Annotated[
    str, StringConstraints(pattern=r"^\d{1,12}(\.\d{1,4})?$"), Field(examples=["19.99"], description="decimal string")
]

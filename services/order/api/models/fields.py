"""What the fields of requests and answers look like, whatever they are of."""

from typing import Annotated, TypeVar

from services.chassis.http.shapes import shape, text
from services.order.domain.requests import MAX_ADDRESS_FIELD, MAX_EMAIL, MAX_ID, MAX_NOTES
from services.order.domain.shapes import EMAIL, NOT_BLANK

T = TypeVar("T")


Id = Annotated[str, text(least=1, most=MAX_ID)]


Notes = Annotated[str, text(most=MAX_NOTES)]


# It travels in events, where nobody's words belong.
Code = Annotated[str, shape(r"^[a-z0-9_]{1,40}$", "1 to 40 of a-z, 0-9 and _")]


AddressField = Annotated[str, text(least=1, most=MAX_ADDRESS_FIELD)]


RequiredAddressField = Annotated[str, shape(*NOT_BLANK, least=1, most=MAX_ADDRESS_FIELD)]


Email = Annotated[str, shape(*EMAIL, most=MAX_EMAIL)]

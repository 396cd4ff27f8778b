"""What the fields of requests and answers look like, whatever they are of."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import ValidationInfo

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


def goes_with_status(value: T, info: ValidationInfo, goes_with: Mapping[str, StrEnum], always: str) -> T:
    """Return a field's value, unless it would be dropped without a word.

    Args:
        value: what was sent, None for nothing.
        info: names the field; its model's `status` has been read before.
        goes_with: field → the one status that it goes with.
        always: the field that goes with every status.

    Raises:
        ValueError: the status is another one; says what that one takes.

    """
    # A status that is none is a fault of its own.
    status, wanted = info.data.get("status"), goes_with[info.field_name or ""]
    if value is not None and status not in (None, wanted):
        valid = ", ".join([always, *(name for name, other in goes_with.items() if other is status)])
        raise ValueError(f"goes with status {wanted} only; status {status} takes {valid}")
    return value

"""Postal addresses."""

from typing import Annotated

from pydantic import Field, StringConstraints

from services.chassis.http.models import Body
from services.order.api.models.fields import AddressField
from services.order.domain.requests import COUNTRY


class Address(Body):
    """A postal address."""

    first_name: AddressField
    last_name: AddressField
    company: AddressField | None = None
    address1: AddressField
    address2: AddressField | None = None
    city: AddressField
    state_province: AddressField | None = None
    postal_code: AddressField
    country_code: Annotated[str, StringConstraints(pattern=COUNTRY)] = Field(examples=["DE"])
    phone: AddressField | None = None

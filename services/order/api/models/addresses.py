"""Postal addresses, and those that customers keep."""

from datetime import datetime
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from services.chassis.http.lists import PageQuery
from services.chassis.http.models import Body
from services.chassis.http.shapes import shape
from services.order.api.models.fields import AddressField, Id, RequiredAddressField
from services.order.domain.shapes import COUNTRY


class Address(Body):
    """A postal address."""

    first_name: RequiredAddressField
    last_name: RequiredAddressField
    company: AddressField | None = None
    address1: RequiredAddressField
    address2: AddressField | None = None
    city: RequiredAddressField
    state_province: AddressField | None = None
    postal_code: RequiredAddressField
    country_code: Annotated[str, shape(*COUNTRY)] = Field(examples=["DE"])
    phone: AddressField | None = None


def _form(value: object) -> str | None:
    return "saved" if isinstance(value, str) else "inline" if isinstance(value, dict) else None


# Told apart by its form, so that the faults of one are not mixed with what the other would have needed.
AddressOrId = Annotated[
    Annotated[Address, Tag("inline")] | Annotated[Id, Tag("saved")],
    Discriminator(
        _form,
        custom_error_type="address_type",
        custom_error_message="must be an address, which is an object, or the id of a saved one",
    ),
]


class AddressUpdate(Address):
    """All of a saved address."""

    label: Id | None = Field(default=None, description="the customer's own name for it", examples=["home"])


class AddressCreate(AddressUpdate):
    """An address to keep."""

    customer_id: Id | None = Field(default=None, description="role service, which must name whose it is")


class SavedAddress(Address):
    """An address that a customer keeps; orders are placed with its `id`."""

    id: str
    customer_id: str
    label: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class AddressQuery(PageQuery):
    """Whose addresses are meant."""

    customer_id: Id | None = Field(default=None, description="role service, which must name whose they are")

"""Addresses that customers keep."""

from collections.abc import Sequence
from typing import Any

from services.chassis.commands import Submitted
from services.chassis.events import new_id
from services.order.domain.addresses import ChangeAddress, DeleteAddress, SaveAddress, SavedAddress, changed, saved
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.unit_of_work import OrderUnitOfWork


def save_address(submitted: Submitted[SaveAddress], uow: OrderUnitOfWork) -> SavedAddress:
    """Keep a new address.  Emits: nothing."""
    address = saved(submitted.command, new_id(), uow.now)
    uow.addresses.add(address)
    return address


def change_address(submitted: Submitted[ChangeAddress], uow: OrderUnitOfWork) -> SavedAddress | Refusal:
    """Replace a saved address; orders that were placed with it stay as they are.  Emits: nothing."""
    address = _address_of(submitted.command, uow)
    if isinstance(address, Refusal):
        return address
    address = changed(address, submitted.command, uow.now)
    uow.addresses.update(address)
    return address


def delete_address(submitted: Submitted[DeleteAddress], uow: OrderUnitOfWork) -> SavedAddress | Refusal:
    """Forget a saved address; orders that were placed with it stay as they are.  Emits: nothing."""
    address = _address_of(submitted.command, uow)
    if not isinstance(address, Refusal):
        uow.addresses.delete(address)
    return address


def find_address(uow: OrderUnitOfWork, address_id: str, customer_id: str | None) -> SavedAddress | None:
    """Return a saved address, None where there is none, or none of this customer (None: of anybody)."""
    return uow.addresses.find(address_id, customer_id)


def view_addresses(
    uow: OrderUnitOfWork, customer_id: str, after: tuple[Any, ...] | None, limit: int
) -> Sequence[SavedAddress]:
    """Return a page of a customer's addresses, oldest first."""
    return uow.addresses.page(customer_id, after, limit)


def _address_of(command: ChangeAddress | DeleteAddress, uow: OrderUnitOfWork) -> SavedAddress | Refusal:
    address = uow.addresses.locked(command.address_id)
    if address is None or command.customer_id not in (None, address.customer_id):
        return Refusal(RefusalCode.ADDRESS_NOT_FOUND, f"there is no saved address {command.address_id!r} for you")
    if command.expected_versions is not None and address.version not in command.expected_versions:
        detail = f"the address has version {address.version}; read it again"
        return Refusal(RefusalCode.VERSION_CHANGED, detail, facts={"version": address.version})
    return address

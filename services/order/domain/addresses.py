"""Addresses that customers keep, to order without typing them again.

Invariant: an order holds its addresses itself. What becomes of a saved one afterwards changes no order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.order.domain.drafts import Address, OrderDraft
from services.order.domain.refusals import Fault

# (customer, id of the address) → its fields.
Known = Mapping[tuple[str, str], Address]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedAddress:
    """An address of a customer; times in microseconds since the epoch.

    Args:
        label: the customer's own name for it.
        version: counts its changes, from 1.

    """

    id: str
    customer_id: str
    label: str | None
    fields: Address
    version: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveAddress:
    """Keep a new address for a customer."""

    customer_id: str
    label: str | None
    fields: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAddress:
    """Replace all of a saved address.

    Args:
        customer_id: whose it has to be; None for anybody's.

    """

    address_id: str
    customer_id: str | None
    label: str | None
    fields: Address
    expected_versions: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAddress:
    """Forget a saved address; see `ChangeAddress`."""

    address_id: str
    customer_id: str | None
    expected_versions: frozenset[int] | None = None


def saved(command: SaveAddress, address_id: str, now: int) -> SavedAddress:
    """Return a new saved address."""
    return SavedAddress(
        id=address_id,
        customer_id=command.customer_id,
        label=command.label,
        fields=command.fields,
        version=1,
        created_at=now,
        updated_at=now,
    )


def changed(address: SavedAddress, command: ChangeAddress, now: int) -> SavedAddress:
    """Return a saved address as it is after a change."""
    return replace(address, label=command.label, fields=command.fields, version=address.version + 1, updated_at=now)


def with_addresses(draft: OrderDraft, known: Known) -> tuple[OrderDraft, list[Fault]]:
    """Put saved addresses into a draft that names them.

    Args:
        draft: what is wanted.
        known: saved addresses, at least those that the draft names.

    Returns:
        The draft, and a fault for each address that is not its customer's.

    """
    faults, found = [], {}
    for name, address_id in (
        ("shipping_address", draft.shipping_address_id),
        ("billing_address", draft.billing_address_id),
    ):
        if address_id is None:
            continue
        address = known.get((draft.customer_id or "", address_id))
        if address is None:
            detail = "the customer has no saved address with this id; send one of theirs, or the address itself"
            faults.append(Fault(f"/{name}", "unknown_address", detail))
        else:
            found[name] = address
    return (replace(draft, **found) if found else draft), faults  # type: ignore[arg-type]  # fields by their names

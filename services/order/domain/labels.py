"""What stands on the labels of parcels: who sends what to whom, under which number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.order.domain.lines import by_location
from services.order.domain.orders import Order, OrderContent
from services.order.domain.parcels import Parcels
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.shipments import Shipment, numbered
from services.order.domain.statuses import OrderStatus

Address = Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One label.

    Args:
        number: of the shipment; its barcode.
        ship_from: lines of an address, at least one.
        ship_to: the same.
        carrier: who carries it, or by which shipping method it goes.
        tracking_number: the carrier's, once it has one.
        units: how many are in the parcel.

    """

    number: str
    order_number: str
    location: str
    ship_from: tuple[str, ...]
    ship_to: tuple[str, ...]
    carrier: str
    tracking_number: str | None = None
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLabels:
    """Whose labels are wanted.

    Args:
        shipment: id or number of a shipment that was made; None for what is still to ship.
        vendor_id: only of this vendor's parcels; None for those of whoever packs everything.
        locations: only of what leaves there; None for everywhere.

    """

    shipment: str | None = None
    vendor_id: str | None = None
    locations: frozenset[str] | None = None


def labels_of(
    order: Order,
    content: OrderContent,
    shipments: Sequence[Shipment],
    parcels: Parcels,
    wanted: WantedLabels,
    *,
    ship_from: Mapping[str, Address],
) -> list[Label] | Refusal:
    """Return the labels of an order: of a shipment that was made, or of those that are to be made next.

    What is to ship has a label a location, with the number that its packer's next shipment there takes.

    Args:
        order: with what is held for it.
        content: its lines, and where they go.
        shipments: those that were made.
        parcels: the numbers of those to come.
        wanted: which labels.
        ship_from: location → address of the sender.

    """
    if wanted.shipment is None:
        return _of_what_is_to_ship(order, content, parcels, wanted, ship_from)
    for shipment in shipments:
        if wanted.shipment in (shipment.id, shipment.number) and _is_wanted(shipment, content, wanted):
            return [_of_shipment(order, content, shipment, ship_from)]
    detail = f"order {order.number} has no shipment {wanted.shipment!r} for you"
    return Refusal(RefusalCode.SHIPMENT_NOT_FOUND, detail)


def address_lines(address: Address) -> tuple[str, ...]:
    """Return an address as it is written on a parcel, without what it does not have."""
    name = _joined(address, "first_name", "last_name")
    town = _joined(address, "postal_code", "city")
    region = _joined(address, "state_province", "country_code")
    rows = (name, _joined(address, "company"), _joined(address, "address1"), _joined(address, "address2"), town, region)
    return tuple(row for row in rows if row)


def _of_what_is_to_ship(
    order: Order, content: OrderContent, parcels: Parcels, wanted: WantedLabels, ship_from: Mapping[str, Address]
) -> list[Label] | Refusal:
    if order.status is not OrderStatus.PROCESSING:
        detail = f"order {order.number} is {order.status}; labels of what is to ship are there while it is processing"
        return Refusal(RefusalCode.LABEL_NOT_AVAILABLE, detail)
    goods = by_location(content.lines, order.held)
    units: dict[str, int] = {}
    for line, location, n in goods:
        if wanted.vendor_id in (None, line.vendor_id) and (wanted.locations is None or location in wanted.locations):
            units[location] = units.get(location, 0) + n
    numbers = parcels.for_goods(goods)
    labels = [
        Label(
            number=numbered(order, numbers.number_of(wanted.vendor_id, location)),
            order_number=order.number,
            location=location,
            ship_from=_sender(location, ship_from),
            ship_to=address_lines(content.shipping_address),
            carrier=content.shipping_method,
            units=n,
        )
        for location, n in units.items()
    ]
    if not labels:
        detail = f"nothing of order {order.number} is left for you to ship; name a shipment that was made"
        return Refusal(RefusalCode.LABEL_NOT_AVAILABLE, detail)
    return labels


def _is_wanted(shipment: Shipment, content: OrderContent, wanted: WantedLabels) -> bool:
    own = {line.item_id for line in content.lines if wanted.vendor_id in (None, line.vendor_id)}
    held = any(item_id in own for item_id, _, _ in shipment.lines)
    return held and (wanted.locations is None or shipment.location in wanted.locations)


def _of_shipment(order: Order, content: OrderContent, shipment: Shipment, ship_from: Mapping[str, Address]) -> Label:
    return Label(
        number=shipment.number,
        order_number=order.number,
        location=shipment.location,
        ship_from=_sender(shipment.location, ship_from),
        ship_to=address_lines(content.shipping_address),
        carrier=shipment.carrier,
        tracking_number=shipment.tracking_number,
        units=sum(n for _, _, n in shipment.lines),
    )


def _sender(location: str, ship_from: Mapping[str, Address]) -> tuple[str, ...]:
    return address_lines(ship_from.get(location, {})) or (location,)


def _joined(address: Address, *names: str) -> str:
    return " ".join(value for name in names if (value := address.get(name)))

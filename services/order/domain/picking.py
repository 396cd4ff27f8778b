"""What a shipment takes, and from where: units of lines that have not left, from one location that holds them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.order.domain.lines import DEFAULT_LOCATION, OrderLine
from services.order.domain.orders import Order, OrderContent
from services.order.domain.refusals import Fault, Refusal, RefusalCode
from services.order.domain.statuses import OrderStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody wants to ship.

    Args:
        units: item id → units; None for all that is left.
        location: where it leaves; None where that goes without saying.
        vendor_id: whose lines alone the caller may ship; None for all.
        locations: from where alone the caller may ship; None for everywhere.

    """

    units: Mapping[str, int] | None = None
    location: str | None = None
    vendor_id: str | None = None
    locations: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Pick:
    """Units of lines (item id → number, in the order of the lines) that leave one location together."""

    location: str
    units: Mapping[str, int]


def pick(order: Order, content: OrderContent, wanted: Wanted, places: Sequence[str] = ()) -> Pick | Refusal:
    """Return what leaves, and from where, or why not.

    Args:
        order: what is held for it, by location; nothing has to be held for goods that nobody should have sent.
        content: its lines.
        wanted: what somebody wants.
        places: where its goods lay when they were handed over, as far as that is known.

    """
    own = [line for line in content.lines if wanted.vendor_id in (None, line.vendor_id)]
    if not any(line.unshipped for line in own):
        detail = f"nothing of order {order.number} is left to ship"
        return Refusal(RefusalCode.MORE_THAN_LEFT, detail)
    faults = _faults(order, own, wanted.units or {})
    if faults:
        return Refusal(RefusalCode(faults[0].code), faults[0].detail, faults)
    if order.status is OrderStatus.CANCELLED:
        return _unheld(order, own, wanted, places)
    held = _held(order, own, wanted.locations)
    if wanted.location is None:
        return _from_the_only(order, own, wanted, held)
    if wanted.location not in held:
        return _no_such_place(wanted.location, sorted(held))
    return _from(order, own, wanted, wanted.location, held[wanted.location])


def _faults(order: Order, own: Sequence[OrderLine], units: Mapping[str, int]) -> list[Fault]:
    lines = {line.item_id: line for line in own}
    faults = []
    for i, (item_id, n) in enumerate(units.items()):
        line = lines.get(item_id)
        if line is None:
            detail = f"order {order.number} has no item {item_id!r} for you; it has {', '.join(lines)}"
            faults.append(Fault(f"/items/{i}/item_id", RefusalCode.UNKNOWN_ITEM.value, detail))
        elif n > line.unshipped:
            detail = f"{line.unshipped} of {line.sku!r} are left to ship, not {n}"
            faults.append(Fault(f"/items/{i}/quantity", RefusalCode.MORE_THAN_LEFT.value, detail))
    return faults


def _held(order: Order, own: Sequence[OrderLine], locations: frozenset[str] | None) -> dict[str, dict[str, int]]:
    """Return location → SKU → units, as far as the caller may ship them."""
    skus = {line.sku for line in own}
    held: dict[str, dict[str, int]] = {}
    for place in order.held:
        if place.sku in skus and (locations is None or place.location in locations):
            there = held.setdefault(place.location, {})
            there[place.sku] = there.get(place.sku, 0) + place.quantity
    return held


def _from_the_only(
    order: Order, own: Sequence[OrderLine], wanted: Wanted, held: Mapping[str, Mapping[str, int]]
) -> Pick | Refusal:
    units = wanted.units or {line.item_id: line.unshipped for line in own if line.unshipped}
    needed = _by_sku(own, units)
    able = [place for place, there in held.items() if all(there.get(sku, 0) >= n for sku, n in needed.items())]
    if len(able) == 1:
        return _from(order, own, wanted, able[0], held[able[0]])
    places = "; ".join(f"{place!r} has {_listed(there)}" for place, there in sorted(held.items()))
    detail = f"name the location that it leaves, and ship one location at a time: {places or 'nothing is held for you'}"
    return _which_place(detail, sorted(held))


def _from(
    order: Order, own: Sequence[OrderLine], wanted: Wanted, location: str, there: Mapping[str, int]
) -> Pick | Refusal:
    if wanted.units is None:
        return Pick(location, _all_there(own, there))
    skus = {line.item_id: line.sku for line in own}
    short = {sku for sku, n in _by_sku(own, wanted.units).items() if n > there.get(sku, 0)}
    faults = [
        Fault(
            f"/items/{i}/quantity",
            RefusalCode.MORE_THAN_LEFT.value,
            f"{there.get(skus[item_id], 0)} of {skus[item_id]!r} lie at {location!r} for order {order.number}",
        )
        for i, item_id in enumerate(wanted.units)
        if skus[item_id] in short
    ]
    if faults:
        return Refusal(RefusalCode.MORE_THAN_LEFT, faults[0].detail, faults)
    return Pick(location, {line.item_id: wanted.units[line.item_id] for line in own if line.item_id in wanted.units})


def _all_there(own: Sequence[OrderLine], there: Mapping[str, int]) -> dict[str, int]:
    left, units = dict(there), {}
    for line in own:
        taken = min(line.unshipped, left.get(line.sku, 0))
        if taken:
            units[line.item_id] = taken
            left[line.sku] -= taken
    return units


def _unheld(order: Order, own: Sequence[OrderLine], wanted: Wanted, places: Sequence[str]) -> Pick | Refusal:
    """Take what nothing is held of any more: the goods of a cancelled order, which left where they lay.

    Inventory would wait for stock at a place that has none, and everything else of the order behind that.
    """
    known = places or (wanted.location or DEFAULT_LOCATION,)
    able = sorted(place for place in known if wanted.locations is None or place in wanted.locations)
    location = wanted.location or (able[0] if len(able) == 1 else None)
    if location is None:
        detail = f"name the location that it left; order {order.number} lay at {', '.join(able) or 'none of yours'}"
        return _which_place(detail, able)
    if location not in able:
        return _no_such_place(location, able)
    units = wanted.units or {line.item_id: line.unshipped for line in own if line.unshipped}
    return Pick(location, {line.item_id: units[line.item_id] for line in own if line.item_id in units})


def _which_place(detail: str, valid: Sequence[str]) -> Refusal:
    fault = Fault("/location", RefusalCode.LOCATION_REQUIRED.value, detail)
    return Refusal(RefusalCode.LOCATION_REQUIRED, detail, [fault], {"locations": list(valid)})


def _no_such_place(location: str, valid: Sequence[str]) -> Refusal:
    detail = f"nothing of the order lies at {location!r} for you; it lies at {', '.join(valid) or 'no location'}"
    fault = Fault("/location", RefusalCode.UNKNOWN_LOCATION.value, detail)
    return Refusal(RefusalCode.UNKNOWN_LOCATION, detail, [fault], {"locations": list(valid)})


def _by_sku(own: Sequence[OrderLine], units: Mapping[str, int]) -> dict[str, int]:
    needed: dict[str, int] = {}
    for line in own:
        if line.item_id in units:
            needed[line.sku] = needed.get(line.sku, 0) + units[line.item_id]
    return needed


def _listed(there: Mapping[str, int]) -> str:
    return ", ".join(f"{n} of {sku!r}" for sku, n in there.items())

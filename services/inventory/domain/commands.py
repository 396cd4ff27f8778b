"""What can be asked of inventory by HTTP, and the refusals it may answer with."""

from dataclasses import dataclass
from enum import StrEnum

from services.inventory.domain.stock import Because, MovementKind, Stock, StockLevel
from services.inventory.domain.variants import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class PutVariant:
    """Publish a variant, new or changed.

    Args:
        only_of_vendor: refuse unless the variant is new or this vendor's; None for who may change any.
        expected_versions: refuse unless the variant has one of these versions; None takes any.

    """

    sku: str
    product_name: str
    variant_name: str
    vendor_id: str | None
    price_minor: int
    currency: str
    low_stock_threshold: int | None
    active: bool
    only_of_vendor: str | None = None
    expected_versions: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireVariant:
    """Take a variant out of the catalog; `only_of_vendor` as in PutVariant."""

    sku: str
    only_of_vendor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveStock:
    """Units came in."""

    sku: str
    location: str
    quantity: int
    because: Because


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustStock:
    """Correct a level by a difference, or to a counted value that replaces an expected one."""

    sku: str
    location: str
    because: Because
    quantity: int | None = None
    on_hand: int | None = None
    expected_on_hand: int | None = None


class RefusalCode(StrEnum):
    """Why a command was refused."""

    UNKNOWN_SKU = "unknown_sku"
    FOREIGN_VARIANT = "foreign_variant"
    VERSION_CHANGED = "precondition_failed"
    STOCK_CHANGED = "stock_changed"
    STOCK_HELD = "stock_held"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that the facts do not allow; nothing has changed.

    Args:
        code: see `RefusalCode`.
        detail: names the offender and the valid options.
        version: the current one, where another was expected.
        field: the part of the command that is refused, where the code alone does not tell.

    """

    code: RefusalCode
    detail: str
    version: int | None = None
    field: str | None = None


def put(command: PutVariant, variant: Variant | None) -> Variant | Refusal:
    """Return the variant as the command wants it, not yet published."""
    foreign = refuse_foreign(variant, command.only_of_vendor)
    if foreign is not None:
        return foreign
    version = variant.version if variant else 0
    if command.expected_versions is not None and version not in command.expected_versions:
        detail = f"variant {command.sku} has version {version}; read it again"
        return Refusal(RefusalCode.VERSION_CHANGED, detail, version)
    values = {
        "product_name": command.product_name,
        "variant_name": command.variant_name,
        "vendor_id": command.vendor_id,
        "price_minor": command.price_minor,
        "currency": command.currency,
        "low_stock_threshold": command.low_stock_threshold,
        "active": command.active,
    }
    if variant is None:
        return Variant(sku=command.sku, **values)  # type: ignore[arg-type]  # the names are the class's own
    for name, value in values.items():
        setattr(variant, name, value)
    variant.retired = False
    return variant


def refuse_foreign(variant: Variant | None, vendor_id: str | None) -> Refusal | None:
    """Return why a vendor may not change a variant, None where they may."""
    if variant is None or vendor_id in (None, variant.vendor_id):
        return None
    return Refusal(RefusalCode.FOREIGN_VARIANT, f"variant {variant.sku} belongs to another vendor than {vendor_id!r}")


def receive(command: ReceiveStock, stock: Stock) -> StockLevel:
    """Add units that came in."""
    stock.move((command.sku, command.location), MovementKind.RECEIVED, command.because, on_hand=command.quantity)
    return stock.level(command.sku, command.location)


def adjust(command: AdjustStock, stock: Stock) -> StockLevel | Refusal:
    """Correct a level; what is reserved or allocated cannot be adjusted away."""
    level = stock.level(command.sku, command.location)
    if command.expected_on_hand is not None and command.expected_on_hand != level.on_hand:
        detail = f"{level.on_hand} of {level.sku} are on hand at {level.location}, not {command.expected_on_hand}"
        return Refusal(RefusalCode.STOCK_CHANGED, detail)
    delta = command.quantity if command.quantity is not None else (command.on_hand or 0) - level.on_hand
    if level.on_hand + delta < level.reserved + level.allocated:
        held = level.reserved + level.allocated
        detail = f"{held} of {level.sku} at {level.location} are held for orders; {level.on_hand + delta} would be left"
        return Refusal(RefusalCode.STOCK_HELD, detail, field="on_hand" if command.quantity is None else "quantity")
    if delta:
        stock.move((command.sku, command.location), MovementKind.ADJUSTED, command.because, on_hand=delta)
    return level

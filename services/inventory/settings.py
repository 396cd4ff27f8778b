"""Inventory's settings."""

from pydantic import Field

from services.chassis.settings import ServiceSettings


class InventorySettings(ServiceSettings):
    """What only inventory needs to know."""

    http_port: int = Field(default=8002, ge=1, le=65535)
    metrics_port: int = Field(default=9102, ge=1, le=65535)
    low_stock_threshold: int = Field(
        default=5, ge=0, description="units, for variants without a threshold of their own"
    )
    audit_seconds: float = Field(default=3600, gt=0, description="between two audits for oms_invariant_violations")
    reservation_ttl_seconds: int = Field(
        default=900, ge=1, description="how long stock is held for an unconfirmed order"
    )

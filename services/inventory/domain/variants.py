"""A variant: what is sold under a SKU, and the alerts about its stock.

An alert is an episode: it opens when what is available falls to the threshold (or to nothing), closes when it is
above again, and is told once.
"""

from dataclasses import dataclass

from schemas.contracts import BackInStock, LowStockReached, OutOfStock, VariantPublished, VariantRetired

StockAlert = LowStockReached | OutOfStock | BackInStock


@dataclass(slots=True)
class Variant:
    """A SKU's entry in the catalog, and its open alerts.

    Args:
        sku: its id, given by the shop.
        price_minor: in minor units of `currency`.
        low_stock_threshold: units; None takes the service's default.
        active: whether it can be ordered.
        version: counts the changes of what is published.
        catalog_events: how many events of its key are on the catalog's topic.
        stock_events: how many are on the alerts' topic.

    """

    sku: str
    product_name: str
    variant_name: str
    vendor_id: str | None
    price_minor: int
    currency: str
    low_stock_threshold: int | None
    active: bool = True
    retired: bool = False
    version: int = 0
    low_stock_open: bool = False
    out_of_stock_open: bool = False
    catalog_events: int = 0
    stock_events: int = 0

    def publish(self, now: int) -> VariantPublished:
        """Return the event that tells the catalog's readers what this variant is now; counts a version."""
        self.version += 1
        self.catalog_events += 1
        return VariantPublished(
            sku=self.sku,
            product_name=self.product_name,
            variant_name=self.variant_name,
            vendor_id=self.vendor_id,
            price_minor=self.price_minor,
            currency=self.currency,
            low_stock_threshold=self.low_stock_threshold,
            active=self.active,
            version=self.version,
            published_at=now,
        )

    def retire(self, now: int) -> VariantRetired:
        """Take the variant out of the catalog; what is ordered stays ordered."""
        self.active, self.retired = False, True
        self.version += 1
        self.catalog_events += 1
        return VariantRetired(sku=self.sku, version=self.version, retired_at=now)

    def alerts(self, available: int, default_threshold: int, now: int) -> list[StockAlert]:
        """Open and close episodes for what is available now, and return what there is to tell.

        Args:
            available: units over all locations.
            default_threshold: units, for variants without a threshold of their own.
            now: microseconds since the epoch.

        """
        told: list[StockAlert] = []
        threshold = default_threshold if self.low_stock_threshold is None else self.low_stock_threshold
        if available <= threshold and not self.low_stock_open:
            told.append(LowStockReached(**self._names(), available=available, threshold=threshold, reached_at=now))
        if available <= 0 and not self.out_of_stock_open:
            told.append(OutOfStock(**self._names(), out_since=now))
        if available > 0 and self.out_of_stock_open:
            told.append(BackInStock(**self._names(), available=available, back_at=now))
        self.low_stock_open = available <= threshold
        self.out_of_stock_open = available <= 0
        return told

    def _names(self) -> dict[str, str]:
        names = {"sku": self.sku, "product_name": self.product_name, "variant_name": self.variant_name}
        return names if self.vendor_id is None else {**names, "vendor_id": self.vendor_id}

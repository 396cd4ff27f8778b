"""What there is in the three services, as one value that can be compared with what there is later."""

from tests.support.running_shop import Shop

_SUMS = {
    "order": """SELECT (SELECT count(*) FROM orders) AS orders, (SELECT sum(version) FROM orders) AS versions,
        (SELECT sum(events) FROM orders) AS told, (SELECT count(*) FROM order_history) AS history,
        (SELECT sum(recorded_minor) FROM orders) AS money, (SELECT count(*) FROM payments) AS payments,
        (SELECT sum(events) FROM order_requests) AS answers,
        (SELECT count(*) FROM parked_events) AS parked, (SELECT count(*) FROM dead_events) AS dead,
        (SELECT sum(version) FROM catalog_variants) AS catalog""",
    "inventory": """SELECT (SELECT count(*) FROM reservations) AS reservations,
        (SELECT sum(events) FROM reservations) AS told, (SELECT count(*) FROM stock_movements) AS movements,
        (SELECT sum(on_hand) FROM stock_levels) AS on_hand, (SELECT sum(reserved) FROM stock_levels) AS reserved,
        (SELECT sum(allocated) FROM stock_levels) AS allocated, (SELECT sum(stock_events) FROM skus) AS alerts,
        (SELECT count(*) FROM inbox) AS inbox, (SELECT count(*) FROM parked_events) AS parked""",
    "notification": """SELECT (SELECT count(*) FROM notifications) AS notifications,
        (SELECT count(*) FROM inbox) AS inbox, (SELECT count(*) FROM parked_events) AS parked""",
}


def everything(shop: Shop, order_id: str) -> list[object]:
    """Return all that the three services keep of an order."""
    probe = shop.probe
    history = "SELECT * FROM order_history WHERE order_id = CAST(:id AS uuid) ORDER BY version"
    mails = "SELECT id, status, attempts FROM notifications WHERE subject = :id ORDER BY id"
    return [
        probe.order(order_id),
        probe.rows("order", history, id=order_id),
        probe.reservation(order_id),
        probe.movements(order_id),
        probe.rows("notification", mails, id=order_id),
    ]


def sums(shop: Shop) -> dict[str, object]:
    """Return how much there is of everything in all three services; mails go out in their own time, so not of them."""
    found: dict[str, object] = {service: shop.probe.rows(service, query)[0] for service, query in _SUMS.items()}
    claimed = {row["id"] for row in shop.probe.rows("order", "SELECT event_id::text AS id FROM inbox")}
    shop.log.settle()
    mails = {entry.event_id for entry in shop.log.entries if entry.topic == "notification.events.v1"}
    return {**found, "order's inbox": len(claimed - mails)}

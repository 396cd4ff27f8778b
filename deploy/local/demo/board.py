"""The table of orders: where each stands, what inventory holds for it, what is awaited, how many mails went out.

Orders of one scene in the same state share a row, so that a crowd needs no more room than a customer.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from deploy.local.demo.mails import Mail

Order = Mapping[str, Any]
_STYLES = {"delivered": "green", "shipped": "green", "confirmed": "green", "processing": "green", "cancelled": "red"}
_RETURNED = {"partially_returned": "partly returned", "returned": "returned"}
_AWAITED = {
    "confirmed": "the warehouse",
    "processing": "the carrier",
    "shipped": "delivery",
    "delivered": "-",
    "refunded": "-",
}


def awaited(order: Order) -> str:
    """Return what an order waits for, or why it was cancelled."""
    if order["status"] == "cancelled":
        reason = str(order["cancel_reason"]).replace("_", " ")
        return f"{reason}, refund due" if order["payment_status"] == "refund_due" else reason
    if order["pending_operation"] is not None:
        return f"inventory ({order['pending_operation']})"
    if order["status"] == "pending":
        until = datetime.fromisoformat(order["reserved_until"]).astimezone()
        return f"payment until {until:%H:%M:%S}"
    if order["fulfillment_status"] in _RETURNED:
        return f"{_RETURNED[order['fulfillment_status']]}, {order['refunded_amount']} back"
    return _AWAITED[order["status"]]


def table_of(orders: Sequence[Order], mails: Sequence[Mail]) -> Table:
    """Return the table; `orders` are what the API lists, oldest first."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="underline")
    for name in ("who", "order", "status", "stock", "awaits / ended by"):
        table.add_column(name, no_wrap=True)
    table.add_column("mails", justify="right")
    for (who, status, stock, waits), alike in _rows(orders).items():
        numbers = {order["order_number"] for order in alike}
        told = sum(any(number in mail.subject for number in numbers) for mail in mails)
        what = numbers.pop() if len(alike) == 1 else f"{len(alike)} orders"
        table.add_row(who, what, Text(status, style=_STYLES.get(status, "")), stock, Text(waits), str(told))
    return table


def _rows(orders: Sequence[Order]) -> dict[tuple[str, str, str, str], list[Order]]:
    rows: dict[tuple[str, str, str, str], list[Order]] = {}
    for order in orders:
        who = order["metadata"].get("crowd") or order["shipping_address"]["first_name"]
        rows.setdefault((who, order["status"], order["reservation_status"], awaited(order)), []).append(order)
    return rows

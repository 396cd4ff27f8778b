"""The saga's tables, written a second time by hand: what the code's own tables are compared with.

Nothing in here is imported from the services, so that a mistake there cannot hide itself here.
"""

# --- first table: inventory's answer by the order's status -> what happens ("-": nothing changes)
ANSWER_COLUMNS = ("pending", "confirmed", "later", "ended")
ANSWER_TABLE = {
    "StockReserved": ("reserved", "-", "-", "-"),
    "StockRejected": ("cancelled insufficient_stock", "-", "-", "-"),
    "StockReservationExpired": ("cancelled expired", "-", "-", "-"),
    "StockAllocated": ("-", "allocated", "-", "-"),
    "StockShortfall": ("-", "cancelled stock_shortfall", "stuck", "-"),
    "StockReleased": ("-", "-", "-", "released"),
}
COLUMN_OF_STATUS = {
    "pending": "pending",
    "confirmed": "confirmed",
    "processing": "later",
    "shipped": "later",
    "delivered": "later",
    "cancelled": "ended",
    "refunded": "ended",
}
ANSWER_CELLS = {
    (answer, column): cell
    for answer, cells in ANSWER_TABLE.items()
    for column, cell in zip(ANSWER_COLUMNS, cells, strict=True)
}

# --- second table: the order's event by the reservation -> what happens. `shipped` has no column there:
# what has left is neither parked, shipped nor released once more.
RESERVATION_COLUMNS = (
    "none",
    "reserved",
    "allocated",
    "expired",
    "rejected",
    "released",
    "cancelled_first",
    "shipped",
)
RESERVATION_TABLE = {
    "OrderPlaced": ("reserve", "-", "-", "-", "-", "-", "-", "-"),
    "OrderConfirmed": ("park", "allocate", "-", "reserve and allocate", "-", "-", "-", "-"),
    "OrderCancelled": ("remember", "release", "release", "-", "-", "-", "-", "-"),
    "OrderShipped": ("park", "park", "ship", "park", "park", "park", "park", "-"),
}
RESERVATION_CELLS = {
    (event, column): cell
    for event, cells in RESERVATION_TABLE.items()
    for column, cell in zip(RESERVATION_COLUMNS, cells, strict=True)
}
# An OrderShipped that is unexpected: goods of a cancelled order that left all the same.
UNEXPECTED_CELLS = dict(
    zip(
        RESERVATION_COLUMNS,
        ("park", "park", "ship", "take out", "take out", "take out", "take out", "-"),
        strict=True,
    )
)

# --- revisions: the order's event by how its revision stands to the newest that the reservation knows, by the
# reservation. What is over (an older one, or one that was answered and has its end) changes nothing anywhere.
REVISION_COLUMNS = ("none", "reserved", "allocated", "expired", "rejected", "released", "cancelled_first", "shipped")
REVISION_TABLE = {
    ("OrderRevisionRequested", "newer"): ("park", "revise", "revise", "-", "-", "-", "-", "-"),
    ("OrderRevisionRequested", "open"): (None, "-", "-", "-", "-", "-", "-", "-"),
    ("OrderRevisionRequested", "over"): (None, "-", "-", "-", "-", "-", "-", "-"),
    ("OrderRevised", "newer"): ("park", "park", "park", "park", "-", "-", "-", "-"),
    ("OrderRevised", "open"): (None, "settle", "settle", "settle", "-", "-", "-", "-"),
    ("OrderRevised", "over"): (None, "-", "-", "-", "-", "-", "-", "-"),
    ("OrderRevisionRejected", "newer"): ("park", "remember", "remember", "remember", "-", "-", "-", "-"),
    ("OrderRevisionRejected", "open"): (None, "withdraw", "withdraw", "withdraw", "-", "-", "-", "-"),
    ("OrderRevisionRejected", "over"): (None, "-", "-", "-", "-", "-", "-", "-"),
}
REVISION_CELLS = {
    (event, turn, column): cell
    for (event, turn), cells in REVISION_TABLE.items()
    for column, cell in zip(REVISION_COLUMNS, cells, strict=True)
    if cell is not None
}
# inventory's answer to the revision that an order awaits, by the order's status.
REVISION_ANSWERS = {
    (answer, status): word if status in ("pending", "confirmed", "processing") else "-"
    for answer, word in (("StockReserved", "apply"), ("StockRejected", "reject"))
    for status in COLUMN_OF_STATUS
}

# --- moves: from -> to
STATUS_TABLE = {
    "pending": {"confirmed", "cancelled"},
    "confirmed": {"processing", "cancelled"},
    "processing": {"shipped", "cancelled"},
    "shipped": {"delivered", "cancelled"},
    "delivered": {"refunded"},
    "cancelled": set(),
    "refunded": set(),
}

"""The settings of the demo's stack: the shop's terms, and a deadline short enough to be watched.

They come on top of the environment and of `.env`, so that the story is the same on every machine.
"""

import json
from collections.abc import Mapping

OPERATOR = "operator@harbour-roast.example"
CARRIER = "Parcel Post"
HOLD_SECONDS = 6
"""How long stock is held for an order with `HOLD_METHOD` until it is paid."""

CARD, INVOICE, HOLD_METHOD = "card", "invoice", "pay_within_seconds"

_ORDER = {
    "AUTO_CONFIRM_ORDERS": "false",
    "DEFAULT_ORDER_STATUS": "pending",
    "PLACE_WAIT_SECONDS": "0",
    "MAX_QUANTITY_PER_LINE": "100",
    "PAYMENT_METHODS": json.dumps(
        {
            CARD: {"kind": "prepaid"},
            INVOICE: {"kind": "invoice"},
            HOLD_METHOD: {"kind": "prepaid", "hold_seconds": HOLD_SECONDS},
        }
    ),
    "SHIPPING_METHODS": json.dumps(
        {
            "standard": {
                "prices": {"EUR": "4.90"},
                "free_from": {"EUR": "60.00"},
                "carrier": CARRIER,
                "transit_days": 2,
                "tracking_url": "https://track.parcel-post.example/{tracking_number}",
            }
        }
    ),
    "TAX_RATES": json.dumps({"DE": {"rate": "0.19"}}),
}
# A stack that has just started counts as one that was away, and holds its deadlines back: not for a minute here.
_INVENTORY = {"RESERVATION_TTL_SECONDS": "900", "DEADLINE_GRACE_MAX_SECONDS": "2"}
_NOTIFICATION = {"MAIL_FROM": "Harbour Roast <orders@harbour-roast.example>", "OPERATOR_EMAIL": OPERATOR}

OVERRIDES: Mapping[str, Mapping[str, str]] = {
    "order": _ORDER,
    "inventory": _INVENTORY,
    "notification": _NOTIFICATION,
}

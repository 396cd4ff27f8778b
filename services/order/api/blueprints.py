"""All endpoints of the order service."""

from services.order.api.addresses import addresses
from services.order.api.analytics import analytics
from services.order.api.bulk import bulk
from services.order.api.details import details
from services.order.api.labels import labels
from services.order.api.lists import lists
from services.order.api.orders import orders
from services.order.api.payments import payments
from services.order.api.placing import placing
from services.order.api.quotes import quotes
from services.order.api.refunds import refunds
from services.order.api.returns import returns
from services.order.api.revisions import revisions
from services.order.api.shipments import shipments
from services.order.api.shipping_methods import shipping_methods
from services.order.api.statuses import statuses
from services.order.api.streams import streams
from services.order.api.timeline import timelines
from services.order.api.tracking import links, tracking

BLUEPRINTS = [
    placing,
    lists,
    orders,
    statuses,
    payments,
    refunds,
    returns,
    shipments,
    labels,
    revisions,
    details,
    timelines,
    streams,
    tracking,
    links,
    quotes,
    shipping_methods,
    addresses,
    bulk,
    analytics,
]

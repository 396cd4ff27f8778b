"""What the order service does with events, commands and deadlines; the tables say which handler takes what."""

from typing import Any

from schemas.contracts import (
    BackInStock,
    LowStockReached,
    NotificationFailed,
    NotificationSent,
    OrderCancellationRequested,
    OrderRequested,
    OutOfStock,
    PaymentReported,
    StockAllocated,
    StockRejected,
    StockReleased,
    StockReservationExpired,
    StockReserved,
    StockRestocked,
    StockShipped,
    StockShortfall,
    VariantPublished,
    VariantRetired,
)
from services.order.domain.addresses import ChangeAddress, DeleteAddress, SaveAddress
from services.order.domain.bulk import PlaceOrders, UpdateOrders
from services.order.domain.deliveries import RecordCarrierEvent
from services.order.domain.details import ChangeDetails
from services.order.domain.edits import ReviseOrder
from services.order.domain.erasure import EraseCustomer
from services.order.domain.orders import CancelOrder
from services.order.domain.payments import ConfirmOrder
from services.order.domain.placing import PlaceOrder
from services.order.domain.receipts import ReceiveReturn
from services.order.domain.refund_requests import CreateRefund, RefundRest
from services.order.domain.refunds import SettleRefund
from services.order.domain.returns import DecideReturn, RequestReturn
from services.order.domain.shipments import AdvanceOrder, CreateShipment
from services.order.domain.streams import IssueTicket
from services.order.handlers.addresses import change_address, delete_address, save_address
from services.order.handlers.availability import note_back_in_stock, note_low_stock, note_out_of_stock
from services.order.handlers.bulk import place_orders, update_orders
from services.order.handlers.catalog import publish_variants, retire_variants
from services.order.handlers.details import change_details
from services.order.handlers.erasure import erase_customer
from services.order.handlers.orders import cancel_order
from services.order.handlers.payments import confirm_order
from services.order.handlers.placing import place_order
from services.order.handlers.refunds import create_refund, refund_rest, settle_refund
from services.order.handlers.reports import cancel_as_requested, take_reported_payments
from services.order.handlers.requests import place_requested_orders, reject_malformed_requests
from services.order.handlers.returns import decide_return, note_restocked, receive_return, request_return
from services.order.handlers.revisions import revise_order
from services.order.handlers.shipments import advance_order, create_shipment, record_carrier_event
from services.order.handlers.stock import (
    cancel_expired,
    cancel_rejected,
    cancel_short,
    note_allocated,
    note_released,
    note_reserved,
)
from services.order.handlers.streams import issue_ticket
from services.order.handlers.timeline import note_failed, note_sent, note_shipped

HANDLERS: dict[type[Any], Any] = {
    StockReleased: note_released,
    StockRejected: cancel_rejected,
    StockReservationExpired: cancel_expired,
    StockReserved: note_reserved,
    StockShortfall: cancel_short,
    StockAllocated: note_allocated,
    StockRestocked: note_restocked,
    OrderRequested: place_requested_orders,
    StockShipped: note_shipped,
    NotificationSent: note_sent,
    NotificationFailed: note_failed,
    PaymentReported: take_reported_payments,
    OrderCancellationRequested: cancel_as_requested,
    LowStockReached: note_low_stock,
    OutOfStock: note_out_of_stock,
    BackInStock: note_back_in_stock,
}
CATALOG_HANDLERS: dict[type[Any], Any] = {VariantPublished: publish_variants, VariantRetired: retire_variants}
FOREIGN = {OrderRequested.TOPIC: reject_malformed_requests}
COMMANDS: dict[type[Any], Any] = {
    PlaceOrder: place_order,
    ConfirmOrder: confirm_order,
    CancelOrder: cancel_order,
    AdvanceOrder: advance_order,
    EraseCustomer: erase_customer,
    IssueTicket: issue_ticket,
    CreateShipment: create_shipment,
    RecordCarrierEvent: record_carrier_event,
    CreateRefund: create_refund,
    RefundRest: refund_rest,
    SettleRefund: settle_refund,
    ReviseOrder: revise_order,
    ChangeDetails: change_details,
    RequestReturn: request_return,
    DecideReturn: decide_return,
    ReceiveReturn: receive_return,
    SaveAddress: save_address,
    ChangeAddress: change_address,
    DeleteAddress: delete_address,
    PlaceOrders: place_orders,
    UpdateOrders: update_orders,
}

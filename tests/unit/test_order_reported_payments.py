"""A payment that happened is recorded, whatever the order is at and whatever it comes to; one that is asked is not."""

from decimal import Decimal
from typing import Any

import pytest

from schemas import contracts
from services.chassis.commands import Submitted
from services.chassis.events import Cause, new_id
from services.order.domain.details import ChangeDetails, NewDetails
from services.order.domain.edits import ChangeItem, ReviseOrder
from services.order.domain.orders import Order
from services.order.domain.payments import ConfirmOrder
from services.order.domain.placing import PlaceOrder
from services.order.domain.refunds import RefundStatus, SettleRefund
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.statuses import OrderStatus, PaymentStatus, PendingOperation
from services.order.settings import OrderSettings, ShippingMethodSetting
from tests.support.saga_builders import ADMIN, NOW, SECOND, a_draft, a_payment, a_variant
from tests.support.saga_memory import ORDER_SETTINGS, Message, OrderService, Result, kinds, order_settings


class Shop:
    """An order of one mug for 10.00 whose stock is reserved, and what happens to it."""

    def __init__(self, payment_method: str = "card", settings: OrderSettings = ORDER_SETTINGS[False]) -> None:
        self.service = OrderService(settings, {"MUG": a_variant("MUG", 1000)})
        draft = a_draft(("MUG", 1), payment_method=payment_method)
        self.id = self.run(PlaceOrder(draft=draft, actor=ADMIN), None).answer.order.id
        self.answer()

    @property
    def order(self) -> Order:
        return self.service.orders[self.id]

    @property
    def refunds(self) -> list[int]:
        return [refund.amount_minor for refund in self.service.refunds.values()]

    def run(self, command: Any, subject: str | None = "") -> Result:
        subject = self.id if subject == "" else subject
        return self.service.run(Submitted(command, Cause(subject or "", new_id()), subject), NOW)

    def hear(self, event: Any) -> Result:
        return self.service.handle(Message(event, new_id(), 0), NOW)

    def answer(self, revision: int | None = None, *, fits: bool = True) -> Result:
        """Let inventory answer the order, or an edit of it."""
        if not fits:
            return self.hear(
                contracts.StockRejected(order_id=self.id, revision=revision, shortages=(), rejected_at=NOW)
            )
        return self.hear(contracts.StockReserved(order_id=self.id, revision=revision, lines=(), reserved_at=NOW))

    def edit(self, quantity: int) -> None:
        (line,) = self.service.contents[self.id].lines
        edit = ChangeItem(line.item_id, quantity)
        assert not isinstance(self.run(ReviseOrder(order_id=self.id, actor=ADMIN, edit=edit)).answer, Refusal)

    def report(self, amount_minor: int, reference: str = "p-1", currency: str = "EUR") -> Result:
        """Let the storefront report by Kafka that it captured something."""
        captured = contracts.PaymentReported(
            order_id=self.id,
            provider="stripe",
            reference=reference,
            amount_minor=amount_minor,
            currency=currency,
            outcome=contracts.PaymentReportedOutcome.CAPTURED,
            reported_at=NOW,
        )
        return self.hear(captured)

    def ask(self, amount_minor: int, reference: str = "p-1") -> Any:
        """Ask by REST to confirm the order with a payment."""
        payment = a_payment(reference, amount_minor)
        return self.run(ConfirmOrder(order_id=self.id, payment=payment, actor=ADMIN)).answer


def codes(result: Result) -> list[str]:
    return [m.event.code for m in result.emitted if isinstance(m.event, contracts.OrderRequestRejected)]


# --- while an edit is open


@pytest.mark.parametrize("reported", [True, False], ids=["reported", "asked"])
def test_a_payment_while_an_edit_is_open_is_recorded_and_confirms_once_the_edit_is_settled(reported: bool) -> None:
    shop = Shop()
    shop.edit(1)
    told = shop.report(1000).emitted if reported else []
    answer = None if reported else shop.ask(1000)
    assert told == []
    assert not isinstance(answer, Refusal)
    assert (shop.order.recorded_minor, shop.order.status) == (1000, OrderStatus.PENDING)
    assert shop.order.pending_operation is PendingOperation.REVISING
    assert kinds(shop.answer(1).emitted) == ["OrderRevised", "OrderConfirmed"]


def test_a_payment_of_the_old_total_while_an_edit_raises_it_waits_for_the_rest() -> None:
    shop = Shop()
    shop.edit(3)
    shop.report(1000)
    assert kinds(shop.answer(1).emitted) == ["OrderRevised"]
    assert (shop.order.status, shop.order.amount_due_minor) == (OrderStatus.PENDING, 2000)
    assert kinds(shop.report(2000, "p-2").emitted) == ["OrderConfirmed"]


def test_what_is_paid_ahead_of_an_edit_that_raises_the_total_is_not_paid_back() -> None:
    shop = Shop()
    shop.report(1000)
    shop.hear(contracts.StockAllocated(order_id=shop.id, lines=(), allocated_at=NOW))
    shop.edit(3)
    assert shop.report(2000, "p-2").emitted == []
    assert kinds(shop.answer(1).emitted) == ["OrderRevised"]
    assert (shop.order.payment_status, shop.refunds) == (PaymentStatus.PAID, [])


@pytest.mark.parametrize("end", ["rejected", "timed out"])
def test_what_is_paid_ahead_of_an_edit_that_comes_to_nothing_is_paid_back(end: str) -> None:
    shop = Shop()
    shop.edit(3)
    assert shop.report(3000).emitted == []
    late = NOW + 301 * SECOND
    settled = shop.answer(1, fits=False) if end == "rejected" else shop.service.end_overdue(shop.id, late)
    assert kinds(settled.emitted) == ["OrderRevisionRejected", "OrderConfirmed", "RefundRequested"]
    assert shop.refunds == [2000]


def test_an_edit_that_comes_to_nothing_asks_for_no_refund_that_failed_before() -> None:
    shop = Shop()
    shop.report(1200)
    (refund_id,) = shop.service.refunds
    shop.run(SettleRefund(order_id=shop.id, refund_id=refund_id, actor=ADMIN, status=RefundStatus.FAILED))
    shop.hear(contracts.StockAllocated(order_id=shop.id, lines=(), allocated_at=NOW))
    shop.edit(3)
    assert kinds(shop.answer(1, fits=False).emitted) == ["OrderRevisionRejected"]
    assert shop.refunds == [200]


def test_a_payment_that_is_asked_for_an_edit_that_is_open_has_to_be_what_is_due_now() -> None:
    shop = Shop()
    shop.edit(3)
    refusal = shop.ask(3000)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, shop.order.recorded_minor) == (RefusalCode.OPERATION_IN_PROGRESS, 0)


def test_an_order_by_invoice_confirms_only_once_it_was_asked_for_when_an_edit_is_settled() -> None:
    shop = Shop("invoice")
    shop.edit(2)
    assert kinds(shop.answer(1).emitted) == ["OrderRevised"]
    assert shop.order.status is OrderStatus.PENDING


# --- another amount than is due


def test_a_captured_payment_of_too_much_confirms_and_what_is_too_much_is_paid_back() -> None:
    shop = Shop()
    told = shop.report(1500)
    assert kinds(told.emitted) == ["OrderConfirmed", "RefundRequested"]
    assert (shop.order.recorded_minor, shop.refunds) == (1500, [500])


def test_a_captured_payment_of_too_little_is_recorded_and_the_rest_stays_due() -> None:
    shop = Shop()
    told = shop.report(400)
    assert codes(told) == ["payment_required"]
    assert told.emitted[0].event.errors[0].detail == (
        f"payment 'p-1' of 'stripe': order {shop.order.number} is prepaid by 'card': "
        "4.00 EUR are recorded, and it is confirmed once the other 6.00 EUR are, too"
    )
    assert (shop.order.recorded_minor, shop.order.amount_due_minor) == (400, 600)
    assert kinds(shop.report(600, "p-2").emitted) == ["OrderConfirmed"]


def test_a_captured_payment_of_the_total_before_an_edit_is_recorded_after_it() -> None:
    shop = Shop()
    shop.edit(3)
    shop.answer(1)
    shop.report(1000)
    assert (shop.order.recorded_minor, shop.order.amount_due_minor) == (1000, 2000)


def test_what_was_paid_confirms_once_cheaper_shipping_makes_it_enough() -> None:
    ways = {"express": ShippingMethodSetting(prices={"EUR": Decimal(2)}), "post": ShippingMethodSetting()}
    shop = Shop(settings=order_settings(shipping_methods=ways))
    shop.report(1000)
    assert shop.order.amount_due_minor == 200
    told = shop.run(ChangeDetails(order_id=shop.id, actor=ADMIN, new=NewDetails(shipping_method="post")))
    assert kinds(told.emitted) == ["OrderDetailsChanged", "OrderConfirmed"]


def test_of_an_order_that_is_paid_later_a_part_is_recorded_without_objection() -> None:
    shop = Shop("invoice")
    shop.run(ConfirmOrder(order_id=shop.id, payment=None, actor=ADMIN))
    assert shop.report(400).emitted == []
    assert (shop.order.recorded_minor, shop.order.amount_due_minor) == (400, 600)


def test_a_captured_payment_in_another_currency_or_of_nothing_is_not_recorded() -> None:
    shop = Shop()
    assert codes(shop.report(1000, currency="USD")) == ["payment_mismatch"]
    assert codes(shop.report(0)) == ["payment_mismatch"]
    shop.edit(2)
    assert codes(shop.report(0)) == ["payment_mismatch"]
    assert (shop.order.recorded_minor, shop.service.payments) == (0, {})


def test_a_payment_that_is_asked_to_confirm_has_to_be_what_is_due() -> None:
    shop = Shop()
    refusal = shop.ask(1500)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, shop.order.recorded_minor) == (RefusalCode.PAYMENT_MISMATCH, 0)

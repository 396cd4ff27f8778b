"""An order with its payments and refunds in memory, for tests of what is paid back."""

from collections.abc import Sequence

from services.order.domain.concessions import withdraw
from services.order.domain.history import When
from services.order.domain.lines import OrderLine
from services.order.domain.orders import Order
from services.order.domain.payments import Payment
from services.order.domain.refund_requests import CreateRefund, WantedRefund, create, request_due
from services.order.domain.refunds import Refund, Refundable, RefundEvent, RefundStatus, SettleRefund, settle
from services.order.domain.refusals import Refusal, RefusalCode
from tests.support.saga_builders import ADMIN, ORDER_ID, some_content, when

REST = WantedRefund()


class Books:
    """An order with its payments and refunds, as the database would keep them."""

    def __init__(self, lines: Sequence[OrderLine], order: Order, *payments: Payment) -> None:
        self.lines = tuple(lines)
        self.order = order
        self.payments = payments
        self.refunds: dict[str, Refund] = {}

    @property
    def known(self) -> Refundable:
        return Refundable(self.order, some_content(*self.lines), self.payments, list(self.refunds.values()))

    def create(self, wanted: WantedRefund = REST, **names: str) -> list[str] | RefusalCode:
        command = CreateRefund(order_id=ORDER_ID, actor=ADMIN, wanted=wanted, reason="damaged", **names)
        return self.keep(create(self.known, command, self._when(), self._ids()))

    def request_due(self) -> list[str] | RefusalCode:
        return self.keep(request_due(self.known, "due", self._when(), self._ids()))

    def settle(self, refund_id: str, status: str, **names: str) -> list[str] | RefusalCode:
        became = RefundStatus(status)
        command = SettleRefund(order_id=ORDER_ID, refund_id=refund_id, actor=ADMIN, status=became, **names)
        settled = settle(self.known, self.refunds[refund_id], command, self._when())
        if isinstance(settled, Refusal):
            return settled.code
        self.refunds[refund_id] = settled[0]
        return kinds(settled[1])

    def change(self, lines: Sequence[OrderLine], shipping_minor: int) -> list[str] | RefusalCode:
        """Make other lines and shipping of it, which is paid for as far as that is less."""
        before = self.known.content
        self.lines = tuple(lines)
        self.order.total_minor = sum(line.total_minor for line in lines) + shipping_minor
        self.refunds |= {refund.id: refund for refund in withdraw(self.known, before)}
        return self.request_due() if self.order.unrequested_refund_minor else []

    @property
    def amounts(self) -> list[int]:
        return [refund.amount_minor for refund in self.refunds.values()]

    def _ids(self) -> list[str]:
        return [f"r-{len(self.refunds)}-{n}" for n in range(len(self.payments))]

    def _when(self) -> When:
        return when(len(self.refunds))

    def keep(self, made: tuple[list[Refund], list[RefundEvent]] | Refusal) -> list[str] | RefusalCode:
        if isinstance(made, Refusal):
            return made.code
        self.refunds |= {refund.id: refund for refund in made[0]}
        return kinds(made[1])


def kinds(told: list[RefundEvent]) -> list[str]:
    return [type(event).__name__ for event in told]

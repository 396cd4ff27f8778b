"""What is promised of the saga once everything is delivered and nothing is parked."""

from collections import Counter

from schemas import contracts
from tests.support.saga_memory import kinds
from tests.support.saga_model import Saga


def check_at_rest(saga: Saga) -> None:
    """Assert what is promised once everything is delivered."""
    for order_id in saga.ids:
        _check_order(saga, order_id)
    _check_books(saga)
    _check_alerts(saga)
    for topic in saga.topics.values():
        for messages in topic.values():
            assert [message.sequence for message in messages] == list(range(1, len(messages) + 1))


def _check_order(saga: Saga, order_id: str) -> None:
    order, content = saga.order.orders[order_id], saga.order.contents[order_id]
    reservation = saga.inventory.reservations[order_id]
    wanted: Counter[str] = Counter()
    for line in content.lines:
        wanted[line.sku] += line.quantity
    state = {
        "pending": {"reserved"},
        "confirmed": {"allocated"},
        "processing": {"allocated"},
        "shipped": {"shipped"},
        "delivered": {"shipped"},
        "cancelled": {"released", "rejected", "expired", "cancelled_first", "shipped"},
    }[order.status]
    assert reservation.status in state
    assert saga.held(order_id) == (wanted if reservation.status in ("reserved", "allocated") else Counter())
    assert order.pending_operation is None
    recorded = sum(payment.amount_minor for payment in saga.order.payments.get(order_id, []))
    kept = order.total_minor if order.refund_waived else 0
    owed = kept if order.status == "cancelled" else order.total_minor
    assert (order.recorded_minor, order.refund_due_minor) == (recorded, max(0, recorded - owed))
    refunds = [refund for refund in saga.order.refunds.values() if refund.order_id == order_id]
    assert order.refunding_minor == sum(refund.amount_minor for refund in refunds) == order.refund_due_minor
    _check_returns(saga, order_id, wanted)
    history = saga.order.history[order_id]
    assert [row.previous_status for row in history] == [None, *(row.status for row in history[:-1])]
    assert (len(history), history[-1].status) == (order.version, order.status)


def _check_returns(saga: Saga, order_id: str, wanted: Counter[str]) -> None:
    """Of a cancelled order whose goods had left, all of them are expected back, once; of no other is anything."""
    expected = (
        saga.order.orders[order_id].status == "cancelled" and saga.inventory.reservations[order_id].status == "shipped"
    )
    returns = [one for one in saga.order.returns.values() if one.order_id == order_id]
    assert [(one.status, one.expected) for one in returns] == ([("approved", True)] if expected else [])
    units: Counter[str] = Counter()
    for line in (line for one in returns for line in one.lines):
        units[line.sku] += line.quantity
    assert units == (wanted if expected else Counter())


def _check_books(saga: Saga) -> None:
    once = Counter((m.because.event_id, m.sku, m.location, m.kind) for m in saga.inventory.movements)
    assert max(once.values()) == 1, "a movement is unique per event, SKU, location and kind"
    for (sku, _), level in saga.inventory.levels.items():
        ledger = [movement for movement in saga.inventory.movements if movement.sku == sku]
        sums = (sum(m.on_hand for m in ledger), sum(m.reserved for m in ledger), sum(m.allocated for m in ledger))
        assert sums == (level.on_hand, level.reserved, level.allocated)
        assert min(sums) >= 0
        assert level.on_hand >= level.reserved + level.allocated
        held = dict.fromkeys(("reserved", "allocated"), 0)
        for order_id, reservation in saga.inventory.reservations.items():
            if reservation.status in held:
                held[reservation.status] += saga.held(order_id)[sku]
        assert (level.reserved, level.allocated) == (held["reserved"], held["allocated"])
        after = [(m.on_hand_after, m.reserved_after, m.allocated_after) for m in ledger]
        assert all(row[0] >= row[1] + row[2] >= 0 for row in after), "oversold in between"


def _check_alerts(saga: Saga) -> None:
    """Being out of stock and being back take turns, and the last one says how it is."""
    for sku, variant in saga.inventory.variants.items():
        told = kinds(saga.topics[contracts.OutOfStock.TOPIC][sku])
        turns = [kind for kind in told if kind != "LowStockReached"]
        assert turns == [("OutOfStock", "BackInStock")[n % 2] for n in range(len(turns))]
        available = saga.inventory.levels[sku, "main"].available
        assert (turns[-1:] == ["OutOfStock"]) is (available <= 0)
        assert variant.low_stock_open is (available <= (variant.low_stock_threshold or 0))

"""What a change would come to, as it is shown: of lines, of an address, of a shipping method."""

from services.chassis.http.answers import answer
from services.chassis.http.headers import check_version
from services.chassis.idempotency import Answer
from services.order.api.calls import OrderCall
from services.order.api.models.revisions import Obstacle, Repriced
from services.order.api.problems import problem_of
from services.order.api.views import Money, items_of, own_lines, own_sums_of, sums_of
from services.order.domain import edits
from services.order.domain.orders import Order
from services.order.domain.refusals import Refusal
from services.order.domain.scopes import Scope


def tried(call: OrderCall, order: Order, scope: Scope, priced: edits.Repriced | Refusal) -> Answer:
    """Return the answer to a change that was only tried, as its caller would see the order.

    Raises:
        Problem: it cannot be priced, or the caller has not seen the order as it is now.

    """
    check_version(call.expected_versions, order.version)
    if isinstance(priced, Refusal):
        raise problem_of(priced)
    return answer(_repriced(order, scope, priced), 200, version=order.version)


def _repriced(order: Order, scope: Scope, priced: edits.Repriced) -> Repriced:
    money, obstacle = Money(order.currency), priced.obstacle
    lines, whole = own_lines(priced.content.lines, scope), scope.shows_buyer
    return Repriced(
        feasible=obstacle is None,
        obstacles=[] if obstacle is None else [Obstacle(code=obstacle.code.value, detail=obstacle.detail)],
        currency=order.currency,
        **(sums_of(priced.content, priced.total_minor, money) if whole else own_sums_of(lines, money)),
        price_difference=money(priced.total_minor - order.total_minor) if whole else None,
        items=items_of(order, lines),
    )

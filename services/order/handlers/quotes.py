"""What an order would come to."""

from services.order.domain.drafts import OrderDraft
from services.order.domain.quotes import Quote, quote
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.unit_of_work import OrderUnitOfWork


def quote_order(uow: OrderUnitOfWork, draft: OrderDraft) -> Quote | Refusal:
    """Price a draft as placing it would, and tell what there is to choose from; nothing is kept."""
    uow.load_drafts([draft])
    told = uow.availability.of(uow.catalog)
    quoted = quote(draft, uow.catalog, uow.settings.shop_terms, uow.addresses.known, told)
    return (
        Refusal(RefusalCode.INVALID_ORDER, "the order cannot be placed", quoted) if isinstance(quoted, list) else quoted
    )

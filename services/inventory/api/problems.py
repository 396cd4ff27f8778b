"""The refusals that only inventory knows, and how the domain's become problems."""

from services.chassis.errors import Problem
from services.chassis.http.problems import CODES, ProblemCode
from services.inventory.domain.commands import Refusal

PROBLEMS = {
    "unknown_sku": ProblemCode(404, "No variant has this SKU"),
    "foreign_variant": ProblemCode(403, "The variant is another vendor's"),
    "invalid_price": ProblemCode(422, "The price has more decimals than its currency, or there is no such currency"),
    "stock_changed": ProblemCode(409, "The level is not the expected one"),
    "stock_held": ProblemCode(409, "More is held for orders than would be left"),
}
_STATUS = {code: known.status for code, known in {**CODES, **PROBLEMS}.items()}


def problem_of(refusal: Refusal) -> Problem:
    """Return the problem that a refusal of the domain is answered with."""
    return Problem(_STATUS[refusal.code.value], refusal.code.value, refusal.detail)

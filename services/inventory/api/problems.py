"""The refusals that only inventory knows, and how the domain's become problems."""

from services.chassis.errors import Problem
from services.chassis.http.headers import etag
from services.chassis.http.problems import CODES, ProblemCode
from services.inventory.domain.commands import Refusal, RefusalCode

PROBLEMS = {
    "unknown_sku": ProblemCode(404, "No variant has this SKU"),
    "foreign_variant": ProblemCode(403, "The variant is another vendor's"),
    "foreign_location": ProblemCode(403, "The location is another warehouse's"),
    "invalid_price": ProblemCode(422, "The price has more decimals than its currency, or there is no such currency"),
    "stock_changed": ProblemCode(409, "The level is not the expected one"),
    "stock_held": ProblemCode(409, "More is held for orders than would be left"),
}
_STATUS = {code: known.status for code, known in {**CODES, **PROBLEMS}.items()}


# What a refusal is about, unless it names a field: a parameter, a header, or a part of the body.
_ABOUT = {
    RefusalCode.UNKNOWN_SKU: {"parameter": "sku"},
    RefusalCode.FOREIGN_VARIANT: {"parameter": "sku"},
    RefusalCode.VERSION_CHANGED: {"parameter": "If-Match"},
    RefusalCode.STOCK_CHANGED: {"pointer": "/expected_on_hand"},
}


def problem_of(refusal: Refusal) -> Problem:
    """Return the problem that a refusal of the domain is answered with."""
    code = refusal.code.value
    about = {"pointer": f"/{refusal.field}"} if refusal.field else _ABOUT.get(refusal.code, {"pointer": ""})
    errors = [{**about, "code": code, "detail": refusal.detail}]
    headers = {} if refusal.version is None else {"ETag": etag(refusal.version)}
    return Problem(_STATUS[code], code, refusal.detail, errors=errors, headers=headers)

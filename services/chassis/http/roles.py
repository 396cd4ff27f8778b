"""What a caller may be: a module of its own, for the settings to name roles without knowing tokens."""

from enum import StrEnum
from typing import Final, Literal


class Role(StrEnum):
    """A role that a token may carry."""

    CUSTOMER = "customer"
    VENDOR = "vendor"
    WAREHOUSE = "warehouse"
    ADMIN = "admin"
    SERVICE = "service"


# Who comes without a token, for rate limits: no role that a token may carry.
ANONYMOUS: Final = "anonymous"
Principal = Role | Literal["anonymous"]
ANY_ROLE = frozenset(Role)


class RouteClass(StrEnum):
    """What an endpoint costs."""

    READ = "read"
    WRITE = "write"
    BULK = "bulk"

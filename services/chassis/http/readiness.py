"""When an API can do its work: database, migrations, catalog, room in the outbox. Kafka never: placing goes on."""

from typing import Generic, TypeVar

from services.chassis import migrate
from services.chassis.database import transaction
from services.chassis.health import Reason
from services.chassis.outbox import is_full
from services.chassis.runtime import Runtime
from services.chassis.settings import ServiceSettings
from services.chassis.statements import sql
from services.chassis.unit_of_work import UnitOfWork

_CAUGHT_UP = sql("""
SELECT count(*) > 0 AND bool_and(caught_up_at IS NOT NULL) FROM consumer_progress WHERE consumer = :consumer
""")


S = TypeVar("S", bound=ServiceSettings)
U = TypeVar("U", bound=UnitOfWork)


class ApiReadiness(Generic[S, U]):
    """The checks of one API process.

    Args:
        runtime: the service's parts.

    """

    def __init__(self, runtime: Runtime[S, U]) -> None:
        self._runtime = runtime
        self._migrated = False
        # What was read to its end once stays usable: a catalog that is behind is still a catalog.
        self._loading = {found.consumer for found in runtime.subscriptions if found.projection}

    def register(self) -> None:
        """Let `/readyz` run the checks."""
        health = self._runtime.health
        health.check("database", self.migrations)
        health.check("catalog", self.catalog)
        health.check("outbox", self.outbox)

    def migrations(self) -> Reason | None:
        """Tell whether the database is at this build's schema; it does not go back, so once is enough."""
        if not self._migrated:
            self._migrated = not migrate.pending(self._runtime.engine, self._runtime.service.migrations)
            return None if self._migrated else Reason.MIGRATIONS_PENDING
        with transaction(self._runtime.engine) as connection:
            connection.execute(sql("SELECT 1"))
        return None

    def catalog(self) -> Reason | None:
        """Tell whether every projection has been read to its end once."""
        if self._loading and self._migrated:
            with transaction(self._runtime.engine) as connection:
                for consumer in sorted(self._loading):
                    if connection.execute(_CAUGHT_UP, {"consumer": consumer}).scalar_one():
                        self._loading.discard(consumer)
        return Reason.CATALOG_LOADING if self._loading else None

    def outbox(self) -> Reason | None:
        """Tell whether the outbox takes more."""
        if not self._migrated:
            return None
        most = self._runtime.settings.outbox_max_rows
        with transaction(self._runtime.engine) as connection:
            return Reason.OUTBOX_FULL if is_full(connection, most) else None

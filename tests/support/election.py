"""Which relay leads, as PostgreSQL knows it."""

from services.chassis.database import RELAY_LOCK
from tests.support.services import World


def leaders(world: World) -> list[int]:
    """Return the backends whose sessions hold the relay's lock: one at most."""
    query = """SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
               WHERE locktype = 'advisory' AND granted AND objid = :lock AND datname = current_database()"""
    return world.rows(query, lock=RELAY_LOCK)

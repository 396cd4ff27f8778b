"""The breaker: many keys parked with one fingerprint in a short time are a bad deploy, not bad events (DESIGN 5.4).

Counted in the database, so that several instances see the same. While it is open the consumer takes nothing and
parks nothing; it lifts with a new build id or when an operator resumes it with a reason.
"""

import sqlalchemy as sa

from services.chassis.errors import TransientError

# The keys that were parked with one fingerprint since the window began, or since an operator last resumed.
COUNT_AND_TRIP = sa.text("""
INSERT INTO breakers (consumer, topic, fingerprint, build_id)
SELECT :consumer, :topic, :fingerprint, :build_id
WHERE (SELECT count(*) FROM parked_keys p
       WHERE p.consumer = :consumer AND p.topic = :topic AND p.fingerprint = :fingerprint
         AND p.parked_at > greatest(now() - make_interval(secs => :seconds),
             (SELECT max(resumed_at) FROM breakers b WHERE b.consumer = :consumer))) >= :keys
ON CONFLICT (consumer, build_id) WHERE resumed_at IS NULL DO NOTHING
""")
OPEN = sa.text("""
SELECT topic, fingerprint FROM breakers
WHERE consumer = :consumer AND build_id = :build_id AND resumed_at IS NULL
""")
RESUME = sa.text("""
UPDATE breakers SET resumed_at = clock_timestamp(), reason = :reason, actor = :actor
WHERE consumer = :consumer AND resumed_at IS NULL AND (:build_id ::text IS NULL OR build_id <> :build_id)
""")


class SuspectedBadDeploy(TransientError):
    """The breaker is open: nothing is consumed until a new build or an operator lifts it."""


class Breaker:
    """Guards one consumer.

    Args:
        consumer: its name.
        build_id: what is running; another build lifts the breaker.
        keys: how many keys, parked with one fingerprint on one topic …
        seconds: … within this time, open it.

    """

    def __init__(self, consumer: str, build_id: str, keys: int, seconds: int) -> None:
        self._consumer = consumer
        self._build_id = build_id
        self._keys = keys
        self._seconds = seconds

    def check(self, connection: sa.Connection) -> None:
        """Raise SuspectedBadDeploy while the breaker is open."""
        row = connection.execute(OPEN, {"consumer": self._consumer, "build_id": self._build_id}).first()
        if row is not None:
            raise SuspectedBadDeploy(f"many keys of {row.topic} were parked with {row.fingerprint}")

    def count(self, connection: sa.Connection, topic: str, fingerprint: str) -> None:
        """Open the breaker if the keys parked with this fingerprint have become too many."""
        limits = {"keys": self._keys, "seconds": self._seconds, "build_id": self._build_id}
        connection.execute(
            COUNT_AND_TRIP, {"consumer": self._consumer, "topic": topic, "fingerprint": fingerprint, **limits}
        )

    def lift_for_new_build(self, connection: sa.Connection) -> None:
        """Close a breaker that another build opened; called at start."""
        row = {"consumer": self._consumer, "build_id": self._build_id}
        connection.execute(RESUME, {**row, "reason": "new build", "actor": self._build_id})


def resume(connection: sa.Connection, consumer: str, *, reason: str, actor: str) -> bool:
    """Close a consumer's breaker by hand and return whether it was open."""
    row = {"consumer": consumer, "build_id": None, "reason": reason, "actor": actor}
    return connection.execute(RESUME, row).rowcount > 0

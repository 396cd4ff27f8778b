"""The breaker: many keys parked with one fingerprint in a short time are a bad deploy, not bad events.

Counted in the database, so that several instances see the same. While it is open the consumer takes nothing and
parks nothing; it lifts with a new build id or when an operator resumes it with a reason.
"""

from services.chassis.connection import Connection
from services.chassis.errors import OmsError, TransientError
from services.chassis.statements import often, sql

# The keys that were parked with one fingerprint since the window began, or since an operator last resumed.
COUNT_AND_TRIP = sql("""
INSERT INTO breakers (consumer, topic, fingerprint, build_id)
SELECT :consumer, :topic, :fingerprint, :build_id
WHERE (SELECT count(*) FROM parked_keys p
       WHERE p.consumer = :consumer AND p.topic = :topic AND p.fingerprint = :fingerprint
         AND p.parked_at > greatest(now() - make_interval(secs => :seconds),
             (SELECT max(resumed_at) FROM breakers b WHERE b.consumer = :consumer))) >= :keys
ON CONFLICT (consumer, build_id) WHERE resumed_at IS NULL DO NOTHING
""")
OPEN = """
SELECT topic, fingerprint FROM breakers
WHERE consumer = :consumer AND build_id = :build_id AND resumed_at IS NULL
"""
_OPEN = often(OPEN)
RESUME = sql("""
UPDATE breakers SET resumed_at = clock_timestamp(), reason = :reason, actor = :actor
WHERE consumer = :consumer AND resumed_at IS NULL AND (:build_id ::text IS NULL OR build_id <> :build_id)
""")


class SuspectedBadDeploy(TransientError):
    """The breaker is open: nothing is consumed until a new build or an operator lifts it."""

    def __init__(self, topic: str, fingerprint: str) -> None:
        super().__init__(f"many keys of {topic} were parked with {fingerprint}")


class OpenedMidway(OmsError):
    """The breaker opened in this transaction, which has more to park: it has to end before that.

    Not transient: rolled back as a whole and tried again it would come to the same, for ever and unseen.
    """


class Breaker:
    """Guards one consumer.

    Args:
        consumer: its name.
        build_id: what is running; another build lifts the breaker.
        keys: how many keys, parked with one fingerprint on one topic …
        seconds: … within this time, open it.

    Attributes:
        identity: the parameters of `OPEN`.
        was_open: whether it was open when somebody looked last.

    """

    def __init__(self, consumer: str, build_id: str, keys: int, seconds: int) -> None:
        self.identity = {"consumer": consumer, "build_id": build_id}
        self.was_open = False
        self._keys = keys
        self._seconds = seconds

    def check(self, connection: Connection) -> None:
        """Raise SuspectedBadDeploy while the breaker is open."""
        row = connection.execute(_OPEN, self.identity).first()
        self.was_open = row is not None
        if row is not None:
            raise SuspectedBadDeploy(row.topic, row.fingerprint)

    def count(self, connection: Connection, topic: str, fingerprint: str) -> bool:
        """Open the breaker if the keys parked with this fingerprint are too many by now; return whether it did."""
        limits = {"keys": self._keys, "seconds": self._seconds}
        asked = {**self.identity, "topic": topic, "fingerprint": fingerprint, **limits}
        return connection.execute(COUNT_AND_TRIP, asked).rowcount > 0

    def lift_for_new_build(self, connection: Connection) -> None:
        """Close a breaker that another build opened; called at start."""
        connection.execute(RESUME, {**self.identity, "reason": "new build", "actor": self.identity["build_id"]})


def resume(connection: Connection, consumer: str, *, reason: str, actor: str) -> bool:
    """Close a consumer's breaker by hand and return whether it was open."""
    row = {"consumer": consumer, "build_id": None, "reason": reason, "actor": actor}
    return connection.execute(RESUME, row).rowcount > 0

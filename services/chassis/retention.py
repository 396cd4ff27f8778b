"""Checks at start that the inbox outlives the log: else a replay could handle an event twice."""

from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from services.chassis import logs
from services.chassis.errors import BrokerUnavailable, SchemaMismatch

_DAY_MS = 86_400_000
_REQUEST_SECONDS = 5
log = logs.logger(__name__)


def require_inbox_outlives_log(admin: AdminClient, topics: Sequence[str], inbox_days: float, *, refuse: bool) -> None:
    """Compare the inbox's retention with `retention.ms + segment.ms + 1 d` of each topic, as the broker has them.

    Args:
        admin: asks the broker.
        topics: topics whose events the inbox claims; compacted ones are projections and need none.
        inbox_days: how long a claim is kept.
        refuse: whether a shorter inbox ends the process or is only logged.

    Raises:
        SchemaMismatch: a topic keeps events longer than the inbox remembers them, and `refuse` is set.
        BrokerUnavailable: the broker does not answer.

    """
    resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
    try:
        asked = admin.describe_configs(resources, request_timeout=_REQUEST_SECONDS)
        answers = {resource.name: answer.result() for resource, answer in asked.items()}
    except KafkaException as error:
        raise BrokerUnavailable(str(error)) from error
    for topic, config in sorted(answers.items()):
        retention = int(config["retention.ms"].value)
        needed = float("inf") if retention < 0 else retention + int(config["segment.ms"].value) + _DAY_MS
        if inbox_days * _DAY_MS >= needed:
            continue
        message = f"{topic} keeps events for up to {needed / _DAY_MS:g} days, INBOX_RETENTION_DAYS is {inbox_days:g}"
        if refuse:
            raise SchemaMismatch(message)
        log.warning("inbox_forgets_before_the_log", topic=topic, detail=message)

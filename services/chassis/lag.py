"""How far a consumer is behind, from the statistics that librdkafka gives every 15 seconds."""

import json
import time
from collections.abc import Sequence

from services.chassis import metrics
from services.chassis.events import Record


class Lag:
    """Keeps the lag metrics of one consumer."""

    def __init__(self) -> None:
        self._last_ms: dict[str, int] = {}

    def handled(self, records: Sequence[Record]) -> None:
        """Observe how long records took from their timestamp to the commit of their handling."""
        now = time.time()
        for topic, group in _by_topic(records).items():
            histogram = metrics.EVENT_END_TO_END.labels(topic)
            for record in group:
                histogram.observe(max(0.0, now - record.timestamp_ms / 1000))
            self._last_ms[topic] = group[-1].timestamp_ms

    def statistics(self, text: str) -> None:
        """Take librdkafka's statistics (`statistics.interval.ms`).

        They go on naming a partition that went to another process, with the lag that it had when it went; only
        `desired` says that it is no longer ours.
        """
        for topic, facts in json.loads(text)["topics"].items():
            ours = [part for part in facts["partitions"].values() if part["desired"]]
            if ours:
                self._show(topic, sum(max(0, part["consumer_lag"]) for part in ours))
            else:
                self._forget(topic)

    def _show(self, topic: str, lag: int) -> None:
        behind = time.time() - self._last_ms[topic] / 1000 if lag and topic in self._last_ms else 0.0
        metrics.CONSUMER_LAG_MESSAGES.labels(topic).set(lag)
        metrics.CONSUMER_LAG_SECONDS.labels(topic).set(behind)

    def _forget(self, topic: str) -> None:
        """Say nothing of a topic of which we have no partition: whoever has them does."""
        self._last_ms.pop(topic, None)
        metrics.CONSUMER_LAG_MESSAGES.remove(topic)
        metrics.CONSUMER_LAG_SECONDS.remove(topic)


def _by_topic(records: Sequence[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.topic, []).append(record)
    return groups

"""Counts what became of records, and numbers that a producer skipped."""

from collections import Counter, OrderedDict
from collections.abc import Sequence

from services.chassis import metrics, parking
from services.chassis.events import Record
from services.chassis.incoming import Item

_SEQUENCES_REMEMBERED = 50_000


class Tally:
    """Keeps the metrics of one consumer's events.

    Args:
        follows_sequences: whether `ce_sequence` should be without gaps; compacted topics have them by nature.

    """

    def __init__(self, *, follows_sequences: bool) -> None:
        self._follows_sequences = follows_sequences
        self._sequences: OrderedDict[parking.Key, int] = OrderedDict()

    def batch(
        self, records: Sequence[Record], items: Sequence[Item], fresh: Sequence[Item], waiting: Sequence[Item]
    ) -> None:
        """Count a batch that stands.

        Args:
            records: all that were taken.
            items: those of a type that is handled.
            fresh: those that nobody had claimed before.
            waiting: those that were parked.

        """
        results: Counter[tuple[str, str, str]] = Counter()
        handled = {item.received.event_id for item in fresh}
        parked = {item.received.event_id for item in waiting}
        for item in items:
            event_id = item.received.event_id
            result = "parked" if event_id in parked else "handled" if event_id in handled else "duplicate"
            handled.discard(event_id)
            parked.discard(event_id)
            results[item.received.record.topic, item.kind.__name__, result] += 1
            self._note_sequence(item)
        ignored = Counter(record.topic for record in records)
        ignored.subtract(item.received.record.topic for item in items)
        for topic, count in (+ignored).items():
            results[topic, "other", "ignored"] += count
        for labels, count in results.items():
            metrics.EVENTS_CONSUMED.labels(*labels).inc(count)

    def one(self, item: Item, result: str) -> None:
        """Count a single event."""
        metrics.EVENTS_CONSUMED.labels(item.received.record.topic, item.kind.__name__, result).inc()

    def _note_sequence(self, item: Item) -> None:
        """Count numbers that a producer skipped; keys seen for the first time tell nothing."""
        number = item.received.sequence
        if number is None or not self._follows_sequences:
            return
        last = self._sequences.pop(item.key, None)
        if last is not None and number > last + 1:
            metrics.SEQUENCE_GAPS.labels(item.received.record.topic).inc(number - last - 1)
        self._sequences[item.key] = number if last is None else max(number, last)
        if len(self._sequences) > _SEQUENCES_REMEMBERED:
            self._sequences.popitem(last=False)

"""Business days: Monday to Friday, by the day in UTC. Holidays are not known: they differ from place to place."""

from datetime import UTC, date, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SATURDAY = 5
_FARTHEST_WEST = timedelta(hours=12)


def business_day_after(moment: int, days: int) -> date:
    """Return the day that lies so many business days after a moment; none after it is that day, or the next Monday.

    Args:
        moment: microseconds since the epoch.
        days: at least 0.

    """
    day = (_EPOCH + timedelta(microseconds=moment)).date()
    while days or day.weekday() >= _SATURDAY:
        day += timedelta(days=1)
        if day.weekday() < _SATURDAY and days:
            days -= 1
    return day


def day_in_the_west(moment: int) -> date:
    """Return the day where days begin last, at a moment in microseconds since the epoch: it is earlier nowhere."""
    return (_EPOCH + timedelta(microseconds=moment) - _FARTHEST_WEST).date()


def end_of(day: date) -> int:
    """Return when a day is over, in microseconds since the epoch."""
    following = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return (following - _EPOCH) // timedelta(microseconds=1)

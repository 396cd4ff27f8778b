"""One transaction of notification's consumer: subjects locked once and sorted, everything written once."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.chassis.commands import Submitted
from services.chassis.events import Received, new_id
from services.chassis.unit_of_work import Transaction
from services.notification.domain.erasure import EraseOrders
from services.notification.domain.notifications import Mail, Notification, Snapshot, Subject
from services.notification.repository import notifications, subjects
from services.notification.repository.notifications import QueuedMail
from services.notification.settings import NotificationSettings


class NotificationUnitOfWork:
    """What a handler of notification works on.

    Attributes:
        tx: the transaction.
        settings: the service's settings.

    """

    def __init__(self, tx: Transaction, settings: NotificationSettings) -> None:
        self.tx = tx
        self.settings = settings
        self._subjects: dict[str, Subject] = {}
        self._existing: frozenset[str] = frozenset()
        self._snapshots: dict[str, Snapshot] = {}
        self._mails: list[QueuedMail] = []

    def lock(self, messages: Sequence[Any]) -> None:
        """Lock and load what events and commands are about."""
        keys = [message.event.key for message in messages if isinstance(message, Received)]
        commands = [message.command for message in messages if isinstance(message, Submitted)]
        keys += [key for command in commands if isinstance(command, EraseOrders) for key in command.order_ids]
        self._subjects = subjects.lock(self.tx.connection, keys)
        self._existing = frozenset(self._subjects)

    def subject(self, key: str) -> Subject | None:
        """Return what is known under a key, None for nothing."""
        return self._subjects.get(key)

    def add(self, subject: Subject, snapshot: Snapshot | None) -> None:
        """Keep a subject that was not there, or became known just now."""
        self._subjects[subject.key] = subject
        if snapshot is not None:
            self._snapshots[subject.key] = snapshot

    def write_down(self, mail: Mail | None, received: Received[Any]) -> None:
        """Keep a mail that an event asks for, if it asks for one."""
        if mail is not None:
            cause = received.cause
            self._mails.append(
                QueuedMail(
                    id=new_id(),
                    subject=received.event.key,
                    event_id=received.event_id,
                    mail=mail,
                    correlation_id=cause.correlation_id,
                    traceparent=cause.traceparent,
                )
            )

    def save(self) -> None:
        """Write everything."""
        connection = self.tx.connection
        new = [self._subjects[key] for key in sorted(self._subjects.keys() - self._existing)]
        completed = [self._subjects[key] for key in sorted(self._snapshots.keys() & self._existing)]
        subjects.insert(connection, new, self._snapshots)
        subjects.complete(connection, completed, self._snapshots)
        notifications.insert(connection, self._mails)
        notifications.release(connection, {subject.key: subject.email for subject in completed})

    def erase(self, order_ids: Sequence[str]) -> tuple[int, int]:
        """Blank whom mails about locked orders went to; return how many, and how many are at no end yet."""
        subjects.erase(self.tx.connection, order_ids)
        return notifications.erase(self.tx.connection, order_ids)

    # --- reading

    def find(self, notification_id: str) -> Notification | None:
        """Return one notification, None where there is none of that id."""
        return notifications.find(self.tx.connection, notification_id)

    def page(self, filters: Mapping[str, str], *, after: str | None, limit: int) -> list[Notification]:
        """Return notifications, the newest first.

        Args:
            filters: subject, recipient, status or template → the value that it must have.
            after: id of the last one of the page before.
            limit: how many at most.

        """
        return notifications.page(self.tx.connection, filters, after=after, limit=limit)

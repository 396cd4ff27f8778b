"""The notification service, described for the chassis."""

from functools import partial
from pathlib import Path

from schemas import contracts
from services.chassis.deadlines import Chore
from services.chassis.incoming import Subscription
from services.chassis.service import Service
from services.notification import erase, held
from services.notification.api import notifications as api
from services.notification.handlers import COMMANDS, HANDLERS
from services.notification.mail import mailer
from services.notification.repository import gauges, notifications, subjects
from services.notification.settings import NotificationSettings
from services.notification.unit_of_work import NotificationUnitOfWork

_CONSUMER = "notification"


def _chores(settings: NotificationSettings) -> list[Chore]:
    days = settings.personal_data_retention_days
    return [
        Chore("notifications", 60, partial(notifications.prune, days=days)),
        Chore("subjects", 60, partial(subjects.prune, days=days)),
    ]


SERVICE = Service(
    name="notification",
    settings=NotificationSettings,
    events=contracts.EVENTS,
    schemas=Path(contracts.__file__).parent,
    migrations=Path(__file__).parent / "migrations",
    unit_of_work=NotificationUnitOfWork,
    subscriptions=lambda _settings: [Subscription(_CONSUMER, HANDLERS, foreign={})],
    commands=COMMANDS,
    blueprints=[api],
    loops={mailer.NAME: mailer.mailer},
    reports={"held": held.report},
    jobs={"erase": erase.erase},
    gauges=gauges.GAUGES,
    chores=_chores,
    gathers_seconds=0.25,
)

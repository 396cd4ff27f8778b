"""Mails of which nobody knows whether the mail server took them, under `MAIL_UNKNOWN_OUTCOME=hold`."""

from rich.console import Console

from services.notification.domain.notifications import NotificationStatus
from services.notification.unit_of_work import NotificationUnitOfWork

_SHOWN = 100


def report(uow: NotificationUnitOfWork) -> int:
    """List held mails, the newest first, without addresses; exit 1 if there are any."""
    held = uow.page({"status": NotificationStatus.HELD.value}, after=None, limit=_SHOWN)
    # A console that wraps nothing: the ids are to be copied.
    console = Console(soft_wrap=True, markup=False, highlight=False, emoji=False)
    for row in held:
        since = row.updated_at.isoformat(timespec="seconds")
        console.print(f"{row.id} {row.template.value} about {row.subject}, since {since}, Message-ID <{row.id}@…")
    if not held:
        console.print("no mail is held")
    else:
        console.print("look the Message-IDs up in the mail server's log; MAIL_UNKNOWN_OUTCOME=resend sends them all")
    return 1 if held else 0

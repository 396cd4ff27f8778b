"""Mails of which nobody knows whether the mail server took them, under `MAIL_UNKNOWN_OUTCOME=hold`."""

from rich.console import Console
from rich.table import Table

from services.notification.domain.notifications import NotificationStatus
from services.notification.unit_of_work import NotificationUnitOfWork

_SHOWN = 100


def report(uow: NotificationUnitOfWork) -> int:
    """List held mails, the newest first, without addresses; exit 1 if there are any."""
    held = uow.page({"status": NotificationStatus.HELD.value}, after=None, limit=_SHOWN)
    table = Table("notification", "about", "template", "since", "Message-ID begins with")
    for row in held:
        since = row.updated_at.isoformat(timespec="seconds")
        table.add_row(row.id, row.subject, row.template.value, since, f"<{row.id}@")
    console = Console()
    console.print(table if held else "no mail is held")
    if held:
        console.print("look the Message-IDs up in the mail server's log; MAIL_UNKNOWN_OUTCOME=resend sends them all")
    return 1 if held else 0

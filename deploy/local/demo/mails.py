"""The mails that arrived in the mail sink, read from its files."""

import email
import email.policy
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was delivered; `notification_id` is the left part of its Message-ID."""

    recipient: str
    subject: str
    notification_id: str


class Mailbox:
    """The sink's directory; files never change once they have their name, so each is read once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[str, Mail] = {}

    def mails(self) -> list[Mail]:
        """Return every mail so far, in order of arrival."""
        for path in self._directory.glob("*.eml"):
            if path.name not in self._read:
                self._read[path.name] = _mail(path)
        return [self._read[name] for name in sorted(self._read)]


def _mail(path: Path) -> Mail:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    return Mail(
        recipient=str(message["X-Envelope-To"]),
        subject=str(message["Subject"]),
        notification_id=str(message["Message-ID"]).strip("<>").partition("@")[0],
    )

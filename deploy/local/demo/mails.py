"""The mails that arrived in the mail sink: read from its files, or from Mailpit over HTTP."""

import email
import email.policy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import requests

from deploy.local.demo.promises import StoryBroken
from deploy.local.services import get
from deploy.local.state import MailSink

_ANSWER_SECONDS = 10.0
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was delivered; `notification_id` is the left part of its Message-ID."""

    recipient: str
    subject: str
    notification_id: str


class Mailbox(Protocol):
    """Somewhere mails arrive."""

    def mails(self) -> list[Mail]:
        """Return every mail so far, in order of arrival."""
        ...


def mailbox_of(sink: MailSink) -> Mailbox:
    """Return what reads a stack's mails."""
    if sink.url is not None:
        return Mailpit(sink.url)
    return MailDirectory(Path(sink.directory or ""))


class MailDirectory:
    """The directory of our own mail sink; files never change once they have their name, so each is read once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[str, Mail] = {}

    def mails(self) -> list[Mail]:
        """Return every mail so far, in order of arrival."""
        for path in self._directory.glob("*.eml"):
            if path.name not in self._read:
                self._read[path.name] = _mail(path)
        return [self._read[name] for name in sorted(self._read)]


class Mailpit:
    """Mailpit, which lists the mails that it took by HTTP, the last one first."""

    def __init__(self, url: str) -> None:
        self._url = url

    def mails(self) -> list[Mail]:
        """Return every mail so far, in order of arrival; raise StoryBroken when Mailpit does not answer."""
        try:
            answer = get(f"{self._url}/api/v1/messages?limit={_MOST}", timeout=_ANSWER_SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise StoryBroken(f"{self._url}: {type(error).__name__}") from error
        return [_listed(row) for row in reversed(answer.json()["messages"])]


def _listed(row: Mapping[str, Any]) -> Mail:
    """Return a mail as Mailpit's list has it; one with several recipients would be one with a strange address."""
    return Mail(
        recipient=", ".join(to["Address"] for to in row["To"]),
        subject=row["Subject"],
        notification_id=_notification_id(row["MessageID"]),
    )


def _mail(path: Path) -> Mail:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    return Mail(
        recipient=str(message["X-Envelope-To"]),
        subject=str(message["Subject"]),
        notification_id=_notification_id(str(message["Message-ID"])),
    )


def _notification_id(message_id: str) -> str:
    return message_id.strip("<>").partition("@")[0]

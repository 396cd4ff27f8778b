"""A mail as it goes to the server: RFC 5322, plain text and HTML, the same bytes' worth at every try.

Message-ID and Date come from the notification, never from the try: whoever gets a mail twice can tell.
"""

from dataclasses import dataclass
from datetime import UTC
from email import policy
from email.headerregistry import Address, BaseHeader, HeaderRegistry
from email.message import EmailMessage
from functools import cache

from services.chassis.errors import OmsError
from services.notification.domain.deliveries import Delivery
from services.notification.mail.addresses import recipient_of
from services.notification.mail.rendering import Rendered


class _HeaderTypes(HeaderRegistry):
    """Makes the class of a header once: the library's own makes one for every header of every mail."""

    @cache  # noqa: B019  # one object, for the life of the process
    def __getitem__(self, name: str) -> type[BaseHeader]:
        return super().__getitem__(name)


_ASCII = policy.SMTP.clone(header_factory=_HeaderTypes())
_UTF8 = policy.SMTPUTF8.clone(header_factory=_HeaderTypes())


class Undeliverable(OmsError):
    """A mail that no server could deliver; the message is the stable code of the reason."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail in its envelope.

    Args:
        sender: address for MAIL FROM.
        recipient: address for RCPT TO.
        content: headers and body, with CRLF.

    """

    sender: str
    recipient: str
    content: bytes

    @property
    def needs_smtputf8(self) -> bool:
        """Whether the recipient's address is beyond ASCII (RFC 6531)."""
        return not self.recipient.isascii()


def letter_of(delivery: Delivery, rendered: Rendered, sender: Address) -> Letter:
    """Return the mail of a notification.

    Raises:
        Undeliverable: the recipient's address is none.

    """
    try:
        recipient = recipient_of(delivery.recipient)
    except ValueError as error:
        raise Undeliverable("recipient_invalid") from error
    message = EmailMessage(_ASCII if recipient.addr_spec.isascii() else _UTF8)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = rendered.subject
    message["Date"] = delivery.created_at.astimezone(UTC)
    message["Message-ID"] = f"<{delivery.id}@{sender.domain}>"
    # RFC 3834: nobody's holiday notice answers it.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(rendered.text, cte="quoted-printable")
    message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    return Letter(sender.addr_spec, recipient.addr_spec, bytes(message))

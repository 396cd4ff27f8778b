"""Hands mails to a server by SMTP (RFC 5321), over one connection for as long as there is something to send.

What a server says is reduced to its reply code: its words may repeat the recipient's address.
"""

import smtplib
import ssl
import time
from dataclasses import dataclass

from services.chassis import logs
from services.chassis.errors import TransientError
from services.notification.domain.deliveries import Answer, AnswerKind
from services.notification.mail.letters import Letter
from services.notification.mail.smtp_url import SmtpServer

_IDLE_SECONDS, _GOODBYE_SECONDS = 10.0, 2.0
_CLOSING = 421
_ACCEPTED = Answer(AnswerKind.ACCEPTED)
_LOST = Answer(AnswerKind.PUT_OFF, "connection_lost")
_FAULTS = (OSError, smtplib.SMTPException)
log = logs.logger(__name__)


class MailServerAway(TransientError):
    """The mail server cannot be reached or does not let us in: no mail was tried."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A command of a mail's transaction, and the codes of its failures."""

    name: str

    def answer(self, status: int) -> Answer:
        """Return what a reply that is no success means for the mail."""
        if status >= 500:
            return Answer(AnswerKind.REFUSED, f"{self.name}_refused", status)
        return Answer(AnswerKind.PUT_OFF, f"{self.name}_put_off", status if status > 0 else None)


_SENDER, _RECIPIENT, _CONTENT = _Step("sender"), _Step("recipient"), _Step("content")


class SmtpPostman:
    """Hands mails to one server; not for several threads.

    Args:
        server: where.
        greeting: our name for EHLO.
        timeout: seconds that the server has for each answer.

    """

    def __init__(self, server: SmtpServer, greeting: str, timeout: float) -> None:
        self._server = server
        self._greeting = greeting
        self._timeout = timeout
        self._client: smtplib.SMTP | None = None
        self._used = 0.0

    def deliver(self, letter: Letter) -> Answer:
        """Try one mail and return what the server made of it.

        Raises:
            MailServerAway: the mail was not tried.

        """
        client = self._connected()
        try:
            answer = _hand_over(client, letter)
        except _FAULTS as error:
            log.warning("mail_connection_lost", error=type(error).__name__)
            answer = _LOST
        self._used = time.monotonic()
        if answer is _LOST or answer.kind is AnswerKind.UNKNOWN or answer.smtp_status == _CLOSING:
            self._drop()
        return answer

    def rest(self) -> None:
        """Say goodbye to the server if there was nothing to send for a while."""
        if self._client is not None and time.monotonic() - self._used > _IDLE_SECONDS:
            self.close()

    def close(self) -> None:
        """Say goodbye to the server."""
        client, self._client = self._client, None
        if client is not None:
            try:
                if client.sock is not None:
                    client.sock.settimeout(_GOODBYE_SECONDS)
                client.quit()
            except _FAULTS as error:
                log.debug("mail_quit_failed", error=type(error).__name__)
                client.close()

    def _connected(self) -> smtplib.SMTP:
        """Return a connection on which the server has just answered; RSET also ends what a refused mail left."""
        if self._client is not None:
            try:
                if self._client.rset()[0] == 250:
                    return self._client
            except _FAULTS as error:
                log.info("mail_connection_stale", error=type(error).__name__)
            self._drop()
        try:
            self._client = self._connect()
        except _FAULTS as error:
            raise MailServerAway(_told(error)) from error
        return self._client

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        if server.tls:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host,
                server.port,
                self._greeting,
                timeout=self._timeout,
                context=ssl.create_default_context(),
            )
        else:
            client = smtplib.SMTP(server.host, server.port, self._greeting, timeout=self._timeout)
        try:
            if server.starttls:
                client.starttls(context=ssl.create_default_context())
            if server.user is not None and server.password is not None:
                client.login(server.user, server.password)
            client.ehlo_or_helo_if_needed()
        except BaseException:
            client.close()
            raise
        return client

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _hand_over(client: smtplib.SMTP, letter: Letter) -> Answer:
    """Run one mail's transaction (RFC 5321, 3.3); raises what smtplib raises before the content is sent."""
    options = ("SMTPUTF8", "BODY=8BITMIME") if letter.needs_smtputf8 else ()
    if options and not client.has_extn("smtputf8"):
        return Answer(AnswerKind.REFUSED, "smtputf8_unsupported")
    status = client.mail(letter.sender, options)[0]
    if status != 250:
        return _SENDER.answer(status)
    status = client.rcpt(letter.recipient)[0]
    if status not in (250, 251):
        return _RECIPIENT.answer(status)
    try:
        status = client.data(letter.content)[0]
    except smtplib.SMTPDataError as refused:
        return _CONTENT.answer(refused.smtp_code)
    except _FAULTS:
        # The content was on its way: the server may have taken it.
        return Answer(AnswerKind.UNKNOWN, "outcome_unknown")
    return _ACCEPTED if status == 250 else _CONTENT.answer(status)


def _told(error: Exception) -> str:
    """Return what may be logged of a failure to connect: its type, and the reply code if there was one."""
    status = getattr(error, "smtp_code", None)
    return type(error).__name__ if status is None else f"{type(error).__name__} {status}"

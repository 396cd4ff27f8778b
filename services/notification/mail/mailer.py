"""The mailer: claims queued mails, hands them to the mail server, and writes down each answer at once.

Three transactions a mail, none of them open while the server is asked: the claim (for a batch), the result (each its
own), and nothing between. A kill before the server answered loses nothing: the claim ends and the mail is tried
again. A kill after the server took a mail and before our commit leaves the one window that nobody can close; results
are committed singly, so it is never wider than one mail (`UnknownOutcome` says what is done with it).

A mail server that cannot be reached is no fault of a mail: nothing is counted against any, all wait for its return.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import TemplateError

from services.chassis import logs, metrics
from services.chassis.connection import Engine
from services.chassis.database import statements, transaction
from services.chassis.errors import TransientError
from services.chassis.events import Cause, to_micros
from services.chassis.health import Health, Reason
from services.chassis.outbox import Outbox
from services.chassis.runtime import Runtime
from services.chassis.unit_of_work import begin
from services.notification.domain.deliveries import Answer, AnswerKind, Delivery, Verdict, judge, told
from services.notification.domain.notifications import NotificationStatus, SubjectKind, Template
from services.notification.mail.letters import Undeliverable, letter_of
from services.notification.mail.rendering import Renderer
from services.notification.mail.smtp import MailServerAway, SmtpPostman
from services.notification.repository import queue
from services.notification.settings import NotificationSettings

NAME = "mailer"
_PAUSE_SECONDS, _PAUSE_MAX_SECONDS = 0.5, 15.0
_GATHER_SECONDS = 0.2
# So often within the length of a claim it is looked for those that have ended.
_SETTLINGS = 60
# What a template or facts that do not fit raise: the mail waits for a better build, the others go on.
_UNRENDERABLE = (TemplateError, LookupError, TypeError, ValueError)
# What a try, or a claim without one, is counted as.
_PUT_OFF, _OUTCOME_UNKNOWN = "put_off", "outcome_unknown"
_RESULTS = (NotificationStatus.SENT, NotificationStatus.FAILED, NotificationStatus.HELD, _PUT_OFF, _OUTCOME_UNKNOWN)
log = logs.logger(__name__)


class Mailer:
    """Sends what is queued; any number of them may run.

    Args:
        engine: the service's database.
        outbox: makes an empty outbox for a transaction.
        postman: hands mails to the server.
        health: told that the thread is alive, and whether the database is.
        settings: the service's settings.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        outbox: Callable[[], Outbox],
        postman: SmtpPostman,
        health: Health,
        settings: NotificationSettings,
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self._postman = postman
        self._health = health
        self._settings = settings
        self._terms = settings.delivery_terms
        self._sender = settings.sender
        self._renderer = Renderer()
        self._next_settling = 0.0

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set; the mail that is being sent is finished, claims on others are given back."""
        _count_from_0()
        pause = _PAUSE_SECONDS
        while not stop.is_set():
            self._health.beat(NAME)
            try:
                found = self.send_due(stop)
            except TransientError as error:
                self._note_absence(error)
                stop.wait(pause)
                pause = min(pause * 2, _PAUSE_MAX_SECONDS)
                continue
            self._health.report(NAME, None)
            pause = _PAUSE_SECONDS
            if not found:
                self._postman.rest()
                stop.wait(self._settings.mail_poll_seconds)
            elif found < self._settings.claim_size:
                # The queue is empty: by the next look a few mails will have come, which share a claim.
                stop.wait(min(_GATHER_SECONDS, self._settings.mail_poll_seconds))
        self._postman.close()

    def send_due(self, stop: threading.Event) -> int:
        """Claim a batch, send it, and return how many mails were claimed.

        Raises:
            MailServerAway: the server cannot be reached; what was claimed is queued again.
            TransientError: the database is away.

        """
        settings = self._settings
        now = time.monotonic()
        # Nothing is begun in the second half of a claim, so that each try ends within it.
        until = now + settings.mail_lease_seconds / 2
        with statements(self._engine) as connection:
            if now >= self._next_settling:
                for found in queue.settle_overdue(connection, settings.mail_unknown_outcome):
                    _note_unknown(found, settings.mail_unknown_outcome.value)
                self._next_settling = now + settings.mail_lease_seconds / _SETTLINGS
            claim = queue.claim(connection, settings.claim_size, settings.mail_lease_seconds)
        self._work_off(claim, until, stop)
        return len(claim.deliveries)

    def _work_off(self, claim: queue.Claim, until: float, stop: threading.Event) -> None:
        left = list(claim.deliveries)
        try:
            while left and not stop.is_set() and time.monotonic() < until:
                self._health.beat(NAME)
                answer = self._try(left[0])
                delivery = left.pop(0)
                self._settle(claim.id, delivery, judge(answer, delivery.attempts, self._terms), stop)
        finally:
            self._give_back(claim.id, left)

    def _try(self, delivery: Delivery) -> Answer:
        """Try one mail; raises MailServerAway where it was not tried."""
        try:
            rendered = self._renderer.render(
                delivery.template,
                locale=delivery.locale,
                facts=delivery.facts,
                subject_facts=delivery.subject_facts,
            )
            letter = letter_of(delivery, rendered, self._sender)
        except Undeliverable as error:
            return Answer(AnswerKind.REFUSED, str(error))
        except _UNRENDERABLE as error:
            # Without a traceback: its last line may repeat what is in the order.
            log.warning("mail_unrenderable", error=type(error).__name__, template=delivery.template.value)
            return Answer(AnswerKind.PUT_OFF, "unrenderable")
        return self._postman.deliver(letter)

    def _settle(self, claim_id: str, delivery: Delivery, verdict: Verdict, stop: threading.Event) -> None:
        """Write down what became of a mail, however long the database is away.

        Raises:
            TransientError: the database is away and we were told to stop; the claim will end without a result.

        """
        while True:
            try:
                ours = self._write(claim_id, delivery, verdict)
            except TransientError as error:
                self._note_absence(error)
                if stop.is_set():
                    raise
                self._health.beat(NAME)
                stop.wait(_PAUSE_SECONDS)
            else:
                _note_result(delivery, verdict, ours=ours)
                return

    def _write(self, claim_id: str, delivery: Delivery, verdict: Verdict) -> bool:
        """Write one result and its event; return False where the claim had ended, or where a lost commit stood."""
        with begin(self._engine, self._outbox()) as tx:
            settled = queue.settle(tx.connection, claim_id, delivery, verdict)
            if settled is None:
                return False
            tx.tell_time(settled.at)
            event = told(delivery, verdict, to_micros(settled.at))
            if event is not None:
                assert settled.sequence is not None  # noqa: S101  # a claimed mail has its subject
                cause = Cause(delivery.correlation_id, delivery.event_id, delivery.traceparent)
                tx.emit(event, sequence=settled.sequence, cause=cause)
            tx.finish()
        return True

    def _give_back(self, claim_id: str, left: Sequence[Delivery]) -> None:
        if left:
            with transaction(self._engine) as connection:
                queue.unclaim(connection, claim_id, left)

    def _note_absence(self, error: TransientError) -> None:
        if isinstance(error, MailServerAway):
            # The worker's other parts do their work: it stays ready, and the queue's gauge shows what waits.
            self._health.report(NAME, None)
            log.warning("mail_server_away", detail=str(error))
        else:
            self._health.report(NAME, Reason.DATABASE_UNREACHABLE)
            log.warning("mailer_put_off", error=type(error).__name__)


def mailer(runtime: Runtime[NotificationSettings, Any]) -> Mailer:
    """Return the mailer of a worker."""
    settings = runtime.settings
    postman = SmtpPostman(settings.smtp_server, settings.sender.domain, settings.smtp_timeout_seconds)
    return Mailer(
        engine=runtime.engine,
        outbox=runtime.outbox,
        postman=postman,
        health=runtime.health,
        settings=settings,
    )


def _count_from_0() -> None:
    """Show every series before its first mail: an increase is not seen in one that begins with it."""
    for template in Template:
        for result in _RESULTS:
            metrics.EMAILS.labels(template.value, result)


def _note_unknown(found: queue.Overdue, policy: str) -> None:
    metrics.EMAILS.labels(found.template, _OUTCOME_UNKNOWN).inc()
    log.warning("mail_outcome_unknown", notification_id=found.id, template=found.template, policy=policy)


def _note_result(delivery: Delivery, verdict: Verdict, *, ours: bool) -> None:
    result = _PUT_OFF if verdict.status is NotificationStatus.QUEUED else verdict.status.value
    if ours:
        metrics.EMAILS.labels(delivery.template.value, result).inc()
    about = "order_id" if delivery.kind is SubjectKind.ORDER else "sku"
    log.info(
        "mail_tried",
        **{about: delivery.subject},
        event_id=delivery.event_id,
        notification_id=delivery.id,
        template=delivery.template.value,
        result=result,
        failure=verdict.failure,
        smtp_status=verdict.smtp_status,
        attempt=verdict.attempts,
        recorded=ours,
    )

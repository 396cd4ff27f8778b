"""What becomes of a mail that was tried: sent, given up, tried again, or held for an operator.

Between the mail server's acceptance and our commit lies the one window that nobody can close: whoever dies in it
leaves a mail of which nobody knows whether it was taken. `UnknownOutcome` says what is done with such a mail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from schemas.contracts import (
    NotificationFailed,
    NotificationFailedAudience,
    NotificationFailedChannel,
    NotificationSent,
    NotificationSentAudience,
    NotificationSentChannel,
)
from services.notification.domain.notifications import Audience, Facts, NotificationStatus, SubjectKind, Template

RETRIES_EXHAUSTED = "retries_exhausted"


class UnknownOutcome(StrEnum):
    """What to do with a mail of which nobody knows whether the server took it.

    resend: at least once, with the same Message-ID, by which mailboxes may drop the second.
    hold: at most once; an operator decides.
    """

    RESEND = "resend"
    HOLD = "hold"


class AnswerKind(StrEnum):
    """What a try ended with."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    PUT_OFF = "put_off"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one try.

    Args:
        kind: see `AnswerKind`.
        code: stable code of what went wrong, for example recipient_refused; empty when accepted.
        smtp_status: the mail server's reply code; None where it gave none.

    """

    kind: AnswerKind
    code: str = ""
    smtp_status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryTerms:
    """How persistent we are.

    Args:
        max_attempts: tries after which a mail is given up.
        backoff_seconds: the first pause, doubled with each try.
        backoff_max_seconds: the longest pause.
        unknown_outcome: see `UnknownOutcome`.

    """

    max_attempts: int
    backoff_seconds: float
    backoff_max_seconds: float
    unknown_outcome: UnknownOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A notification that was claimed to be sent now.

    Args:
        id: the notification.
        subject: key of what it is about.
        kind: order or variant.
        event_id: the event that it tells of.
        template: what it says.
        audience: whom it is for.
        recipient: the address.
        facts: what it needs of its event.
        attempts: tries so far that ended with a transient failure.
        created_at: when it was written down.
        correlation_id: of the saga.
        traceparent: of the event.
        locale: BCP 47, the customer's.
        subject_facts: what it needs of its order.

    """

    id: str
    subject: str
    kind: SubjectKind
    event_id: str
    template: Template
    audience: Audience
    recipient: str
    facts: Facts
    attempts: int
    created_at: datetime
    correlation_id: str
    traceparent: str | None
    locale: str
    subject_facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a notification after a try.

    Args:
        status: sent, failed, held, or queued once more.
        attempts: tries so far.
        failure: stable code of what went wrong last; None when sent.
        smtp_status: the mail server's last reply code.
        pause_seconds: until the next try; None where there is none.

    """

    status: NotificationStatus
    attempts: int
    failure: str | None = None
    smtp_status: int | None = None
    pause_seconds: float | None = None

    @property
    def is_final(self) -> bool:
        """Whether the mail is sent or given up, which the world is told."""
        return self.status in (NotificationStatus.SENT, NotificationStatus.FAILED)


def judge(answer: Answer, attempts: int, terms: DeliveryTerms) -> Verdict:
    """Decide what becomes of a notification.

    Args:
        answer: what the try ended with.
        attempts: tries before this one.
        terms: how persistent we are.

    """
    tried = attempts + 1
    told: Mapping[str, Any] = {"attempts": tried, "smtp_status": answer.smtp_status}
    if answer.kind is AnswerKind.ACCEPTED:
        return Verdict(status=NotificationStatus.SENT, **told)
    if answer.kind is AnswerKind.REFUSED:
        return Verdict(status=NotificationStatus.FAILED, failure=answer.code, **told)
    if answer.kind is AnswerKind.UNKNOWN and terms.unknown_outcome is UnknownOutcome.HOLD:
        return Verdict(status=NotificationStatus.HELD, failure=answer.code, **told)
    if tried >= terms.max_attempts:
        return Verdict(status=NotificationStatus.FAILED, failure=RETRIES_EXHAUSTED, **told)
    pause = min(terms.backoff_seconds * 2.0 ** (tried - 1), terms.backoff_max_seconds)
    return Verdict(status=NotificationStatus.QUEUED, failure=answer.code, pause_seconds=pause, **told)


def told(delivery: Delivery, verdict: Verdict, now: int) -> NotificationSent | NotificationFailed | None:
    """Return what the world is told of a verdict: that a mail is sent or given up, and nothing before that.

    Args:
        delivery: the notification.
        verdict: what became of it.
        now: microseconds since the epoch.

    """
    if not verdict.is_final:
        return None
    about: Mapping[str, Any] = {
        "notification_id": delivery.id,
        "order_id": delivery.subject if delivery.kind is SubjectKind.ORDER else None,
        "sku": delivery.subject if delivery.kind is SubjectKind.VARIANT else None,
        "template": delivery.template.value,
    }
    if verdict.status is NotificationStatus.SENT:
        return NotificationSent(
            channel=NotificationSentChannel.EMAIL,
            audience=NotificationSentAudience(delivery.audience.value),
            sent_at=now,
            **about,
        )
    return NotificationFailed(
        channel=NotificationFailedChannel.EMAIL,
        audience=NotificationFailedAudience(delivery.audience.value),
        code=verdict.failure or RETRIES_EXHAUSTED,
        smtp_status=verdict.smtp_status,
        failed_at=now,
        **about,
    )

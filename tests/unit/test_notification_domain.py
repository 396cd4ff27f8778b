"""Who is told what, and what becomes of a mail that was tried: pure decisions."""

import pytest

from schemas.contracts import NotificationFailed, NotificationSent, OrderCancelledReason
from services.chassis.events import from_micros
from services.notification.domain.deliveries import (
    Answer,
    AnswerKind,
    Delivery,
    DeliveryTerms,
    UnknownOutcome,
    Verdict,
    judge,
    told,
)
from services.notification.domain.notifications import (
    REASONS,
    Audience,
    NotificationStatus,
    OrderFacts,
    Subject,
    SubjectKind,
    Template,
    mail_to_customer,
    mail_to_operator,
    placed_order,
    unknown_order,
)
from tests.support import notification as support

ORDER = "0198c5f0-0000-7000-8000-000000000001"
KNOWN = Subject(key=ORDER, kind=SubjectKind.ORDER, email="ada@customer.example")
GUEST = Subject(key=ORDER, kind=SubjectKind.ORDER, email=None)
TERMS = DeliveryTerms(max_attempts=4, backoff_seconds=10, backoff_max_seconds=30, unknown_outcome=UnknownOutcome.RESEND)


def test_each_event_of_an_order_has_its_own_mail() -> None:
    events = (
        support.placed,
        support.confirmed,
        support.processing,
        support.shipped,
        support.delivered,
        support.cancelled,
    )
    mails = [mail_to_customer(make(ORDER), KNOWN) for make in events]
    assert [mail and mail.template.value for mail in mails] == [
        "order_placed",
        "order_confirmed",
        "order_processing",
        "order_shipped",
        "order_delivered",
        "order_cancelled",
    ]
    assert {mail and mail.recipient for mail in mails} == {"ada@customer.example"}


def test_a_guest_without_an_address_is_told_nothing() -> None:
    assert mail_to_customer(support.confirmed(ORDER), GUEST) is None


def test_an_empty_address_is_none() -> None:
    subject, _ = placed_order(support.placed(ORDER, customer_email=""))
    assert subject.email is None


def test_a_mail_about_an_unknown_order_waits() -> None:
    mail = mail_to_customer(support.confirmed(ORDER), unknown_order(ORDER))
    assert mail is not None
    assert mail.status is NotificationStatus.WAITING


def test_a_cancellation_is_told_only_where_it_is_wanted() -> None:
    assert mail_to_customer(support.cancelled(ORDER, notify_customer=False), KNOWN) is None
    assert mail_to_customer(support.cancelled(ORDER, notify_customer=False), unknown_order(ORDER)) is None
    assert mail_to_customer(support.cancelled(ORDER), KNOWN) is not None


def test_stock_alerts_go_to_the_operator_if_there_is_one() -> None:
    mail = mail_to_operator(support.low_stock(), "op@shop.example")
    assert mail is not None
    assert (mail.audience, mail.template, mail.facts["available"]) == (Audience.OPERATOR, Template.LOW_STOCK, 3)
    assert mail_to_operator(support.out_of_stock(), None) is None


def test_every_reason_of_a_cancellation_has_words() -> None:
    assert set(REASONS) == set(OrderCancelledReason)
    assert "fraud" not in REASONS[OrderCancelledReason.FRAUD_SUSPECTED]


def test_an_order_can_be_read_back_from_its_facts() -> None:
    event = support.placed(ORDER)
    order = OrderFacts.of(placed_order(event)[1].facts)
    assert (order.number, order.total_minor, order.currency) == ("ORD10000001", 4495, "EUR")
    assert [(line.item_id, line.name, line.quantity) for line in order.lines] == [
        (line.item_id, f"{line.product_name} (blue)", 2) for line in event.lines
    ]


@pytest.mark.parametrize(
    ("answer", "attempts", "status", "failure", "pause"),
    [
        (Answer(AnswerKind.ACCEPTED), 0, "sent", None, None),
        (Answer(AnswerKind.REFUSED, "recipient_refused", 550), 0, "failed", "recipient_refused", None),
        (Answer(AnswerKind.PUT_OFF, "recipient_put_off", 451), 0, "queued", "recipient_put_off", 10),
        (Answer(AnswerKind.PUT_OFF, "recipient_put_off", 451), 1, "queued", "recipient_put_off", 20),
        (Answer(AnswerKind.PUT_OFF, "recipient_put_off", 451), 2, "queued", "recipient_put_off", 30),
        (Answer(AnswerKind.PUT_OFF, "recipient_put_off", 451), 3, "failed", "retries_exhausted", None),
        (Answer(AnswerKind.UNKNOWN, "outcome_unknown"), 0, "queued", "outcome_unknown", 10),
        (Answer(AnswerKind.UNKNOWN, "outcome_unknown"), 3, "failed", "retries_exhausted", None),
    ],
)
def test_what_becomes_of_a_mail_that_was_tried(
    answer: Answer, attempts: int, status: str, failure: str | None, pause: float | None
) -> None:
    verdict = judge(answer, attempts, TERMS)
    assert (verdict.status, verdict.failure, verdict.pause_seconds) == (status, failure, pause)
    assert (verdict.attempts, verdict.smtp_status) == (attempts + 1, answer.smtp_status)


def test_an_unknown_outcome_is_held_where_the_policy_says_so() -> None:
    terms = DeliveryTerms(
        max_attempts=4, backoff_seconds=10, backoff_max_seconds=30, unknown_outcome=UnknownOutcome.HOLD
    )
    assert judge(Answer(AnswerKind.UNKNOWN, "outcome_unknown"), 3, terms).status is NotificationStatus.HELD
    assert judge(Answer(AnswerKind.PUT_OFF, "connection_lost"), 0, terms).status is NotificationStatus.QUEUED


def delivery(kind: SubjectKind, subject: str) -> Delivery:
    return Delivery(
        id="0198c5f0-0000-7000-8000-0000000000aa",
        subject=subject,
        kind=kind,
        event_id="0198c5f0-0000-7000-8000-0000000000bb",
        template=Template.ORDER_PLACED,
        audience=Audience.CUSTOMER,
        recipient="ada@customer.example",
        facts={},
        attempts=0,
        created_at=from_micros(0),
        correlation_id=subject,
        traceparent=None,
        locale="en",
        subject_facts={},
    )


def test_only_an_end_is_told() -> None:
    about = delivery(SubjectKind.ORDER, ORDER)
    sent = told(about, Verdict(status=NotificationStatus.SENT, attempts=1), 7)
    assert isinstance(sent, NotificationSent)
    assert (sent.key, sent.order_id, sent.sku, sent.sent_at) == (ORDER, ORDER, None, 7)
    failed = told(about, Verdict(status=NotificationStatus.FAILED, attempts=1, failure="x", smtp_status=550), 7)
    assert isinstance(failed, NotificationFailed)
    assert (failed.code, failed.smtp_status, failed.failed_at) == ("x", 550, 7)
    for status in (NotificationStatus.QUEUED, NotificationStatus.HELD):
        assert told(about, Verdict(status=status, attempts=1), 7) is None


def test_what_is_told_of_a_variant_has_its_sku_as_key() -> None:
    sent = told(delivery(SubjectKind.VARIANT, "SHIRT-1"), Verdict(status=NotificationStatus.SENT, attempts=1), 7)
    assert sent is not None
    assert (sent.key, sent.order_id) == ("SHIRT-1", None)

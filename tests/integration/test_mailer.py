"""The mailer on a real PostgreSQL and a real SMTP server: every mail once, or visibly not."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session
from structlog.testing import LogCapture

from deploy.local.databases import Databases
from deploy.local.mail import Mailbox
from schemas.contracts import NotificationFailed, NotificationSent
from services.chassis import metrics
from services.chassis.database import transaction
from services.chassis.errors import DatabaseUnavailable
from services.chassis.events import new_id
from services.chassis.statements import sql
from services.notification.domain.deliveries import Delivery, Verdict
from services.notification.domain.notifications import NotificationStatus, Template
from services.notification.held import report
from services.notification.mail import mailer as mailer_module
from services.notification.mail import smtp as smtp_module
from services.notification.mail.mailer import Mailer
from services.notification.mail.smtp import MailServerAway
from services.notification.repository import queue
from tests.support import notification as support
from tests.support.eventually import eventually
from tests.support.notification import NEVER, Sink, World
from tests.support.threads import running


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    with support.notification_world(postgres_server) as world:
        yield world


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    with support.mail_sink(tmp_path / "mails") as sink:
        yield sink


@pytest.fixture
def mailer(world: World, sink: Sink) -> Iterator[Mailer]:
    mailer = world.mailer(Mailer, sink.port)
    yield mailer
    mailer._postman.close()


def send_all(mailer: Mailer) -> None:
    while mailer.send_due(NEVER):
        pass


def test_every_result_of_every_template_is_counted_from_0_before_the_first_mail(world: World, mailer: Mailer) -> None:
    """Prometheus sees no increase in a series that begins with its first failure."""
    metrics.EMAILS.clear()
    with running(mailer.run):
        eventually(lambda: counted_from_0(world), within=5)


def counted_from_0(world: World) -> None:
    results = ("sent", "failed", "put_off", "held", "outcome_unknown")
    expected = {(template.value, result): 0.0 for template in Template for result in results}
    (family,) = metrics.EMAILS.collect()
    assert expected == {
        (sample.labels["template"], sample.labels["result"]): sample.value
        for sample in family.samples
        if sample.name == "oms_emails_total"
    }
    assert world.notifications() == []


def test_a_mail_is_sent_once_and_told(world: World, sink: Sink, mailer: Mailer) -> None:
    order = new_id()
    world.deliver(support.placed(order), support.confirmed(order))
    send_all(mailer)
    send_all(mailer)

    subjects = [mail["Subject"] for mail in sink.mails()]
    assert subjects == ["We have your order ORD10000001", "Your order ORD10000001 is confirmed"]
    assert [(key, sequence) for key, sequence, _ in world.emitted()] == [(order, 1), (order, 2)]
    told = [event for _, _, event in world.emitted() if isinstance(event, NotificationSent)]
    assert [event.template for event in told] == ["order_placed", "order_confirmed"]
    (row, _) = world.rows("SELECT id::text, status, attempts, sent_at, claim FROM notifications ORDER BY id")
    assert (row.status, row.attempts, row.claim) == ("sent", 1, None)
    assert row.sent_at is not None
    assert sink.mails()[0]["Message-ID"] == f"<{row.id}@shop.example>"


def test_mails_about_one_order_that_are_settled_at_once_are_counted_one_after_the_other(
    world: World, mailer: Mailer
) -> None:
    order = new_id()
    world.deliver(support.placed(order))
    with ThreadPoolExecutor(1) as pool:
        with transaction(world.runtime.engine) as other:
            other.execute(sql("UPDATE subjects SET events = events + 1"))
            sending = pool.submit(send_all, mailer)
            eventually(lambda: waits_for_a_row(world), within=10)
        sending.result(10)
    assert [(key, sequence) for key, sequence, _ in world.emitted()] == [(order, 2)]
    assert world.rows("SELECT status, (SELECT events FROM subjects) FROM notifications") == [("sent", 2)]


def waits_for_a_row(world: World) -> None:
    assert world.rows(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'"
    )


def test_a_mail_carries_text_and_html_in_the_locale_of_its_order(world: World, sink: Sink, mailer: Mailer) -> None:
    world.deliver(support.placed(new_id(), customer_email="jürgen@kunde.example"))
    send_all(mailer)

    (mail,) = sink.mails()
    assert (mail["X-Envelope-To"], mail["To"], mail["From"]) == (
        "jürgen@kunde.example",
        "jürgen@kunde.example",
        "Shop <orders@shop.example>",
    )
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert "2 x Shirt (blue): 20,00\xa0€" in text.get_content()
    assert "<td>2 \xd7 Shirt (blue)</td>" in html.get_content()


def test_the_event_that_is_told_names_the_event_that_caused_it(world: World, mailer: Mailer) -> None:
    order = new_id()
    (record,) = world.deliver(support.placed(order))
    send_all(mailer)
    ((headers,),) = world.rows("SELECT headers FROM outbox")
    assert (headers["ce_causationid"], headers["ce_correlationid"]) == (record.header("ce_id"), order)


def test_a_mail_that_the_server_puts_off_is_tried_again_and_then_sent(world: World, sink: Sink, mailer: Mailer) -> None:
    world.deliver(support.placed(new_id(), customer_email="ada@temporary-failure.example"))
    mailer.send_due(NEVER)
    row = world.rows("SELECT status, attempts, failure, smtp_status FROM notifications")[0]
    assert tuple(row) == ("queued", 1, "recipient_put_off", 451)
    assert world.emitted() == []

    world.rows("UPDATE notifications SET recipient = 'ada@customer.example'")
    send_all(mailer)
    assert tuple(world.rows("SELECT status, attempts, failure FROM notifications")[0]) == ("sent", 2, None)
    assert len(sink.mails()) == 1
    assert [type(event) for _, _, event in world.emitted()] == [NotificationSent]


def test_pauses_between_tries_grow(world: World, sink: Sink) -> None:
    world.deliver(support.placed(new_id(), customer_email="ada@temporary-failure.example"))
    mailer = world.mailer(Mailer, sink.port, mail_backoff_seconds=100, mail_backoff_max_seconds=350)
    pauses = []
    for _ in range(4):
        assert mailer.send_due(NEVER) == 1
        assert mailer.send_due(NEVER) == 0
        pauses += world.rows("SELECT extract(epoch FROM due_at - updated_at)::int FROM notifications")
        world.rows("UPDATE notifications SET due_at = now()")
    mailer._postman.close()
    assert pauses == [(100,), (200,), (350,), (350,)]


def test_a_mail_that_is_put_off_too_often_fails_visibly(world: World, sink: Sink) -> None:
    order = new_id()
    world.deliver(support.placed(order, customer_email="ada@temporary-failure.example"))
    mailer = world.mailer(Mailer, sink.port, mail_max_attempts=3)
    for _ in range(5):
        send_all(mailer)
        world.rows("UPDATE notifications SET due_at = now() WHERE status = 'queued'")
    mailer._postman.close()
    assert tuple(world.rows("SELECT status, attempts FROM notifications")[0]) == ("failed", 3)
    ((key, sequence, event),) = world.emitted()
    assert isinstance(event, NotificationFailed)
    assert (key, sequence, event.code, event.smtp_status) == (order, 1, "retries_exhausted", 451)


def test_a_mail_that_the_server_refuses_fails_at_once_and_visibly(world: World, sink: Sink, mailer: Mailer) -> None:
    world.deliver(support.placed(new_id(), customer_email="ada@permanent-failure.example"))
    send_all(mailer)
    ((_, _, event),) = world.emitted()
    assert isinstance(event, NotificationFailed)
    assert (event.code, event.smtp_status) == ("recipient_refused", 550)
    assert world.notifications() == [("order_placed", "failed")]
    assert sink.mails() == []


@pytest.mark.parametrize(
    "address",
    ["ada@customer.example\r\nBcc: all@customer.example", "ada@customer.example, bob@customer.example", "ada", "<a@b>"],
)
def test_what_is_not_one_address_reaches_no_server(world: World, sink: Sink, mailer: Mailer, address: str) -> None:
    world.deliver(support.placed(new_id(), customer_email=address), support.placed(new_id()))
    send_all(mailer)
    assert world.notifications() == [("order_placed", "failed"), ("order_placed", "sent")]
    assert [mail["X-Envelope-To"] for mail in sink.mails()] == ["ada@customer.example"]
    assert {event.code for _, _, event in world.emitted() if isinstance(event, NotificationFailed)} == {
        "recipient_invalid"
    }


def test_a_refused_mail_does_not_keep_the_next_one_from_its_connection(
    world: World, sink: Sink, mailer: Mailer
) -> None:
    world.deliver(
        support.placed(new_id(), customer_email="ada@permanent-failure.example"),
        support.placed(new_id(), customer_email="ada@temporary-failure.example"),
        support.placed(new_id()),
    )
    mailer.send_due(NEVER)
    assert world.notifications() == [("order_placed", "failed"), ("order_placed", "queued"), ("order_placed", "sent")]
    assert len(sink.mails()) == 1


class CountsGreetings(Mailbox):
    """Counts connections."""

    greetings = 0

    async def handle_EHLO(  # noqa: N802  # aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, name: str, responses: list[str]
    ) -> list[str]:
        type(self).greetings += 1
        session.host_name = name
        return responses


def test_many_mails_share_one_connection(world: World, tmp_path: Path) -> None:
    world.deliver(*(support.placed(new_id()) for _ in range(30)))
    with support.mail_sink(tmp_path / "counted", CountsGreetings) as sink:
        mailer = world.mailer(Mailer, sink.port)
        send_all(mailer)
        mailer._postman.close()
        assert len(sink.mails()) == 30
    assert CountsGreetings.greetings == 1


def test_a_connection_that_the_server_closed_meanwhile_costs_no_try(world: World, tmp_path: Path) -> None:
    with support.mail_sink(tmp_path / "mails") as first:
        mailer = world.mailer(Mailer, first.port)
        world.deliver(support.placed(new_id()))
        send_all(mailer)
        client = mailer._postman._client
        assert client is not None
        assert client.sock is not None
        client.sock.shutdown(socket.SHUT_RDWR)
        world.deliver(support.placed(new_id()))
        send_all(mailer)
        mailer._postman.close()
        assert len(first.mails()) == 2
    assert set(world.rows("SELECT attempts FROM notifications")) == {(1,)}


def test_a_server_that_is_away_costs_no_mail_a_try(world: World, sink: Sink) -> None:
    world.deliver(support.placed(new_id()), support.placed(new_id()))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    away = world.mailer(Mailer, closed, mail_max_attempts=1)
    for _ in range(3):
        with pytest.raises(MailServerAway):
            away.send_due(NEVER)
    assert set(world.rows("SELECT status, attempts FROM notifications")) == {("queued", 0)}

    back = world.mailer(Mailer, sink.port)
    send_all(back)
    back._postman.close()
    assert len(sink.mails()) == 2


# --- the window between the server's answer and our commit


class Died(BaseException):
    """Stands for a kill: nothing that we run afterwards happens."""


class DiesBeforeItsCommit(Mailer):
    """Sends a mail and dies before it is written down."""

    def _write(self, *_: object) -> bool:
        raise Died

    def _give_back(self, *_: object) -> None:
        """Do nothing more."""


def die_in_the_window(world: World, sink: Sink, **changes: object) -> None:
    world.deliver(support.placed(new_id()))
    dying = world.mailer(DiesBeforeItsCommit, sink.port, **changes)
    with pytest.raises(Died):
        dying.send_due(NEVER)
    dying._postman.close()
    assert world.notifications() == [("order_placed", "sending")]
    assert len(sink.mails()) == 1


def end_claims(world: World) -> None:
    world.rows("UPDATE notifications SET due_at = now() - interval '1 second' WHERE status = 'sending'")


def test_a_claim_that_has_not_ended_keeps_others_away(world: World, sink: Sink, mailer: Mailer) -> None:
    die_in_the_window(world, sink)
    send_all(mailer)
    assert world.notifications() == [("order_placed", "sending")]
    assert len(sink.mails()) == 1


def test_under_resend_a_mail_of_unknown_outcome_comes_again_with_its_message_id(
    world: World, sink: Sink, mailer: Mailer
) -> None:
    die_in_the_window(world, sink)
    end_claims(world)
    send_all(mailer)
    first, second = sink.mails()
    assert (first["Message-ID"], first["Date"]) == (second["Message-ID"], second["Date"])
    assert [(sequence, type(event)) for _, sequence, event in world.emitted()] == [(1, NotificationSent)]


def test_a_mailer_goes_on_looking_for_claims_that_end_while_it_runs(
    world: World, sink: Sink, mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailer_module, "_SETTLINGS", 1000)  # within the length of a claim: every 0.3 seconds
    die_in_the_window(world, sink)
    send_all(mailer)
    end_claims(world)
    eventually(lambda: _sends(mailer), within=10)
    assert world.notifications() == [("order_placed", "sent")]


def _sends(mailer: Mailer) -> None:
    assert mailer.send_due(NEVER) == 1


def test_under_hold_a_mail_of_unknown_outcome_waits_for_an_operator(
    world: World, sink: Sink, mailer: Mailer, capsys: pytest.CaptureFixture[str]
) -> None:
    die_in_the_window(world, sink, mail_unknown_outcome="hold")
    end_claims(world)
    holding = world.mailer(Mailer, sink.port, mail_unknown_outcome="hold")
    send_all(holding)
    holding._postman.close()
    assert world.notifications() == [("order_placed", "held")]
    assert len(sink.mails()) == 1
    with world.runtime.queries() as uow:
        assert report(uow) == 1
    assert "order_placed" in capsys.readouterr().out

    send_all(mailer)  # the operator has decided: resend
    assert world.notifications() == [("order_placed", "sent")]
    assert len(sink.mails()) == 2
    with world.runtime.queries() as uow:
        assert report(uow) == 0


def test_under_hold_only_the_mail_in_the_window_is_held(world: World, sink: Sink) -> None:
    """A mail is claimed alone there, so none is held that was never tried."""
    world.deliver(support.placed(new_id()), support.placed(new_id()))
    dying = world.mailer(DiesBeforeItsCommit, sink.port, mail_unknown_outcome="hold")
    with pytest.raises(Died):
        dying.send_due(NEVER)
    dying._postman.close()
    end_claims(world)
    holding = world.mailer(Mailer, sink.port, mail_unknown_outcome="hold")
    send_all(holding)
    holding._postman.close()
    assert world.notifications() == [("order_placed", "held"), ("order_placed", "sent")]


def test_one_that_wakes_after_its_claim_ended_writes_nothing(world: World, mailer: Mailer) -> None:
    world.deliver(support.placed(new_id()))
    with transaction(world.runtime.engine) as connection:
        slept = queue.claim(connection, 10, 300)
    end_claims(world)
    send_all(mailer)
    verdict = Verdict(status=NotificationStatus.FAILED, attempts=1, failure="recipient_refused")
    assert mailer._write(slept.id, slept.deliveries[0], verdict) is False
    assert world.notifications() == [("order_placed", "sent")]
    assert len(world.emitted()) == 1


class AcceptsAndHangsUp(Mailbox):
    """Keeps the first mail and closes the connection in place of an answer."""

    lost = 0

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        answer = await super().handle_DATA(server, session, envelope)
        if not type(self).lost:
            type(self).lost += 1
            assert server.transport is not None
            server.transport.abort()
        return answer


@pytest.mark.parametrize(("policy", "mails", "status"), [("resend", 2, "sent"), ("hold", 1, "held")])
def test_an_answer_that_is_lost_is_an_unknown_outcome(
    world: World, tmp_path: Path, policy: str, mails: int, status: str
) -> None:
    world.deliver(support.placed(new_id()))
    AcceptsAndHangsUp.lost = 0
    with support.mail_sink(tmp_path / "mails", AcceptsAndHangsUp) as sink:
        mailer = world.mailer(Mailer, sink.port, mail_unknown_outcome=policy)
        for _ in range(3):
            send_all(mailer)
            world.rows("UPDATE notifications SET due_at = now() WHERE status = 'queued'")
        mailer._postman.close()
        assert len({mail["Message-ID"] for mail in sink.mails()}) == 1
        assert len(sink.mails()) == mails
    assert world.notifications() == [("order_placed", status)]


class LosesTheDatabase(Mailer):
    """Finds the database away when it writes its first results."""

    failures = 2

    def _write(self, claim_id: str, delivery: Delivery, verdict: Verdict) -> bool:
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailable("away")
        return super()._write(claim_id, delivery, verdict)


def test_a_result_outlives_an_absence_of_the_database(world: World, sink: Sink) -> None:
    world.deliver(support.placed(new_id()))
    mailer = world.mailer(LosesTheDatabase, sink.port)
    send_all(mailer)
    mailer._postman.close()
    assert world.notifications() == [("order_placed", "sent")]
    assert len(sink.mails()) == 1


# --- several mailers, and the end of one


def all_are_sent(world: World) -> None:
    assert {status for _, status in world.notifications()} == {"sent"}


def test_concurrent_mailers_send_each_mail_once(world: World, sink: Sink) -> None:
    orders = [new_id() for _ in range(60)]
    world.deliver(*map(support.placed, orders))
    world.deliver(*map(support.confirmed, orders))
    mailers = [world.mailer(Mailer, sink.port, mail_batch_max=7) for _ in range(4)]
    stop = threading.Event()
    threads = [threading.Thread(target=mailer.run, args=(stop,)) for mailer in mailers]
    for thread in threads:
        thread.start()
    eventually(lambda: all_are_sent(world), within=60)
    stop.set()
    for thread in threads:
        thread.join()
    ids = [mail["Message-ID"] for mail in sink.mails()]
    assert len(ids) == len(set(ids)) == 120
    numbers = sorted((key, sequence) for key, sequence, _ in world.emitted())
    assert numbers == sorted((order, number) for order in orders for number in (1, 2))


class Waits(Mailbox):
    """Answers a mail only when it is let to."""

    came = threading.Event()
    may_answer = threading.Event()

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.came.set()
        self.may_answer.wait(10)
        return await super().handle_DATA(server, session, envelope)


def test_a_mailer_that_is_stopped_finishes_its_mail_and_gives_the_others_back(world: World, tmp_path: Path) -> None:
    world.deliver(*(support.placed(new_id()) for _ in range(3)))
    stop = threading.Event()
    with support.mail_sink(tmp_path / "mails", Waits) as sink:
        mailer = world.mailer(Mailer, sink.port)
        thread = threading.Thread(target=mailer.run, args=(stop,))
        thread.start()
        assert Waits.came.wait(10)
        stop.set()
        Waits.may_answer.set()
        thread.join(10)
        assert not thread.is_alive()
        assert len(sink.mails()) == 1
    assert world.notifications() == [("order_placed", "queued"), ("order_placed", "queued"), ("order_placed", "sent")]
    assert set(world.rows("SELECT attempts, claim FROM notifications WHERE status = 'queued'")) == {(0, None)}


def test_a_mail_that_cannot_be_rendered_waits_and_the_others_go_on(world: World, sink: Sink, mailer: Mailer) -> None:
    broken = new_id()
    world.deliver(support.placed(broken), support.placed(new_id()))
    world.rows("UPDATE subjects SET facts = facts - 'number' WHERE key = :key", key=broken)
    mailer.send_due(NEVER)
    found: list[Any] = world.rows("SELECT status, failure FROM notifications ORDER BY id")
    assert [tuple(row) for row in found] == [("queued", "unrenderable"), ("sent", None)]
    assert len(sink.mails()) == 1


def test_no_log_line_holds_an_address_or_a_name(
    world: World, sink: Sink, mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = LogCapture()
    for module in (mailer_module, smtp_module):
        monkeypatch.setattr(module, "log", structlog.wrap_logger(structlog.PrintLogger(), processors=[logged]))
    for email in ("ada@customer.example", "bob@permanent-failure.example", "eve@temporary-failure.example", "nobody"):
        world.deliver(support.placed(new_id(), customer_email=email))
    mailer.send_due(NEVER)
    assert [entry["event"] for entry in logged.entries] == ["mail_tried"] * 4
    told = str(logged.entries)
    assert not [word for word in ("ada@", "bob@", "eve@", "nobody", "Shirt") if word in told]
    assert len(sink.mails()) == 1

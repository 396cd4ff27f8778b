"""Letters, addresses, and the settings of mail."""

from email import message_from_bytes, policy
from typing import Any

import pytest
from pydantic import ValidationError

from services.chassis.errors import SettingsError
from services.chassis.events import from_micros
from services.chassis.settings import load_settings
from services.notification.domain.deliveries import Delivery
from services.notification.domain.notifications import Audience, SubjectKind, Template
from services.notification.mail import letters
from services.notification.mail.addresses import recipient_of, sender_of
from services.notification.mail.letters import Undeliverable, letter_of
from services.notification.mail.rendering import Rendered
from services.notification.mail.smtp_url import SmtpServer
from services.notification.settings import NotificationSettings
from tests.support import notification as support

URL = "postgresql+psycopg2://u:p@127.0.0.1:1/d"
RENDERED = Rendered(subject="Your order ÄÖ", text="Zwei Zeilen\n.\nund mehr\n", html="<p>ÄÖ</p>")


def delivery(recipient: str = "ada@customer.example") -> Delivery:
    return Delivery(
        id="0198c5f0-0000-7000-8000-0000000000aa",
        subject="0198c5f0-0000-7000-8000-000000000001",
        kind=SubjectKind.ORDER,
        event_id="0198c5f0-0000-7000-8000-0000000000bb",
        template=Template.ORDER_PLACED,
        audience=Audience.CUSTOMER,
        recipient=recipient,
        facts={},
        attempts=0,
        created_at=from_micros(1_760_000_000_000_000),
        correlation_id="c",
        traceparent=None,
        locale="en",
        subject_facts={},
    )


def test_a_letter_is_the_same_at_every_try() -> None:
    sender = sender_of("Shop Ä <orders@shop.example>")
    first, second = (
        message_from_bytes(letter_of(delivery(), RENDERED, sender).content, policy=policy.default) for _ in range(2)
    )
    assert first.items()[:-1] == second.items()[:-1]  # all but the boundary between the parts
    assert first["Message-ID"] == "<0198c5f0-0000-7000-8000-0000000000aa@shop.example>"
    assert first["Date"] == "Thu, 09 Oct 2025 08:53:20 +0000"
    assert (first["Subject"], first["From"]) == ("Your order ÄÖ", "Shop Ä <orders@shop.example>")


def test_a_letter_is_ascii_with_crlf_unless_its_recipient_is_not() -> None:
    content = letter_of(delivery(), RENDERED, sender_of("orders@shop.example")).content
    assert content.isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")
    beyond = letter_of(delivery("jürgen@kunde.example"), RENDERED, sender_of("orders@shop.example"))
    assert beyond.needs_smtputf8
    assert "jürgen@kunde.example".encode() in beyond.content


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@",
        "@customer.example",
        "ada@@customer.example",
        "ada@customer.example\r\nBcc: all@customer.example",
        "ada@customer.example\n",
        "ada@customer.example, bob@customer.example",
        "Ada <ada@customer.example>",
        "ada @customer.example",
        "ada@customer.example\u2028",
        "ada@customer..example",
        ".ada@customer.example",
        '"ada"@customer.example',
        "ada@[127.0.0.1]",
        "a" * 250 + "@x.example",
    ],
)
def test_what_is_not_exactly_one_address_is_undeliverable(address: str) -> None:
    with pytest.raises(ValueError, match="not one mail address"):
        recipient_of(address)
    with pytest.raises(Undeliverable, match="recipient_invalid"):
        letter_of(delivery(address), RENDERED, sender_of("orders@shop.example"))


@pytest.mark.parametrize("address", ["ada@customer.example", "a.b+c=d@x", "o'hara@customer.example", "ü@ö.example"])
def test_ordinary_addresses_are_taken_as_they_are(address: str) -> None:
    assert recipient_of(address).addr_spec == address


@pytest.mark.parametrize(
    "sender", ["", "Shop", "Shop <orders@shop.example", "a@b, c@d", "Shop\n<o@s.example>", "ü@shop.example"]
)
def test_a_sender_that_is_none_refuses_to_start(sender: str) -> None:
    with pytest.raises(ValidationError, match="mail_from"):
        support.settings(URL, mail_from=sender)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", ("mail.example", 25, False, False, None, None)),
        ("smtp://127.0.0.1:2525", ("127.0.0.1", 2525, False, False, None, None)),
        ("smtp://u:p%40ss@mail.example:587", ("mail.example", 587, False, True, "u", "p@ss")),
        ("smtp://u:p@mail.example?starttls=no", ("mail.example", 25, False, False, "u", "p")),
        ("smtp://mail.example?starttls=required", ("mail.example", 25, False, True, None, None)),
        ("smtps://u:p@mail.example", ("mail.example", 465, True, False, "u", "p")),
    ],
)
def test_the_mail_server_is_one_url(url: str, expected: tuple[Any, ...]) -> None:
    server = SmtpServer.of(url)
    assert (server.host, server.port, server.tls, server.starttls, server.user, server.password) == expected


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://mail.example/path",
        "smtp://user@mail.example",
        "smtp://mail.example?starttls=maybe",
        "smtp://mail.example?tls=1",
        "smtps://mail.example?starttls=required",
        "smtp://mail.example:99999",
    ],
)
def test_a_url_that_names_no_mail_server_refuses_to_start(url: str) -> None:
    with pytest.raises(ValidationError, match="smtp_url"):
        support.settings(URL, smtp_url=url)


def test_a_wrong_url_is_told_without_its_password() -> None:
    with pytest.raises(SettingsError, match="SMTP_URL") as told:
        load_settings(NotificationSettings, {"smtp_url": "http://user:hush@mail.example"})
    assert "hush" not in str(told.value)


def test_a_claim_must_outlast_a_mail() -> None:
    with pytest.raises(ValidationError, match="MAIL_LEASE_SECONDS"):
        support.settings(URL, mail_lease_seconds=10, smtp_timeout_seconds=5)


def test_where_unknown_outcomes_are_held_mails_are_claimed_one_by_one() -> None:
    assert support.settings(URL).claim_size == 20
    assert support.settings(URL, mail_unknown_outcome="hold").claim_size == 1


def test_no_operator_is_as_good_as_an_empty_one() -> None:
    found: NotificationSettings = support.settings(URL, operator_email="")
    assert found.operator_email is None


def test_the_class_of_a_header_is_made_once() -> None:
    """The library makes one for every header of every mail, which is a third of what a letter costs."""
    factory = letters._ASCII.header_factory  # what the letters are made with
    assert factory["Subject"] is factory["Subject"]
    assert factory["Subject"] is not factory["To"]

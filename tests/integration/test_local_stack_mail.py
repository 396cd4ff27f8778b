"""The mail sink is a real SMTP server: it keeps what it accepts and refuses by address."""

import smtplib
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from deploy.local.stack import launch


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[tuple[smtplib.SMTP, Path]]:
    """A client that is connected to the sink, and the directory of its mails."""
    with launch(tmp_path) as stack:
        stack.start_mail()
        with smtplib.SMTP("127.0.0.1", stack.mail_port, timeout=10) as client:
            yield client, stack.mails


def mail(recipient: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "orders@shop.example"
    message["To"] = recipient
    message["Subject"] = "Bestellung ÄÖÜ"
    message["Message-ID"] = "<1@shop.example>"
    message.set_content("Danke für Ihre Bestellung.")
    return message


def test_an_accepted_mail_becomes_one_file(sink: tuple[smtplib.SMTP, Path]) -> None:
    client, directory = sink
    client.send_message(mail("ada@customer.example"))

    (file,) = directory.iterdir()
    kept = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert file.suffix == ".eml"
    assert (kept["Subject"], kept["Message-ID"]) == ("Bestellung ÄÖÜ", "<1@shop.example>")
    assert (kept["X-Envelope-To"], kept["X-Envelope-From"]) == ("ada@customer.example", "orders@shop.example")
    assert kept.get_content().strip() == "Danke für Ihre Bestellung."


@pytest.mark.parametrize(("domain", "code"), [("temporary-failure.example", 451), ("permanent-failure.example", 550)])
def test_a_recipient_is_refused_by_its_domain(sink: tuple[smtplib.SMTP, Path], domain: str, code: int) -> None:
    client, directory = sink
    recipient = f"ada@{domain}"

    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.send_message(mail(recipient))

    assert refused.value.recipients[recipient][0] == code
    assert list(directory.iterdir()) == []


def test_a_refused_recipient_does_not_keep_the_mail_from_another(sink: tuple[smtplib.SMTP, Path]) -> None:
    client, directory = sink
    message = mail("ada@customer.example")

    refused = client.send_message(message, to_addrs=["ada@customer.example", "bob@permanent-failure.example"])

    assert list(refused) == ["bob@permanent-failure.example"]
    assert len(list(directory.iterdir())) == 1

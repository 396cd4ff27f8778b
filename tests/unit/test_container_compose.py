"""What the containers are given, and how their mails are read; Docker itself is not asked."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from dotenv import dotenv_values

from deploy.containers import compose
from deploy.containers.compose import SECRET_NAMES, Compose
from deploy.local.demo.mails import Mail, MailDirectory, mailbox_of
from deploy.local.demo.promises import StoryBroken
from deploy.local.demo.settings import OVERRIDES
from deploy.local.state import MailSink


@pytest.fixture
def secrets_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "compose.env"
    monkeypatch.setattr(compose, "SECRETS", file)
    return file


def test_secrets_are_made_once_and_for_their_owner_only(secrets_file: Path) -> None:
    made = dict(Compose()._secrets)

    assert set(made) == set(SECRET_NAMES)
    assert len(set(made.values())) == len(SECRET_NAMES)
    assert min(len(secret) for secret in made.values()) >= 32
    assert secrets_file.stat().st_mode & 0o777 == 0o600
    assert Compose()._secrets == made


@pytest.mark.parametrize("service", sorted(OVERRIDES))
def test_the_terms_of_the_story_survive_an_env_file(service: str, tmp_path: Path) -> None:
    file = tmp_path / "service.env"
    file.write_text(compose._env_file(OVERRIDES[service]), encoding="utf-8")

    assert dotenv_values(file) == OVERRIDES[service]


@pytest.mark.parametrize("value", ["it's", "two\nlines"])
def test_a_value_that_an_env_file_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="no quotes"):
        compose._env_file({"NAME": value})


class Inbox(BaseHTTPRequestHandler):
    """Answers as Mailpit does, the last mail first."""

    def do_GET(self) -> None:
        rows = [
            {"MessageID": f"{number}@oms", "Subject": f"mail {number}", "To": [{"Name": "", "Address": "a@b.example"}]}
            for number in (2, 1)
        ]
        self.send_response(200 if self.path.startswith("/api/v1/messages?") else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"total": 2, "messages": rows}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mailpit() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Inbox) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_mails_in_mailpit_are_read_in_order_of_arrival(mailpit: str) -> None:
    mails = mailbox_of(MailSink(smtp_url="smtp://127.0.0.1:1", url=mailpit)).mails()

    assert mails == [Mail("a@b.example", "mail 1", "1"), Mail("a@b.example", "mail 2", "2")]


def test_a_mailpit_that_does_not_answer_breaks_the_story() -> None:
    with pytest.raises(StoryBroken, match=r"127\.0\.0\.1:1"):
        mailbox_of(MailSink(smtp_url="smtp://127.0.0.1:1", url="http://127.0.0.1:1")).mails()


def test_without_an_address_the_mails_are_files(tmp_path: Path) -> None:
    assert isinstance(mailbox_of(MailSink(smtp_url="smtp://127.0.0.1:1", directory=str(tmp_path))), MailDirectory)

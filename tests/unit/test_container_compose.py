"""What the containers are given, and how their mails are read; Docker itself is not asked."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from dotenv import dotenv_values
from typer.testing import CliRunner

from deploy.containers import compose
from deploy.containers.compose import SECRET_NAMES, Compose
from deploy.local import __main__ as local
from deploy.local.demo.mails import Mail, MailDirectory, mailbox_of
from deploy.local.demo.promises import StoryBroken
from deploy.local.demo.settings import OVERRIDES
from deploy.local.errors import StackError
from deploy.local.state import SERVICES, MailSink, ServiceAddress, StackState, TokenSettings
from deploy.local.tokens import mint


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / ".env"
    monkeypatch.setattr(compose, "_SETTINGS", file)
    return file


@pytest.fixture
def secrets_file(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = settings_file.parent / "compose.env"
    monkeypatch.setattr(compose, "SECRETS", file)
    return file


def test_secrets_are_made_once_and_for_their_owner_only(secrets_file: Path) -> None:
    made = dict(Compose()._secrets)

    assert set(made) == set(SECRET_NAMES)
    assert len(set(made.values())) == len(SECRET_NAMES)
    assert min(len(secret) for secret in made.values()) >= 32
    assert secrets_file.stat().st_mode & 0o777 == 0o600
    assert Compose()._secrets == made


PROVIDER = "JWT_JWKS_URL=https://id.example/keys\nJWT_ISSUER=https://id.example\nJWT_AUDIENCE=shop\n"


def test_an_identity_provider_leaves_no_secret_of_tokens_and_none_but_that(
    secrets_file: Path, settings_file: Path
) -> None:
    before = dict(Compose()._secrets)
    settings_file.write_text(PROVIDER + "JWT_SECRET=\n", encoding="utf-8")
    assert Compose()._secrets == {**before, "JWT_SECRET": ""}
    assert dotenv_values(secrets_file) == {**before, "JWT_SECRET": ""}
    tokens = Compose()._tokens()
    assert (tokens.secret, tokens.issuer, tokens.audience) == ("", "https://id.example", "shop")
    with pytest.raises(StackError, match="JWT_JWKS_URL"):
        mint(tokens, role="admin")

    settings_file.unlink()
    after = Compose()._secrets
    assert len(after["JWT_SECRET"]) >= 32
    assert Compose()._tokens() == TokenSettings(secret=after["JWT_SECRET"])


def test_where_an_identity_provider_makes_the_tokens_addresses_are_told_and_no_tokens(tmp_path: Path) -> None:
    address = ServiceAddress(url="http://127.0.0.1:1", metrics_url="http://127.0.0.1:2/metrics", database_url="d")
    StackState(
        services=dict.fromkeys(SERVICES, address),
        bootstrap_servers="127.0.0.1:3",
        schema_registry_url="http://127.0.0.1:4",
        postgres_url="p",
        mail=MailSink(smtp_url="smtp://127.0.0.1:5"),
        jwt=TokenSettings(secret=""),
    ).save(tmp_path)
    run = CliRunner().invoke
    told = run(local.app, ["env", "--directory", str(tmp_path)])
    assert told.exit_code == 0
    assert "export ORDER=http://127.0.0.1:1\n" in told.output
    assert "ADMIN" not in told.output
    refused = run(local.app, ["token", "--role", "admin", "--directory", str(tmp_path)])
    assert refused.exit_code == 1
    assert "JWT_JWKS_URL" in refused.output


def test_a_secret_of_one_s_own_signs_tokens(secrets_file: Path, settings_file: Path) -> None:
    own = "a secret of somebody who has one already"
    settings_file.write_text(f"JWT_SECRET='{own}'\nJWT_ISSUER=https://shop.example\n", encoding="utf-8")
    assert Compose()._tokens() == TokenSettings(secret=own, issuer="https://shop.example")
    assert dotenv_values(secrets_file)["JWT_SECRET"] == own


@pytest.mark.usefixtures("secrets_file")
def test_a_secret_and_an_identity_provider_at_once_are_refused_before_anything_starts(settings_file: Path) -> None:
    settings_file.write_text(PROVIDER + "JWT_SECRET=a secret of somebody who has one already\n", encoding="utf-8")
    with pytest.raises(StackError, match="JWT_SECRET and JWT_JWKS_URL"):
        Compose().up()


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

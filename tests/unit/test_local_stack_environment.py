"""What the services of the local stack are told beside where its servers are."""

from pathlib import Path

import pytest

from deploy.local import stack
from deploy.local.stack import environment_of
from deploy.local.state import SERVICES, MailSink, ServiceAddress, StackState, TokenSettings

STATE = StackState(
    services={
        service: ServiceAddress(
            url=f"http://127.0.0.1:800{n}", metrics_url=f"http://127.0.0.1:910{n}/metrics", database_url="d"
        )
        for n, service in enumerate(SERVICES, 1)
    },
    bootstrap_servers="127.0.0.1:3",
    schema_registry_url="http://127.0.0.1:4",
    postgres_url="p",
    mail=MailSink(smtp_url="smtp://127.0.0.1:5"),
    jwt=TokenSettings(secret=""),
)


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout without a `.env`, and a shell that sets nothing."""
    monkeypatch.setattr(stack, "ROOT", tmp_path)
    monkeypatch.delenv("PUBLIC_URL", raising=False)
    return tmp_path


def test_mails_link_to_the_api_that_the_stack_has_for_customers() -> None:
    assert environment_of(STATE, "order")["PUBLIC_URL"] == "http://127.0.0.1:8001"
    assert "PUBLIC_URL" not in environment_of(STATE, "inventory")


def test_an_address_that_was_chosen_for_customers_is_kept(checkout: Path) -> None:
    (checkout / ".env").write_text("PUBLIC_URL=https://shop.example\n", encoding="utf-8")
    assert "PUBLIC_URL" not in environment_of(STATE, "order"), "the service reads it itself"

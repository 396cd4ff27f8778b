"""Notification's settings."""

from email.headerregistry import Address
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from services.chassis.settings import ServiceSettings
from services.notification.domain.deliveries import DeliveryTerms, UnknownOutcome
from services.notification.mail.addresses import recipient_of, sender_of
from services.notification.mail.smtp_url import SmtpServer


class NotificationSettings(ServiceSettings):
    """What only notification needs to know."""

    http_port: int = Field(8003, ge=1, le=65535)
    metrics_port: int = Field(9103, ge=1, le=65535)
    smtp_url: SecretStr = Field(
        description="smtp://user:password@host:port or smtps://…; ?starttls=required|no, required with a password"
    )
    smtp_timeout_seconds: float = Field(15, gt=0, le=60, description="how long the mail server has for each answer")
    mail_from: str = Field(description="sender of all mails: orders@shop.example, or: Shop <orders@shop.example>")
    operator_email: str | None = Field(None, description="who is told of low stock; unset: nobody")
    mail_unknown_outcome: UnknownOutcome = Field(
        UnknownOutcome.RESEND, description="resend | hold a mail of which nobody knows whether the server took it"
    )
    mail_max_attempts: int = Field(10, ge=1, le=100, description="tries of a mail that the server puts off")
    mail_backoff_seconds: float = Field(30, gt=0, le=3600, description="first pause of such a mail, then doubled")
    mail_backoff_max_seconds: float = Field(3600, gt=0, le=86_400)
    mail_batch_max: int = Field(20, ge=1, le=500, description="mails claimed at once (one where they would be held)")
    mail_lease_seconds: float = Field(300, gt=0, le=3600, description="after it a claim without a result is unknown")
    mail_poll_seconds: float = Field(1, gt=0, le=60, description="between two looks at an empty queue")
    personal_data_retention_days: float = Field(90, gt=0, description="after the last change of a mail or an order")

    @field_validator("smtp_url")
    @classmethod
    def _smtp_url_is_one(cls, value: SecretStr) -> SecretStr:
        SmtpServer.of(value.get_secret_value())
        return value

    @field_validator("mail_from")
    @classmethod
    def _mail_from_is_a_sender(cls, value: str) -> str:
        sender_of(value)
        return value

    @field_validator("operator_email")
    @classmethod
    def _operator_email_is_an_address(cls, value: str | None) -> str | None:
        return None if not value else recipient_of(value).addr_spec

    @model_validator(mode="after")
    def _lease_outlasts_a_mail(self) -> Self:
        if self.mail_lease_seconds < 10 * self.smtp_timeout_seconds:
            raise ValueError("MAIL_LEASE_SECONDS must be at least ten times SMTP_TIMEOUT_SECONDS")
        return self

    @property
    def sender(self) -> Address:
        """The sender, parsed."""
        return sender_of(self.mail_from)

    @property
    def smtp_server(self) -> SmtpServer:
        """The mail server."""
        return SmtpServer.of(self.smtp_url.get_secret_value())

    @property
    def delivery_terms(self) -> DeliveryTerms:
        """How persistent the mailer is."""
        return DeliveryTerms(
            max_attempts=self.mail_max_attempts,
            backoff_seconds=self.mail_backoff_seconds,
            backoff_max_seconds=self.mail_backoff_max_seconds,
            unknown_outcome=self.mail_unknown_outcome,
        )

    @property
    def claim_size(self) -> int:
        """Mails claimed at once: one where a claim without a result is held, so that no untried mail is."""
        return 1 if self.mail_unknown_outcome is UnknownOutcome.HOLD else self.mail_batch_max

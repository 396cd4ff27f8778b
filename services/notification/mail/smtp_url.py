"""The mail server, as one URL: smtp://user:password@host:port, smtps://…, ?starttls=required|no."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

_PORTS = {"smtp": 25, "smtps": 465}
_STARTTLS = ("required", "no")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Where mails are handed over, and how.

    Args:
        host: name or address.
        port: TCP port.
        tls: whether the connection begins with TLS (smtps).
        starttls: whether it is turned into TLS before anything is said; refused by the server, nothing is sent.
        user: None where the server asks for none.
        password: the user's.

    """

    host: str
    port: int
    tls: bool
    starttls: bool
    user: str | None
    password: str | None

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the server of a URL; with a password, STARTTLS is required unless the URL says no.

        Raises:
            ValueError: naming what is wrong and what is valid, never the URL (it may hold a password).

        """
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.fragment:
            raise ValueError("must be smtp://[user:password@]host[:port][?starttls=required|no] or smtps://…")
        if (parts.username is None) != (parts.password is None):
            raise ValueError("must name both a user and a password, or neither")
        tls = parts.scheme == "smtps"
        return cls(
            host=parts.hostname,
            port=parts.port or _PORTS[parts.scheme],
            tls=tls,
            starttls=_starttls(parts.query, default=parts.password is not None and not tls, tls=tls),
            user=parts.username and unquote(parts.username),
            password=parts.password and unquote(parts.password),
        )


def _starttls(query: str, *, default: bool, tls: bool) -> bool:
    options = parse_qs(query, keep_blank_values=True)
    values = options.pop("starttls", None)
    if options or (values is not None and (len(values) > 1 or values[0] not in _STARTTLS)):
        raise ValueError("takes one option, starttls=required or starttls=no")
    wanted = default if values is None else values[0] == "required"
    if wanted and tls:
        raise ValueError("smtps:// is TLS from the start: leave out starttls=required")
    return wanted

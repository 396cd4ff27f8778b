"""A mail server that keeps every mail as one `.eml` file instead of sending it on.

It is a real SMTP server for the local stack and the tests. Which recipients it refuses depends on their address
alone, so that every kind of answer can be had from it:

- `…@temporary-failure.example` is answered `451`, as by a server that is busy;
- `…@permanent-failure.example` is answered `550`, as for a mailbox that does not exist;
- every other recipient is accepted.

    python -m deploy.local.mail --directory .local/mail --port 2525
"""

import asyncio
import signal
import time
import uuid
from pathlib import Path
from typing import Annotated

import typer
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.ports import LOOPBACK

TEMPORARY_FAILURE_DOMAIN = "temporary-failure.example"
PERMANENT_FAILURE_DOMAIN = "permanent-failure.example"

_ACCEPTED = "250 OK"
_REFUSALS = {
    TEMPORARY_FAILURE_DOMAIN: "451 4.3.0 Try again later",
    PERMANENT_FAILURE_DOMAIN: "550 5.1.1 No such mailbox",
}


class Mailbox:
    """Decides on recipients and writes accepted mails into `directory`; aiosmtpd calls the methods by their names."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept the recipient unless its domain asks to be refused."""
        refusal = _REFUSALS.get(address.rpartition("@")[2].lower())
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return _ACCEPTED

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same
        """Write the mail, with the addresses of its envelope in headers of their own, before it is acknowledged."""
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        recipients = "".join(f"X-Envelope-To: {address}\r\n" for address in envelope.rcpt_tos)
        head = f"X-Envelope-From: {envelope.mail_from}\r\n{recipients}"
        self._write(head.encode() + content)
        return _ACCEPTED

    def _write(self, mail: bytes) -> None:
        """Write one file, whole from the moment it has its name; names sort by time of arrival."""
        path = self._directory / f"{time.time_ns()}-{uuid.uuid4().hex[:8]}.eml"
        part = path.with_suffix(".part")
        part.write_bytes(mail)
        part.replace(path)


async def serve(directory: Path, port: int) -> None:
    """Take mail on loopback until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    mailbox = Mailbox(directory)
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="localhost", enable_SMTPUTF8=True), LOOPBACK, port)
    await stopped.wait()
    server.close()  # without waiting for clients: one that keeps its connection would hold us up


def main(
    directory: Annotated[Path, typer.Option(help="where the .eml files go")],
    port: Annotated[int, typer.Option(help="the port on 127.0.0.1")] = 2525,
) -> None:
    """Keep every mail as a file; refuse recipients at temporary-failure.example and permanent-failure.example."""
    directory.mkdir(parents=True, exist_ok=True)
    asyncio.run(serve(directory, port))


if __name__ == "__main__":
    typer.run(main)

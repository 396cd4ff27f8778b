"""`python -m services.<name> parked list|show|retry|discard|resume`: an operator's hands on parked keys.

Whatever has to be copied into `--topic`, `--key` or `--fingerprint` stands in one line, whole and as a shell takes it,
however narrow the terminal.
"""

import getpass
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from pydantic_core import to_json

from services.chassis import breaker, operators
from services.chassis.database import transaction
from services.chassis.errors import OmsError
from services.chassis.operators import Filter, ParkedKey
from services.chassis.runtime import Runtime

Fingerprint = Annotated[str | None, typer.Option(help="only keys that were parked with this fingerprint")]
Topic = Annotated[str | None, typer.Option(help="only keys of this topic")]
Key = Annotated[str | None, typer.Option(help="only this key")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only say what would be done")]
_ERROR_SHOWN = 200


def _said(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("must say why, it is blank")
    return reason


Reason = Annotated[str, typer.Option(callback=_said, help="why; it is kept and logged")]


def parked_commands(runtime: Callable[[], Runtime[Any, Any]]) -> typer.Typer:
    """Return the command group; `runtime` is called once a command is run."""
    app = typer.Typer(help="Look at parked keys, and move them on.", no_args_is_help=True)

    @app.command("list", help="List parked keys.")
    def show_list(fingerprint: Fingerprint = None, topic: Topic = None, key: Key = None) -> None:
        _list(_sought(runtime(), Filter(fingerprint, topic, key)))

    @app.command(help="Show the events that wait under parked keys, without personal data.")
    def show(fingerprint: Fingerprint = None, topic: Topic = None, key: Key = None) -> None:
        _show(runtime(), Filter(fingerprint, topic, key))

    @app.command(help="Handle parked events now, in order, until one fails again.")
    def retry(fingerprint: Fingerprint = None, topic: Topic = None, key: Key = None, dry_run: DryRun = False) -> None:
        _retry(runtime(), Filter(fingerprint, topic, key), dry_run)

    @app.command(help="Give up the first event of each key; its followers run.")
    def discard(
        reason: Reason, fingerprint: Fingerprint = None, topic: Topic = None, key: Key = None, dry_run: DryRun = False
    ) -> None:
        _discard(runtime(), Filter(fingerprint, topic, key), reason, dry_run)

    @app.command(help="Close the breaker and consume again.")
    def resume(reason: Reason) -> None:
        _resume(runtime(), reason)

    return app


def _find(runtime: Runtime[Any, Any], which: Filter) -> list[ParkedKey]:
    with transaction(runtime.engine) as connection:
        return operators.find(connection, which)


def _sought(runtime: Runtime[Any, Any], which: Filter) -> list[ParkedKey]:
    """Return the keys that fit, and say so where there are none: silence would look like success."""
    keys = _find(runtime, which)
    if not keys:
        typer.echo("nothing is parked" if which == Filter() else "nothing that fits is parked")
    return keys


def _list(keys: Sequence[ParkedKey]) -> None:
    for parked in keys:
        typer.echo(f"key          {_in_shell(parked.key)}")
        typer.echo(f"topic        {_in_shell(parked.topic)}")
        typer.echo(f"fingerprint  {_in_shell(parked.fingerprint)}")
        typer.echo(f"error        {_in_one_line(parked.error)}")
        typer.echo(f"state        {parked.state}, events {parked.events}, tries {parked.attempts}")
        typer.echo(f"due at       {parked.due_at.isoformat()}\n")
    if keys:
        typer.echo(f"{len(keys)} parked")


def _in_shell(text: str) -> str:
    """Return a word that a shell reads as this text: a stranger's key may hold anything, control characters too."""
    if text.isprintable():
        return shlex.quote(text)
    codes = "".join(char if char.isprintable() and char not in "\\'" else f"\\U{ord(char):08x}" for char in text)
    return f"$'{codes}'"


def _in_one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:_ERROR_SHOWN])


def _named(parked: ParkedKey) -> str:
    return f"{parked.topic} {_in_shell(parked.key)}"


def _show(runtime: Runtime[Any, Any], which: Filter) -> None:
    keys = _sought(runtime, which)
    with transaction(runtime.engine) as connection:
        for parked in keys:
            waiting = operators.events_of(connection, parked, runtime.codec, runtime.schemas)
            typer.echo(to_json({**asdict(parked), "events": waiting}, indent=2).decode())


def _retry(runtime: Runtime[Any, Any], which: Filter, dry_run: bool) -> None:
    processors = {s.consumer: runtime.processor(s) for s in runtime.subscriptions}
    for parked in _sought(runtime, which):
        if dry_run:
            typer.echo(f"would retry {parked.events} event(s) of {_named(parked)}")
            continue
        processor = processors[parked.consumer]
        handled = 0
        while processor.retries.retry((parked.topic, parked.key)):
            handled += 1
        left = _find(runtime, Filter(topic=parked.topic, key=parked.key))
        typer.echo(f"{_named(parked)}: {handled} handled, {left[0].events if left else 0} still parked")


def _discard(runtime: Runtime[Any, Any], which: Filter, reason: str, dry_run: bool) -> None:
    if which == Filter():
        raise OmsError("discard needs --key, --topic or --fingerprint: it gives events up")
    for parked in _sought(runtime, which):
        if dry_run:
            typer.echo(f"would discard the first of {parked.events} event(s) of {_named(parked)}")
            continue
        actor = getpass.getuser()
        event_id = operators.discard_head(runtime.engine, parked, runtime.codec, reason=reason, actor=actor)
        typer.echo(f"{_named(parked)}: discarded {event_id}")


def _resume(runtime: Runtime[Any, Any], reason: str) -> None:
    for subscription in runtime.subscriptions:
        with transaction(runtime.engine) as connection:
            was_open = breaker.resume(connection, subscription.consumer, reason=reason, actor=getpass.getuser())
        typer.echo(f"{subscription.consumer}: {'resumed' if was_open else 'was not stopped'}")

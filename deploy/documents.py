"""Writes what the docs say of the code from the code: `python -m deploy.documents [--check]`.

The OpenAPI document of each service, as its `/openapi.json` shows it, the catalogue of problem codes, and the events as
an AsyncAPI document and as pages. Nothing is connected to.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from flask import Flask

from deploy.asyncapi import asyncapi
from deploy.event_pages import pages
from deploy.event_readers import Reader, readers
from schemas.catalog import load
from services.chassis.health import Health
from services.chassis.http.assembly import assemble
from services.chassis.http.problems import CODES, ProblemCode
from services.chassis.runtime import Runtime
from services.chassis.service import Service
from services.chassis.settings import VERSION, load_settings
from services.inventory.bootstrap import SERVICE as INVENTORY
from services.notification.bootstrap import SERVICE as NOTIFICATION
from services.order.bootstrap import SERVICE as ORDER

DOCS = Path(__file__).parents[1] / "docs"
SERVICES: tuple[Service[Any, Any], ...] = (ORDER, INVENTORY, NOTIFICATION)
# A document depends on no setting, but a service is not assembled without.
_PLACEHOLDERS = {
    "_env_file": None,
    "database_url": "postgresql+psycopg2://nobody@127.0.0.1:1/none",
    "kafka_bootstrap_servers": "127.0.0.1:1",
    "jwt_secret": "a placeholder of thirty-two characters",
    "jwt_issuer": "placeholder",
    "jwt_audience": "placeholder",
    "smtp_url": "smtp://127.0.0.1:1",
    "mail_from": "orders@shop.example",
}
_PROBLEMS_HEAD = """# Problem codes

Every answer of 400 and above is an `application/problem+json` (RFC 9457) with one of these codes. Branch on `code`; \
`detail` is for people. Written by `make documents`.
"""


def settings_of(service: Service[Any, Any]) -> Any:
    """Return settings of a service's class, enough to describe it."""
    return load_settings(service.settings, _PLACEHOLDERS)


def application(service: Service[Any, Any]) -> Flask:
    """Return a service's application, connected to nothing."""
    return assemble(Runtime(service, settings_of(service), Health()))


def openapi(service: Service[Any, Any]) -> str:
    """Return a service's OpenAPI document."""
    return _json(application(service).test_client().get("/openapi.json").get_json())


def event_readers() -> list[Reader]:
    """Return who reads which events, of all services."""
    return [
        reader for service in SERVICES for reader in readers(service.name, service.subscriptions(settings_of(service)))
    ]


def problems() -> str:
    """Return the catalogue of problem codes."""
    parts = [_PROBLEMS_HEAD, *_table("every service", CODES)]
    for service in SERVICES:
        parts += _table(service.name, service.problems)
    return "\n".join(parts)


def documents() -> dict[str, str]:
    """Return path below `docs/` → text of every generated document."""
    catalog, found = load(ORDER.schemas), event_readers()
    names = [service.name for service in SERVICES]
    return {
        **{f"openapi/{service.name}.json": openapi(service) for service in SERVICES},
        "problems.md": problems(),
        "asyncapi.json": _json(asyncapi(catalog, found, names, VERSION)),
        **{f"events/{name}": text for name, text in pages(catalog, found).items()},
    }


def left_over(docs: Path, written: Mapping[str, str]) -> list[str]:
    """Return what lies in a folder of generated documents and is none of them, such as the page of a former topic."""
    folders = {docs / name.partition("/")[0] for name in written if "/" in name}
    there = (path.relative_to(docs).as_posix() for folder in sorted(folders) for path in sorted(folder.glob("*")))
    return [name for name in there if name not in written]


def main(check: Annotated[bool, typer.Option("--check", help="write nothing; exit 1 when stale")] = False) -> None:
    """Write the generated documents."""
    written = documents()
    stale = left_over(DOCS, written)
    for name in stale if not check else ():
        (DOCS / name).unlink()
    for name, text in written.items():
        path = DOCS / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if check and stale:
        typer.echo(f"stale: {', '.join(stale)}; run make documents", err=True)
        sys.exit(1)


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _table(title: str, codes: Mapping[str, ProblemCode]) -> Iterator[str]:
    if codes:
        yield f"## {title}\n\n| code | status | meaning |\n|---|---|---|"
        yield from (
            f"| `{code}` | {known.status} | {known.meaning} |"
            for code, known in sorted(codes.items(), key=lambda row: (row[1].status, row[0]))
        )
        yield ""


if __name__ == "__main__":
    typer.run(main)

"""Writes the three OpenAPI documents to `docs/openapi/`: `python -m deploy.openapi [--check]`.

They are generated from the code, as `/openapi.json` of a running service is; nothing is connected to.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from services.chassis.health import Health
from services.chassis.http.assembly import assemble
from services.chassis.runtime import Runtime
from services.chassis.service import Service
from services.chassis.settings import load_settings
from services.inventory.bootstrap import SERVICE as INVENTORY
from services.notification.bootstrap import SERVICE as NOTIFICATION
from services.order.bootstrap import SERVICE as ORDER

FOLDER = Path(__file__).parents[1] / "docs" / "openapi"
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


def document(service: Service[Any, Any]) -> str:
    """Return a service's OpenAPI document, as it is committed."""
    app = assemble(Runtime(service, load_settings(service.settings, _PLACEHOLDERS), Health()))
    answer = app.test_client().get("/openapi.json")
    return json.dumps(answer.get_json(), indent=2, ensure_ascii=False) + "\n"


def main(check: Annotated[bool, typer.Option("--check", help="write nothing; exit 1 when stale")] = False) -> None:
    """Write the OpenAPI documents."""
    stale = []
    for service in SERVICES:
        path, text = FOLDER / f"{service.name}.json", document(service)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if check and stale:
        typer.echo(f"stale: {', '.join(stale)}; run make openapi", err=True)
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)

"""The textbook API, to compare with: Flask under gunicorn's threads, a transaction a request, a statement a row.

It places orders as the product does: the same validation and token check, the same prices and tables, an answer stored
by its key, the same outbox row, the same answer. What makes it the textbook one is how it goes about it: SQLAlchemy's
`insert()` and `select()`, a statement a table, in a transaction of its own, on a thread that waits.

python -m gunicorn "tests.benchmark.textbook_api:create_app()" --worker-class gthread …
"""

import os
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response, request
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from deploy.local.services import python_command
from deploy.local.stack import Stack
from services.chassis.errors import Problem
from services.chassis.events import from_micros, new_id, new_traceparent, to_micros
from services.chassis.http.auth import TokenVerifier, require_role
from services.chassis.http.roles import Role
from services.chassis.settings import load_settings
from services.order.api.models.placing import OrderCreate
from services.order.api.placing import draft_of
from services.order.api.views import order_of
from services.order.domain.details import OrderDetails
from services.order.domain.drafts import CatalogVariant, Identity
from services.order.domain.history import Actor, When
from services.order.domain.placing import Placed, place, price
from services.order.domain.scopes import Scope
from services.order.handlers.orders import OrderView
from services.order.settings import OrderSettings
from tests.benchmark.textbook_work import CODEC

NAME = "textbook-api"
_WORKERS, _THREADS = 2, 8
_TABLES = ("idempotency_keys", "catalog_variants", "facts", "orders", "order_items", "order_history", "outbox")
_NEXT_NUMBER = sa.text("SELECT nextval('order_numbers')")
_OF_CONTENT = (
    *("request_id", "customer_email", "locale", "subtotal_minor", "discount_minor", "tax_minor", "shipping_minor"),
    *("shipping_address", "billing_address", "shipping_method", "notes", "external_reference", "metadata"),
)
_OF_ORDER = (
    *("id", "customer_id", "currency", "total_minor", "payment_method", "status", "reservation_status"),
    *("pending_operation", "recorded_minor", "refund_waived", "confirm_when_reserved"),
)
_OF_LINE = (
    *("sku", "product_name", "variant_name", "vendor_id", "quantity", "unit_price_minor"),
    *("discount_minor", "tax_minor", "total_minor"),
)
_KEY_OF_NUMBERS = "order_number_key"


def start(stack: Stack, port: int) -> str:
    """Start it at a port, and return the name of its process."""
    arguments = (
        *("gunicorn", "tests.benchmark.textbook_api:create_app()", "--bind", f"127.0.0.1:{port}", "--reuse-port"),
        *("--worker-class", "gthread", "--workers", str(_WORKERS), "--threads", str(_THREADS)),
        *("--worker-connections", "1000", "--keep-alive", "75", "--no-control-socket"),
    )
    stack.processes.start(python_command(NAME, arguments, environment=stack.environment("order")))
    return NAME


def create_app() -> Flask:
    """Return the application."""
    environment = {name.lower(): value for name, value in os.environ.items()}
    settings = load_settings(OrderSettings, environment)
    app = Flask(__name__)
    app.add_url_rule("/api/v1/orders/", view_func=_Placing(settings).place, methods=["POST"])
    app.register_error_handler(Problem, lambda problem: ({"code": problem.code}, problem.status))
    app.register_error_handler(ValidationError, lambda error: (error.errors(include_url=False), 400))
    return app


class _Placing:
    def __init__(self, settings: OrderSettings) -> None:
        self._settings = settings
        self._terms = settings.shop_terms
        self._tokens = TokenVerifier.from_settings(settings)
        self._engine = sa.create_engine(
            settings.database_url,
            pool_size=_THREADS,
            isolation_level="READ COMMITTED",
            json_serializer=lambda value: to_json(value).decode(),
            json_deserializer=from_json,
        )
        metadata = sa.MetaData()
        metadata.reflect(self._engine, only=_TABLES)
        self._tables = metadata.tables
        keys, catalog, facts = (self._tables[name] for name in ("idempotency_keys", "catalog_variants", "facts"))
        # Built once, as a module's constants are: SQLAlchemy takes longer to build them than to run them.
        mine = sa.and_(keys.c.caller == sa.bindparam("caller"), keys.c.key == sa.bindparam("key"))
        self._find_answer = sa.select(keys.c.body).where(mine)
        columns = [catalog.c[name] for name in CatalogVariant.__slots__]
        self._find_variants = sa.select(*columns).where(catalog.c.sku.in_(sa.bindparam("skus", expanding=True)))
        with self._engine.connect() as connection:
            find_key = sa.select(facts.c.value).where(facts.c.name == _KEY_OF_NUMBERS)
            self._number_key = bytes.fromhex(connection.execute(find_key).scalar_one())
        # Inline: nobody needs the numbers that the database gives, for which each would ask with RETURNING.
        self._inserts = {name: self._tables[name].insert().inline() for name in _TABLES}
        # The connection that reflected was made before gunicorn's worker had its threads.
        self._engine.dispose()

    def place(self) -> Response:
        caller = self._tokens.caller_of(request.headers.get("Authorization"))
        require_role(caller, frozenset({Role.CUSTOMER, Role.SERVICE}))
        raw = request.get_data()
        body = OrderCreate.model_validate_json(raw, strict=True)
        key = {"caller": caller.subject, "key": request.headers["Idempotency-Key"]}
        with self._engine.begin() as connection:
            stored = connection.execute(self._find_answer, key).first()
            if stored is not None:
                return Response(bytes(stored.body), 200, content_type="application/json")
            placed = self._placed(connection, draft_of(caller, body), Actor(type=Role.SERVICE, id=caller.subject))
            if not isinstance(placed, Placed):
                connection.rollback()
                return Response(to_json(placed), 422, content_type="application/json")
            self._insert(connection, placed)
            details = OrderDetails(placed.content, tuple(placed.order.history), ())
            shown = order_of(OrderView(placed.order, details, Scope(internal=True)), self._settings.tracking_links)
            answer = to_json(shown, by_alias=True)
            self._store(connection, key, sha256(raw).hexdigest(), answer)
        location = f"/api/v1/orders/{placed.order.id}/"
        return Response(answer, 201, {"Location": location}, content_type="application/json")

    def _placed(self, connection: sa.Connection, draft: Any, actor: Actor) -> Any:
        rows = connection.execute(self._find_variants, {"skus": sorted({item.sku for item in draft.items})})
        variants = {row.sku: CatalogVariant(**row._mapping) for row in rows}
        priced = price(draft, variants, self._terms)
        if isinstance(priced, list):
            return [asdict(fault) for fault in priced]
        identity = Identity(
            order_id=new_id(),
            item_ids=tuple(new_id() for _ in draft.items),
            count=connection.execute(_NEXT_NUMBER).scalar_one(),
            number_key=self._number_key,
        )
        now = to_micros(datetime.now(UTC))
        return place(priced, self._terms, identity, When(now=now, actor=actor))

    def _insert(self, connection: sa.Connection, placed: Placed) -> None:
        order, content = placed.order, placed.content
        row = {name: getattr(content, name) for name in _OF_CONTENT} | {
            name: getattr(order, name) for name in _OF_ORDER
        }
        times = {name: from_micros(getattr(order, name)) for name in ("created_at", "updated_at", "deadline_at")}
        new = {"order_number": order.number, "version": 1, "events": 1, "shortages": [], "held": []}
        connection.execute(self._inserts["orders"], {**row, **times, **new})
        items = [
            {name: getattr(line, name) for name in _OF_LINE}
            | {"id": line.item_id, "order_id": order.id, "position": position}
            for position, line in enumerate(content.lines)
        ]
        connection.execute(self._inserts["order_items"], items)
        (change,) = order.history
        history = {"order_id": order.id, "version": 1, "status": change.status, "reason": change.reason}
        actor = {"public": change.public, "actor_type": change.actor.type, "actor_id": change.actor.id}
        times_of_it = {"created_at": times["created_at"]}
        connection.execute(self._inserts["order_history"], {**history, **actor, **times_of_it})
        self._emit(connection, placed, times["created_at"])

    def _emit(self, connection: sa.Connection, placed: Placed, now: Any) -> None:
        told = placed.told
        headers = {
            "ce_time": now.isoformat().replace("+00:00", "Z"),
            "ce_correlationid": told.order_id,
            "traceparent": new_traceparent(),
        }
        about = {"id": new_id(), "aggregatetype": "order", "aggregateid": told.key, "type": told.FULLNAME}
        row = {"payload": CODEC.encode(told), "topic": told.TOPIC, "headers": headers, "sequence": 1}
        connection.execute(self._inserts["outbox"], {**about, **row})

    def _store(self, connection: sa.Connection, key: dict[str, str], request_hash: str, answer: bytes) -> None:
        """Store the answer under its key; of two requests at once that share one, the second fails here."""
        stored = {"request_hash": request_hash, "status": 201, "headers": {}, "body": answer}
        connection.execute(self._inserts["idempotency_keys"], {**key, **stored})

"""What operators meet of the services, read from their code: commands, metrics, and the codes of every reason."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import typer
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from deploy.documents import settings_of
from services.chassis import cli, collectors, metrics
from services.chassis.connection import Engine
from services.chassis.health import Reason
from services.chassis.service import DatabaseGauge, Service
from services.inventory.bootstrap import SERVICE as INVENTORY
from services.inventory.domain import revisions
from services.inventory.domain.reservations import REACTIONS, UNITS_HELD, Reaction
from services.inventory.domain.reservations import ReservationStatus as Reservation
from services.inventory.domain.stock import MovementKind
from services.inventory.repository import audit as inventory_books
from services.notification.bootstrap import SERVICE as NOTIFICATION
from services.notification.domain.deliveries import RETRIES_EXHAUSTED
from services.order.bootstrap import SERVICE as ORDER
from services.order.domain.refusals import RefusalCode
from services.order.domain.statuses import CancelReason, PendingOperation
from services.order.repository import audit as order_books

ROOT = Path(__file__).parents[2]
SERVICES: Sequence[Service[Any, Any]] = (ORDER, INVENTORY, NOTIFICATION)


def commands() -> set[str]:
    """Return every command of every service, with its service in front: `order parked list`."""
    return {f"{service.name} {path}" for service in SERVICES for path, _ in _commands(service)}


def options() -> set[str]:
    """Return every option of every command."""
    parameters = [
        parameter for service in SERVICES for _, command in _commands(service) for parameter in command.params
    ]
    return {name for parameter in parameters for name in parameter.opts if name.startswith("--")}


def labels_by_metric() -> dict[str, set[str]]:
    """Return the labels of each metric of the product, by the name of its family in Prometheus."""
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            registry = CollectorRegistry()
            registry.register(metric)
            names = [name for name in registry._names_to_collectors if not name.endswith("_created")]
            family = names[0] if len(names) == 1 else next((n for n in names if n.endswith("_total")), metric._name)
            found[family] = set(metric._labelnames)
    gauges: list[DatabaseGauge] = [*collectors.GAUGES, collectors.breaker_open("any")]
    gauges += [gauge for service in SERVICES for gauge in service.gauges]
    return found | {gauge.name: set(gauge.labels) for gauge in gauges} | _of_processes()


def reasons() -> Mapping[str, set[str]]:
    """Return heading in the operators' guide → the codes that there are of that kind."""
    return {
        "Reasons of `/readyz`": {reason.value for reason in Reason},
        "Why an order was cancelled": {reason.value for reason in CancelReason},
        "What an order waits for": {*PendingOperation, *_stuck_reasons()},
        "What an order's history says": {*_texts("services/order", "note_change", 1), *_texts_of_deadlines()},
        "Why a request by Kafka was refused": _refused_by_kafka(),
        "Why a key is parked": {*_texts("services", "defer", 1), *_parked_by_inventory()},
        "What a reservation is": {status.value for status in Reservation},
        "Why stock moved": {kind.value for kind in MovementKind},
        "What an audit compares": {*inventory_books.CHECKS, *order_books.CHECKS},
        "Why a mail failed": _mail_failures(),
    }


def _commands(service: Service[Any, Any]) -> Iterator[tuple[str, Any]]:
    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        # Not isinstance: typer brings a click of its own.
        inner: Mapping[str, Any] | None = getattr(command, "commands", None)
        if inner is None:
            yield " ".join(path), command
        else:
            for name, child in inner.items():
                yield from walk(child, (*path, name))

    return walk(typer.main.get_command(cli.commands(service)), ())


def _of_processes() -> dict[str, set[str]]:
    """Return what each process tells of itself; it is asked of no database."""
    engine = Engine("postgresql+psycopg2://nobody@nowhere/nothing", 1, "nobody")
    told = collectors.DatabaseCollector(engine, [], "order", settings_of(ORDER)).collect()
    return {family.name: set(family.samples[0].labels) for family in islice(told, 2)}


def _refused_by_kafka() -> set[str]:
    """Return what requests and reports are refused with: codes of their own, and those of the commands behind them."""
    handlers = ("services/order/handlers/requests.py", "services/order/handlers/reports.py")
    own = {code for where in handlers for code in _texts(where, "_reject", 2)}
    return own | {
        RefusalCode.PAYMENT_MISMATCH.value,
        RefusalCode.PAYMENT_REQUIRED.value,
        RefusalCode.PAYMENT_REFERENCE_USED.value,
        RefusalCode.ALREADY_PAID.value,
        RefusalCode.ORDER_CANCELLED.value,
        RefusalCode.INVALID_TRANSITION.value,
        "too_many_open_orders",
    }


def _stuck_reasons() -> set[str]:
    """Return what a deadline or a shortfall lists an order for: what is written into `stuck_reason`."""
    found = set(_texts_of_deadlines())
    for tree in _trees("services/order/domain"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value is not None:
                names = [target.attr for target in node.targets if isinstance(target, ast.Attribute)]
                found |= {str(node.value.value)} if "stuck_reason" in names else set()
    return found


def _texts_of_deadlines() -> list[str]:
    return _texts("services/order", "wait_no_longer", 0)


def _parked_by_inventory() -> set[str]:
    return (
        {
            f"{event.__name__}_while_reservation_{'missing' if status is None else status}"
            for event, row in REACTIONS.items()
            for status, reaction in row.items()
            if reaction is Reaction.PARK
        }
        | {
            f"{event.__name__}_while_{'reservation' if status is None else 'request'}_missing"
            for event, cells in revisions.REACTIONS.items()
            for (status, _), cell in cells.items()
            if cell is revisions.Reaction.PARK
        }
        | {"OrderShipped_while_revision_open", UNITS_HELD}
    )


def _mail_failures() -> set[str]:
    where = "services/notification/mail"
    of_steps = {f"{step}_{end}" for step in _texts(where, "_Step", 0) for end in ("refused", "put_off")}
    return of_steps | {*_texts(where, "Answer", 1), *_texts(where, "Undeliverable", 0), RETRIES_EXHAUSTED}


def _texts(where: str, function: str, position: int) -> list[str]:
    """Return the constant texts that some code hands to a function, or a method, of this name."""
    calls = [node for tree in _trees(where) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = [call for call in calls if getattr(call.func, "attr", getattr(call.func, "id", None)) == function]
    handed = [call.args[position] for call in named if len(call.args) > position]
    found = [value.value for value in handed if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    assert found, f"nothing calls {function} in {where} any more"
    return found


def _trees(where: str) -> list[ast.Module]:
    path = ROOT / where
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    return [ast.parse(file.read_text(encoding="utf-8")) for file in files]

"""The import rules, enforced over the tree: what a module may import follows from the layer it is in.

A layer is a module or a package of that name in a service. Every import statement counts, wherever it stands.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("order", "inventory", "notification")
CONTRACTS = "schemas.contracts"
# The event classes, and what they are written with: nothing but the standard library.
EVENT_MODULES = ("contracts", "binary", "frozen")
# The standard library's modules that neither look at the world nor change it; `datetime` as a type.
PURE = frozenset(
    {"base64", "binascii", "collections", "dataclasses", "datetime", "decimal", "enum", "hashlib", "hmac", "re"}
    | {"typing"}
)
CLOCKS = frozenset({"now", "today", "utcnow"})


@dataclass(frozen=True)
class Layer:
    """What a layer may import. `own.` stands for the service that it is in.

    Args:
        may: what the rules allow.
        also: what is needed beyond its words, and why.
        pure: whether of the standard library, too, only PURE may be imported.

    """

    may: tuple[str, ...]
    also: dict[str, str] = field(default_factory=dict)
    pure: bool = False

    def allows(self, module: str, service: str) -> bool:
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names:
            return top in PURE or not self.pure
        return any(
            below(module, pattern.replace("own.", f"services.{service}.")) for pattern in (*self.may, *self.also)
        )


_CHASSIS = "services.chassis"
_MESSAGES = "what a handler receives, hands on, and makes ids with"
_TIMES = "times, as events and columns hold them"
_AUDIT = "what an audit found"
LAYERS = {
    "domain": Layer(
        (CONTRACTS, "own.domain"),
        {
            "schemas.frozen": "frozen classes of which every order makes some",
            f"{_CHASSIS}.money": "arithmetic of ISO 4217: refusals tell amounts as callers write them",
            "iso3166": "a table of countries",
        },
        pure=True,
    ),
    "handlers": Layer(
        (CONTRACTS, "own.domain", "own.handlers", "own.unit_of_work", f"{_CHASSIS}.unit_of_work", f"{_CHASSIS}.errors"),
        {
            f"{_CHASSIS}.events": _MESSAGES,
            f"{_CHASSIS}.commands": _MESSAGES,
            f"{_CHASSIS}.incoming": "Undecodable stands for an event that could not be read",
        },
    ),
    "repository": Layer(
        (CONTRACTS, "own.domain", "own.repository", f"{_CHASSIS}.database", f"{_CHASSIS}.errors"),
        {
            f"{_CHASSIS}.events": _TIMES,
            f"{_CHASSIS}.service": "DatabaseGauge, a query with the name of its metric",
            f"{_CHASSIS}.audit": _AUDIT,
            f"{_CHASSIS}.connection": "the type of what statements are executed on",
            f"{_CHASSIS}.results": "the type of rows",
            f"{_CHASSIS}.statements": "SQL, with how it goes to PostgreSQL",
            "pydantic_core": "JSON for columns",
        },
    ),
    "api": Layer(
        ("own.api", "own.handlers", "own.domain", f"{_CHASSIS}.http", "flask"),
        {
            "pydantic": "models of what is sent and shown",
            "own.unit_of_work": "the type of what queries are asked of",
            f"{_CHASSIS}.errors": "Problem, an answer that refuses",
            f"{_CHASSIS}.idempotency": "Answer, what a command is answered with",
            f"{_CHASSIS}.events": _TIMES,
            f"{_CHASSIS}.money": "decimal strings",
            f"{_CHASSIS}.audit": _AUDIT,
            "own.printing": "the bytes of documents",
        },
    ),
    "printing": Layer(("own.printing", "own.domain", "anyascii", "reportlab", "ttf_opensans")),
    "bootstrap": Layer(("own.", _CHASSIS), {CONTRACTS: "the events that the service knows"}),
    "__main__": Layer(("own.", _CHASSIS)),
    # The rest is not in the design's table. None of it may import another service, or what stands above it.
    "unit_of_work": Layer((CONTRACTS, "own.domain", "own.repository", "own.observing", "own.settings", _CHASSIS)),
    "observing": Layer(("own.domain", _CHASSIS)),
    "settings": Layer(
        ("own.domain", "own.mail", f"{_CHASSIS}.settings", f"{_CHASSIS}.money", "pydantic", "pydantic_settings")
    ),
    "migrations": Layer(("alembic", "sqlalchemy")),
    "mail": Layer(
        (
            CONTRACTS,
            "own.mail",
            "own.domain",
            "own.repository",
            "own.settings",
            _CHASSIS,
            "jinja2",
            "babel",
        )
    ),
    # Operators' reports.
    "audit": Layer(("own.unit_of_work", _CHASSIS)),
    "erase": Layer(("own.handlers", "own.unit_of_work", "own.domain", _CHASSIS, "typer")),
    "stuck": Layer(("own.unit_of_work", "own.repository", "own.domain", _CHASSIS, "rich")),
    "held": Layer(("own.unit_of_work", "own.domain", _CHASSIS, "rich")),
}


def below(module: str, package: str) -> bool:
    """Return whether a module is a package or in it."""
    package = package.rstrip(".")
    return module == package or module.startswith(package + ".")


def imports(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, module) of every import in a file; `from package import module` counts as the module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (node.module or "")
            for name in node.names:
                inner = root.joinpath(*package.split("."), name.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                yield node.lineno, f"{package}.{name.name}" if is_module else package


def clocks(path: Path) -> Iterator[int]:
    """Yield the line of every call that reads a clock through `datetime`, which is allowed as a type."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            yield node.lineno


def violations(root: Path) -> list[str]:
    """Return every import that the rules do not allow, as `file:line: layer imports module`."""
    return [*_contracts(root), *_chassis(root), *(found for service in SERVICES for found in _service(root, service))]


def _contracts(root: Path) -> Iterator[str]:
    for name in EVENT_MODULES:
        for line, module in imports(root / "schemas" / f"{name}.py", root):
            ours = any(below(module, f"schemas.{other}") for other in EVENT_MODULES)
            if not ours and module.partition(".")[0] not in sys.stdlib_module_names:
                yield f"schemas/{name}.py:{line}: {name} imports {module}"


def _chassis(root: Path) -> Iterator[str]:
    for path in sorted((root / "services" / "chassis").rglob("*.py")):
        for line, module in imports(path, root):
            is_ours = module.startswith(".") or module.partition(".")[0] in ("services", "schemas", "deploy", "tests")
            if is_ours and not below(module, _CHASSIS):
                yield f"{path.relative_to(root)}:{line}: chassis imports {module}"


def _service(root: Path, service: str) -> Iterator[str]:
    home = root / "services" / service
    for path in sorted(home.rglob("*.py")):
        name = path.relative_to(home).parts[0].removesuffix(".py")
        if name == "__init__":
            layer = Layer(())
        elif name in LAYERS:
            layer = LAYERS[name]
        else:
            yield f"{path.relative_to(root)}: {name} is no layer that the rules know"
            continue
        for line, module in imports(path, root):
            if not layer.allows(module, service):
                yield f"{path.relative_to(root)}:{line}: {name} imports {module}"
        if layer.pure:
            yield from (f"{path.relative_to(root)}:{line}: {name} reads a clock" for line in clocks(path))


def test_every_module_imports_only_what_its_layer_may() -> None:
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("layer", "module"), [(name, module) for name, layer in LAYERS.items() for module in layer.also]
)
def test_what_is_allowed_beyond_the_design_is_still_needed(layer: str, module: str) -> None:
    homes = [(service, ROOT / "services" / service) for service in SERVICES]
    used = [
        imported
        for service, home in homes
        for path in [*home.glob(f"{layer}.py"), *home.glob(f"{layer}/**/*.py")]
        for _, imported in imports(path, ROOT)
        if below(imported, module.replace("own.", f"services.{service}."))
    ]
    assert used, f"{layer} no longer imports {module}: take the allowance back"


def test_every_layer_of_the_design_s_table_is_there_to_be_checked() -> None:
    for service in SERVICES:
        found = {path.name.removesuffix(".py") for path in (ROOT / "services" / service).iterdir()}
        assert {"domain", "handlers", "repository", "api", "bootstrap", "__main__"} <= found


# --- the rules can fail: one offender at a time, in a tree that is clean without it


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "schemas").mkdir()
    for name in EVENT_MODULES:
        (tmp_path / "schemas" / f"{name}.py").write_text("from schemas.binary import LONGS\n", encoding="utf-8")
    for service in ("chassis", *SERVICES):
        for layer in ("domain", "handlers", "repository", "api"):
            (tmp_path / "services" / service / layer).mkdir(parents=True)
    assert violations(tmp_path) == []
    return tmp_path


@pytest.mark.parametrize(
    ("file", "code", "found"),
    [
        ("schemas/contracts.py", "import fastavro", "contracts imports fastavro"),
        ("schemas/contracts.py", "from services.order import domain", "contracts imports services.order.domain"),
        ("schemas/contracts.py", "from schemas.model import Type", "contracts imports schemas.model"),
        ("schemas/binary.py", "import fastavro", "binary imports fastavro"),
        ("services/chassis/relay.py", "from services.order.domain import x", "chassis imports services.order.domain"),
        ("services/chassis/relay.py", "import schemas.contracts", "chassis imports schemas.contracts"),
        ("services/chassis/http/app.py", "from schemas import contracts", "chassis imports schemas.contracts"),
        ("services/order/domain/orders.py", "import sqlalchemy as sa", "domain imports sqlalchemy"),
        ("services/order/domain/orders.py", "import logging", "domain imports logging"),
        ("services/order/domain/orders.py", "from os import path", "domain imports os"),
        ("services/order/domain/orders.py", "import time", "domain imports time"),
        ("services/order/domain/orders.py", "import random", "domain imports random"),
        ("services/order/domain/orders.py", "from uuid import uuid4", "domain imports uuid"),
        ("services/order/domain/orders.py", "x = datetime.now(UTC)", "domain reads a clock"),
        ("services/order/domain/orders.py", "from services.chassis import events", "domain imports services.chassis"),
        ("services/order/domain/orders.py", "def f():\n    import flask", "domain imports flask"),
        ("services/order/domain.py", "import flask", "domain imports flask"),
        (
            "services/order/domain/orders.py",
            "from services.order import handlers",
            "domain imports services.order.handlers",
        ),
        ("services/order/handlers/orders.py", "import sqlalchemy", "handlers imports sqlalchemy"),
        ("services/order/handlers/orders.py", "import confluent_kafka", "handlers imports confluent_kafka"),
        ("services/order/handlers/orders.py", "from flask import request", "handlers imports flask"),
        (
            "services/order/handlers.py",
            "from services.order.repository import orders",
            "handlers imports services.order.repo",
        ),
        (
            "services/order/repository/orders.py",
            "from services.order.handlers import x",
            "repository imports services.order.h",
        ),
        (
            "services/order/repository/orders.py",
            "from services.order.api import x",
            "repository imports services.order.api",
        ),
        ("services/order/repository/orders.py", "import flask", "repository imports flask"),
        ("services/order/api/orders.py", "import sqlalchemy.orm", "api imports sqlalchemy.orm"),
        ("services/order/api/orders.py", "import confluent_kafka", "api imports confluent_kafka"),
        ("services/order/api.py", "from services.order.repository import x", "api imports services.order.repository"),
        (
            "services/order/bootstrap.py",
            "from services.inventory import domain",
            "bootstrap imports services.inventory",
        ),
        ("services/order/__main__.py", "import services.notification.mail", "__main__ imports services.notification"),
        (
            "services/order/unit_of_work.py",
            "from services.order.api import x",
            "unit_of_work imports services.order.api",
        ),
        (
            "services/order/unit_of_work.py",
            "from services.inventory.domain import x",
            "unit_of_work imports services.inv",
        ),
        ("services/order/domain/orders.py", "from . import statuses", "domain imports ."),
        ("services/order/utils.py", "", "utils is no layer that the rules know"),
    ],
)
def test_an_import_that_breaks_a_rule_is_found(tree: Path, file: str, code: str, found: str) -> None:
    for module in ("services/order/handlers/orders.py", "services/order/api/orders.py"):
        (tree / module).write_text("", encoding="utf-8")
    offender = tree / file
    offender.parent.mkdir(parents=True, exist_ok=True)
    offender.write_text(code, encoding="utf-8")
    [violation] = violations(tree)
    assert violation.startswith(file)
    assert found in violation

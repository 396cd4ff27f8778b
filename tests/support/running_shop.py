"""One running shop for the end-to-end tests: the stack, its callers, and everybody who looks at it from outside.

The settings differ from the defaults where a test would otherwise have to wait for minutes; nothing else does.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from deploy.kafka.topics import declared
from deploy.local.processes import Processes
from deploy.local.services import ROOT
from deploy.local.stack import Stack, launch
from tests.support.eventually import eventually
from tests.support.log import Log
from tests.support.outsider import Outsider
from tests.support.probe import Probe
from tests.support.storefront import Callers, Client, unique

# Payment methods whose orders hold their stock for one second, and for three.
SHORT_HOLD, LONGER_HOLD = "flash", "brief"
GRACE_SECONDS = 4
# Where its customers would reach it.
PUBLIC_URL = "https://shop.example"
# Holds of tests that are over must not end while another one compares sums.
_LONG_HOLD = {"RESERVATION_TTL_SECONDS": "7200"}
_DEADLINES = {"DEADLINE_POLL_SECONDS": "0.3", "DEADLINE_GRACE_MAX_SECONDS": "1"}
OVERRIDES: Mapping[str, Mapping[str, str]] = {
    "order": {
        **_DEADLINES,
        "CATALOG_GRACE_SECONDS": str(GRACE_SECONDS),
        "PUBLIC_URL": PUBLIC_URL,
        "ANALYTICS_REFRESH_SECONDS": "2",
        "PAYMENT_METHODS": json.dumps(
            {
                "card": {"kind": "prepaid"},
                "invoice": {"kind": "invoice"},
                SHORT_HOLD: {"kind": "prepaid", "hold_seconds": 1},
                LONGER_HOLD: {"kind": "prepaid", "hold_seconds": 3},
            }
        ),
        "SHIPPING_METHODS": json.dumps(
            {
                "standard": {"carrier": "Post"},
                "parcel": {
                    "prices": {"EUR": "4.90"},
                    "free_from": {"EUR": "50.00"},
                    "carrier": "DHL",
                    "tracking_url": "https://track.example/{tracking_number}",
                },
            }
        ),
        "TAX_RATES": json.dumps(
            {
                "AT": {"rate": "0.20", "inclusive": True},
                "US": {"rate": "0.05", "inclusive": False},
                "US-CA": {"rate": "0.0725", "inclusive": False},
            }
        ),
    },
    "inventory": {**_DEADLINES, **_LONG_HOLD},
}
# A second API of the order service for what is decided when an order is placed, or when it is asked for.
HASTY: Mapping[str, str] = {
    "SAGA_TIMEOUT_SECONDS": "2",
    "ALLOCATION_TIMEOUT_SECONDS": "2",
    "CANCEL_WINDOW_MINUTES": "0",
    "RETURN_WINDOW_DAYS": "0",
    "PLACE_WAIT_SECONDS": "5",
    "MAX_OPEN_ORDERS": "2",
    "HTTP_WORKERS": "1",
}


@dataclass(frozen=True)
class Shop:
    """A running stack with its callers and observers."""

    stack: Stack
    callers: Callers
    probe: Probe
    log: Log
    outsider: Outsider

    @property
    def processes(self) -> Processes:
        """The stack's processes, to be frozen and ended."""
        return self.stack.processes

    @cached_property
    def admin(self) -> Client:
        """An administrator."""
        return self.callers.admin()

    @cached_property
    def service(self) -> Client:
        """The storefront's backend."""
        return self.callers.service()

    @cached_property
    def customer(self) -> Client:
        """Some customer; a test about customers makes its own."""
        return self.callers.customer()

    def sku(self, stock: int = 10, **variant: Any) -> str:
        """Publish a variant of which so much is in stock, and return its SKU once the order service knows it."""
        sku = unique("SKU")
        answer = self.admin.put_variant(sku, **variant)
        assert answer.status_code == 200, answer.text
        if stock:
            answer = self.admin.receive(sku, stock)
            assert answer.status_code == 201, answer.text
        self.await_known(sku)
        return sku

    def await_known(self, *skus: str) -> None:
        """Wait until the order service's catalog has these SKUs."""

        def known() -> None:
            query = "SELECT count(*) FROM catalog_variants WHERE sku = ANY(:skus)"
            assert self.probe.value("order", query, skus=list(skus)) == len(skus)

        eventually(known, within=15)

    def await_order(self, order_id: str, within: float = 15.0, **values: object) -> dict[str, Any]:
        """Return an order once the members named here have these values."""

        def arrived() -> dict[str, Any]:
            order = self.admin.order(order_id)
            assert {name: order[name] for name in values} == values
            return order

        return eventually(arrived, within=within)

    def await_reservation(self, order_id: str, status: str, within: float = 15.0) -> None:
        """Wait until inventory's reservation for an order has a status."""

        def arrived() -> None:
            reservation = self.probe.reservation(order_id)
            assert reservation is not None
            assert reservation["status"] == status

        eventually(arrived, within=within)

    def kinds(self, key: str, topic: str) -> list[str]:
        """Return the names of all events under a key, each once, in their order, after everything was published."""
        self.probe.await_published()
        self.log.settle()
        return self.log.kinds(key, topic)

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of one event that the order service's processes have written."""
        lines = [
            line
            for name in ("order-api", "order-worker")
            for line in self.processes.log(name).read_text(encoding="utf-8").splitlines()
            if f'"event":"{event}"' in line
        ]
        return [json.loads(line) for line in lines]

    def operate(self, service: str, *command: str) -> str:
        """Run a command of a service as an operator does, which must succeed, and return what it prints."""
        done = self.run(service, *command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of a service as an operator does, whatever becomes of it."""
        return subprocess.run(
            [sys.executable, "-m", f"services.{service}", *command],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "300", **self.stack.environment(service)},
            capture_output=True,
            text=True,
            check=False,
        )

    @contextlib.contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """Freeze processes for the length of a block."""
        for name in names:
            self.processes.pause(name)
        try:
            yield
        finally:
            for name in names:
                self.processes.resume(name)


@contextlib.contextmanager
def open_shop(directory: Path, before: Callable[[Stack], None] = lambda _stack: None) -> Iterator[Shop]:
    """Start a whole stack in a directory, after whatever comes `before` it, and end it with the block."""
    with launch(directory, overrides=OVERRIDES) as stack:
        before(stack)
        stack.up()
        state = stack.state
        probe = Probe(state)
        log = Log(state.bootstrap_servers, [topic.name for topic in declared(local=True)])
        try:
            yield Shop(stack, Callers(state), probe, log, Outsider(state.bootstrap_servers))
        finally:
            log.close()
            probe.close()

"""Registries as processes: our read-only one, which serves the schema folder. And what their clients decode."""

import contextlib
import datetime as dt
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from confluent_kafka.schema_registry import SchemaRegistryClient

from deploy.local.ports import LOOPBACK, Ports
from deploy.local.services import ROOT, get
from schemas import contracts
from tests.support.eventually import eventually

FOLDER = Path(contracts.__file__).parent
_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@contextlib.contextmanager
def folder_served(folder: Path = FOLDER, port: int | None = None) -> Iterator[str]:
    """Serve a schema folder and lend the address; assert that SIGTERM ends it in order."""
    port = Ports().take(port)
    url = f"http://{LOOPBACK}:{port}"
    command = [sys.executable, "-m", "schemas", "serve", "--folder", str(folder), "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            eventually(lambda: _answers(f"{url}/livez", process), within=_START_SECONDS)
            yield url
        finally:
            process.terminate()
            try:
                status = process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert status == 0


def client_of(url: str) -> SchemaRegistryClient:
    """Return Confluent's client for a registry."""
    return SchemaRegistryClient({"url": url, "timeout": 30, "max.retries": 0})


def plain(value: Any) -> Any:
    """Return a decoded value as the examples spell it: times in microseconds, ids as text."""
    match value:
        case dict():
            return {name: plain(part) for name, part in value.items()}
        case list():
            return [plain(part) for part in value]
        case dt.datetime():
            return (value - _EPOCH) // dt.timedelta(microseconds=1)
        case uuid.UUID():
            return str(value)
    return value


def _answers(url: str, process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise RuntimeError(f"the registry ended with status {process.returncode}")
    try:
        assert get(url, timeout=2).ok
    except requests.RequestException as error:
        raise AssertionError(str(error)) from error

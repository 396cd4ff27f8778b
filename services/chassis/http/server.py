"""Runs a service's API: gunicorn in this process, gevent workers, each with a listening socket of its own.

`prelude` must have run before anything else was imported. Every worker has its own socket (`reuse_port`), else all
connections can land on one; so two processes could share a port unseen, and a port that is taken is refused here.
"""

import gc
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from flask import Flask, Response
from gevent import monkey
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http.errors import ParseException
from prometheus_client.multiprocess import mark_process_dead

from services.chassis import logs
from services.chassis.errors import FatalError
from services.chassis.health import Health
from services.chassis.http import postgres_wait
from services.chassis.http.assembly import assemble
from services.chassis.http.prelude import METRICS_PREFIX, METRICS_VARIABLE
from services.chassis.http.problems import CODES, ProblemAnswers, named
from services.chassis.http.worker import ApiWorker
from services.chassis.runtime import Runtime
from services.chassis.service import Service
from services.chassis.settings import ServiceSettings
from services.chassis.unit_of_work import UnitOfWork

S = TypeVar("S", bound=ServiceSettings)
U = TypeVar("U", bound=UnitOfWork)
log = logs.logger(__name__)
# Longer than the idle timeouts of common proxies (60 s), so that they close first and never meet a closed connection.
_KEEPALIVE_SECONDS = 75
# Workers drain for less than this; supervisors kill after ten seconds.
_GRACEFUL_SECONDS = 9
# How often the master looks for workers that are silent; signals, and the end of a worker, wake it.
_LOOK_SECONDS = 5.0


def serve(service: Service[S, U], settings: S) -> NoReturn:
    """Serve a service's API until SIGTERM, then exit with 0.

    Raises:
        FatalError: the prelude has not run, or the address cannot be listened on.

    """
    logs.configure(service.name, settings.version, settings.log_level, settings.log_levels)
    serve_app(
        lambda: assemble(Runtime(service, settings, Health(), lock_seconds=postgres_wait.LOCK_SECONDS)),
        host=settings.http_host,
        port=settings.http_port,
        workers=settings.http_workers,
    )


def serve_app(load: Callable[[], Flask], *, host: str, port: int, workers: int) -> NoReturn:
    """Serve a Flask application until SIGTERM; see `serve`.

    Args:
        load: makes the application; called in each worker, after the fork.
        host: address to listen on.
        port: port to listen on.
        workers: number of worker processes.

    """
    if not monkey.is_module_patched("socket") or METRICS_VARIABLE not in os.environ:
        raise FatalError("prepare_process() of services.chassis.http.prelude must be the first thing a process does")
    _require_free(host, port)
    log.info("api_started", host=host, port=port, workers=workers)
    # What is imported by now lives as long as the process: no collection need look at it again, nor, in a worker,
    # copy its pages by doing so.
    gc.freeze()
    _Gunicorn(load, _options(host, port, workers, os.pipe())).run()
    sys.exit(0)


def _options(host: str, port: int, workers: int, lifeline: tuple[int, int]) -> dict[str, object]:
    return {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "workers": workers,
        "worker_class": ApiWorker,
        "reuse_port": True,
        "keepalive": _KEEPALIVE_SECONDS,
        "graceful_timeout": _GRACEFUL_SECONDS,
        "accesslog": None,
        "logger_class": _Log,
        "control_socket_disable": True,
        "on_starting": lambda _server: _wipe_metrics(),
        "child_exit": lambda _server, worker: mark_process_dead(worker.pid),  # type: ignore[no-untyped-call]
        "post_fork": lambda server, worker: worker.inherit(server.SIG_QUEUE, lifeline),
        "on_exit": lambda _server: _leave(),
    }


class _Master(Arbiter):  # type: ignore[misc]  # gunicorn has no type information
    """gunicorn's master, which would wake each second."""

    def wait_for_signals(self, timeout: float = _LOOK_SECONDS) -> Any:  # noqa: ARG002  # gunicorn gives a second
        return super().wait_for_signals(_LOOK_SECONDS)


class _Gunicorn(BaseApplication):  # type: ignore[misc]  # gunicorn has no type information
    """gunicorn, told by us instead of by its command line."""

    def __init__(self, load: Callable[[], Flask], options: Mapping[str, object]) -> None:
        self._load = load
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        app = self._load()
        app.register_error_handler(ParseException, _unreadable)
        return app

    def run(self) -> None:
        _Master(self).run()


class _Log(Logger):  # type: ignore[misc]  # gunicorn has no type information
    """gunicorn's log lines among all others, in their shape."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def _unreadable(error: ParseException) -> Response:
    """Answer a body whose chunks cannot be read."""
    detail = f"the body cannot be read as HTTP/1.1 ({type(error).__name__})"
    return ProblemAnswers(CODES).of_problem(named("bad_request", detail))


def _require_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise FatalError(f"cannot listen on {host}:{port} (HTTP_HOST, HTTP_PORT): {error.strerror}") from error


def _wipe_metrics() -> None:
    """Forget what an earlier run counted, before the first worker begins."""
    for left in Path(os.environ[METRICS_VARIABLE]).glob("*.db"):
        left.unlink()


def _leave() -> None:
    """Remove the metrics' folder if the prelude made it, and end quickly (see `ApiWorker.run`)."""
    gc.freeze()
    folder = Path(os.environ[METRICS_VARIABLE])
    if folder.parent == Path(tempfile.gettempdir()) and folder.name.startswith(METRICS_PREFIX):
        shutil.rmtree(folder)

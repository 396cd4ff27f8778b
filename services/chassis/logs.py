"""Structured logs: JSON lines on standard output, one constant `event` name a line, facts as fields.

Never a name, an address, an e-mail or a token: what a field may hold is an id, a number, or a code.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any

import structlog


class _Constants:
    """Adds what is the same in every line; context variables would reach the main thread's lines only."""

    def __init__(self, service: str, version: str) -> None:
        self._fields = {"service": service, "version": version}

    def __call__(self, _logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.update(self._fields)
        return event


def configure(service: str, version: str, level: str, levels: Mapping[str, str]) -> None:
    """Send every log of this process, the libraries' included, to standard output as JSON lines.

    Args:
        service: value of the field `service`.
        version: value of the field `version`.
        level: the root logger's level.
        levels: levels of single loggers, by logger name.

    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _Constants(service, version),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name, own in levels.items():
        logging.getLogger(name).setLevel(own)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger named after the module that logs."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound

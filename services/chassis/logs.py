"""Structured logs: JSON lines on standard output, one constant `event` name a line, facts as fields.

Never a name, an address, an e-mail or a token: what a field may hold is an id, a number, or a code.
"""

import logging
import sys
from collections.abc import Mapping

import structlog


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
    structlog.contextvars.bind_contextvars(service=service, version=version)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger named after the module that logs."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound

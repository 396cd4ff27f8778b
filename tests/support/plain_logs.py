"""The product's logs in tests: lines that pytest captures and shows with a failure.

Unconfigured, structlog draws every traceback with all its locals, which takes seconds.
"""

import structlog


def log_plainly() -> None:
    """Send the product's logs to the standard library's logging, for the rest of the session."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["event"]),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )

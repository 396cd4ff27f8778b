"""The text of `/metrics`: of this process, or summed over gunicorn's workers."""

import os
from collections.abc import Sequence

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector


def exposition(accept: str, collectors: Sequence[Collector] = ()) -> tuple[bytes, str]:
    """Return the metrics and their content type.

    Args:
        accept: the scraper's Accept header.
        collectors: asked at each scrape, beside what the processes counted.

    """
    encode, content_type = choose_encoder(accept)
    return encode(_registry(collectors)), content_type


def _registry(collectors: Sequence[Collector]) -> CollectorRegistry:
    # The environment variable that decides how `prometheus_client` counts; set by `prelude`.
    summed = "PROMETHEUS_MULTIPROC_DIR" in os.environ
    if not summed and not collectors:
        return REGISTRY
    # A new one for each scrape: what lives in files, or in a database, is read when it is asked for.
    registry = CollectorRegistry()
    registry.register(MultiProcessCollector(registry) if summed else REGISTRY)  # type: ignore[no-untyped-call]
    for collector in collectors:
        registry.register(collector)
    return registry

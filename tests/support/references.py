"""References inside of a JSON document, as OpenAPI and AsyncAPI write them."""

from collections.abc import Iterator
from typing import Any


def references(node: object) -> Iterator[str]:
    """Return every reference that a document, or a part of one, makes."""
    if isinstance(node, dict):
        # A property may have that name, too.
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolve(document: dict[str, Any], reference: str) -> Any:
    """Return what a reference leads to; raise KeyError where it leads nowhere."""
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node

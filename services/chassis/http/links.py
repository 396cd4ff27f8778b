"""Links of the OpenAPI document: what may be called with the id of what was just made.

They follow from the paths. A POST that answers 201 with an `id` makes a thing of its collection; every path below
`<collection>{some_id}/` that needs no further id is a call about it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PARAMETER = re.compile(r"\{(\w+)\}")
_MADE = "201"


def with_links(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document whose answers of what was made link to the calls about it."""
    paths: Mapping[str, Mapping[str, Any]] = document["paths"]
    return {**document, "paths": {path: dict(_linked(paths, path)) for path in paths}}


def _linked(paths: Mapping[str, Mapping[str, Any]], path: str) -> Iterator[tuple[str, Any]]:
    for method, operation in paths[path].items():
        links = dict(_links(paths, path)) if method == "post" and _MADE in operation["responses"] else {}
        if links:
            made = {**operation["responses"][_MADE], "links": links}
            yield method, {**operation, "responses": {**operation["responses"], _MADE: made}}
        else:
            yield method, operation


def _links(paths: Mapping[str, Mapping[str, Any]], path: str) -> Iterator[tuple[str, Any]]:
    """Yield operation id → link, for each call about what a POST to this path makes."""
    known = _PARAMETER.findall(path)
    for other, operations in paths.items():
        wanted = _PARAMETER.findall(other)
        if other.startswith(f"{path}{{") and wanted[:-1] == known:
            parameters = {name: f"$request.path.{name}" for name in known} | {wanted[-1]: "$response.body#/id"}
            for operation in operations.values():
                yield operation["operationId"], {"operationId": operation["operationId"], "parameters": parameters}

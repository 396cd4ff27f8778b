"""Bodies of requests as an OpenAPI document describes them: a whole one for every route, with anything in addition.

Nothing here knows a route or a model: a new route with a body is found in the document.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]
# For texts whose form the document gives as a pattern without an example.
_BY_PATTERN = {"^[A-Z]{3}$": "EUR"}
_BY_FORMAT = {"date": "2030-01-31", "date-time": "2026-01-31T12:00:00Z"}


@dataclass(frozen=True, slots=True)
class Place:
    """An object inside a body: where it is, the schema that describes it, and the names that it takes."""

    pointer: str
    schema: str
    names: frozenset[str]


class Bodies:
    """Makes bodies for the routes of a document.

    Args:
        document: the OpenAPI document.
        text: what free texts say; found again in whatever a body leaves behind.

    """

    def __init__(self, document: Mapping[str, Any], text: str) -> None:
        self._text = text
        self._schemas: Mapping[str, Schema] = document["components"]["schemas"]
        self.routes: Mapping[str, Schema] = {
            f"{method.upper()} {path}": operation["requestBody"]["content"]["application/json"]["schema"]
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if "requestBody" in operation
        }

    def names(self, *schemas: str) -> frozenset[str]:
        """Return the names that the objects of these schemas have."""
        return frozenset(name for schema in schemas for name in self._schemas[schema]["properties"])

    def whole(self, route: str) -> Any:
        """Return a body with everything in it that the route takes."""
        return self._sample(self.routes[route])

    def places(self, route: str) -> list[Place]:
        """Return every object in the whole body of a route."""
        return list(self._places(self.routes[route], "", "body"))

    def with_more(self, route: str, places: Sequence[Place], more: Mapping[str, Any]) -> tuple[Any, set[str]]:
        """Return the whole body of a route with more members in some objects of it, and pointers to those."""
        body = copy.deepcopy(self.whole(route))
        pointers = set()
        for place in places:
            added = {name: value for name, value in more.items() if name not in place.names}
            _at(body, place.pointer).update(added)
            pointers |= {f"{place.pointer}/{name}" for name in added}
        return body, pointers

    def _resolved(self, schema: Schema) -> tuple[Schema, str | None]:
        """Return what a schema stands for, and its name: the member of a union that is no scalar, if there is one."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self._resolved(self._schemas[name])[0], name
        members = [self._resolved(member) for kind in ("anyOf", "oneOf") for member in schema.get(kind, ())]
        if not members:
            return schema, None
        deep = [member for member in members if member[0].get("type") in ("object", "array")]
        return (deep or members)[0]

    def _sample(self, schema: Schema) -> Any:
        found, _ = self._resolved(schema)
        if "const" in found or "enum" in found:
            return found["const"] if "const" in found else found["enum"][0]
        if found["type"] == "object":
            return {name: self._sample(member) for name, member in found.get("properties", {}).items()}
        if found["type"] == "array":
            return [self._sample(found["items"])]
        return self._scalar(found)

    def _scalar(self, schema: Schema) -> Any:
        if schema["type"] == "string":
            known = _BY_PATTERN.get(schema.get("pattern", "")) or _BY_FORMAT.get(schema.get("format", ""))
            return known or schema.get("examples", [self._text])[0]
        return {"integer": max(1, schema.get("minimum", 1)), "boolean": True}[schema["type"]]

    def _places(self, schema: Schema, pointer: str, name: str) -> Iterator[Place]:
        found, named = self._resolved(schema)
        name = named or name
        if found.get("type") == "array":
            yield from self._places(found["items"], f"{pointer}/0", name)
        # An object without names of its own is a map of the caller's.
        if found.get("type") == "object" and "properties" in found:
            yield Place(pointer, name, frozenset(found["properties"]))
            for member, inner in found["properties"].items():
                yield from self._places(inner, f"{pointer}/{member}", name)


def _at(body: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        body = body[int(part) if isinstance(body, list) else part]
    return body

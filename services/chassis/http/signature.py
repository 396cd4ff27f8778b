"""Reads an endpoint's function: which parameters come from the path, and the models of query and body.

Every mistake that can be seen here is an error at import: a path parameter without its place in the rule, a model
that lets unknown fields pass.
"""

import inspect
import re
import types
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from services.chassis.http.inputs import Inputs
from services.chassis.http.models import Body, Query

M = TypeVar("M", bound=BaseModel)
_VARIABLE = re.compile(r"<(?:[^<>:]+:)?([^<>:]+)>")
_PATH_CONFIG = ConfigDict(extra="forbid", frozen=True)


def inputs_of(function: Callable[..., object], rule: str) -> Inputs:
    """Return what a function takes beside its call.

    Its first parameter is the call; `query` and `body` are models; every other one is a path parameter of that name.

    Args:
        function: fully annotated.
        rule: Flask's rule, for example "/<order_id>/items/".

    Raises:
        TypeError: function and rule do not fit, or a model is not closed.

    """
    hints = get_type_hints(function, include_extras=True)
    _, *names = inspect.signature(function).parameters
    path = {name: hints[name] for name in names if name not in ("query", "body")}
    variables = _VARIABLE.findall(rule)
    if set(variables) != set(path):
        raise TypeError(f"{function.__qualname__}: the rule {rule} names {variables}, the function {list(path)}")
    body, required = _optional(hints.get("body"))
    return Inputs(
        path=None if all(hint is str for hint in path.values()) else path_model(function.__name__, path),
        query=_closed(function, hints.get("query"), Query),
        body=_closed(function, body, Body),
        body_required=required,
    )


def path_model(name: str, hints: dict[str, Any]) -> type[BaseModel]:
    """Return a model of path parameters."""
    fields: dict[str, Any] = {parameter: (hint, ...) for parameter, hint in hints.items()}
    return create_model(f"{name}_path", __config__=_PATH_CONFIG, **fields)


def path_hints(function: Callable[..., object]) -> dict[str, Any]:
    """Return the path parameters of a function with their types."""
    hints = get_type_hints(function, include_extras=True)
    _, *names = inspect.signature(function).parameters
    return {name: hints[name] for name in names if name not in ("query", "body")}


def _optional(hint: Any) -> tuple[Any, bool]:
    """Return the model of an annotation and whether it is required."""
    if get_origin(hint) is Annotated:
        return _optional(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        models = [member for member in get_args(hint) if member is not types.NoneType]
        return models[0] if len(models) == 1 else hint, False
    return hint, True


def _closed(function: Callable[..., object], model: Any, kind: type[M]) -> type[M] | None:
    if model is None:
        return None
    if not (inspect.isclass(model) and issubclass(model, kind)):
        raise TypeError(f"{function.__qualname__}: {model} must be a {kind.__name__}")
    schema = model.model_json_schema()
    for found in (schema, *schema.get("$defs", {}).values()):
        if "properties" in found and found.get("additionalProperties") is not False:
            raise TypeError(f"{function.__qualname__}: {found.get('title')} lets unknown fields pass")
    return model

"""Frozen dataclasses that are made as fast as mutable ones.

The `__init__` of a frozen dataclass stores each field by `object.__setattr__`, which takes several times as long as an
assignment. An event with its lines has sixty fields, and each service makes it anew. Here an instance is of another
class while its `__init__` runs, with the same slots and no guard before them.
"""

import dataclasses
from typing import Any, TypeVar

T = TypeVar("T")
_MISSING = dataclasses.MISSING


def fast_init(cls: type[T]) -> type[T]:
    """Give a frozen dataclass an `__init__` of the same arguments that assigns.

    Args:
        cls: made with `slots=True` and `kw_only=True`; every field is an argument, and there is no `__post_init__`.
            A subclass has empty `__slots__`.

    Raises:
        TypeError: it is another kind of class.

    """
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]  # whatever else is given fails here
    slots = tuple(field.name for field in fields)
    plain = hasattr(cls, "__post_init__") or not all(field.init and field.kw_only for field in fields)
    if plain or tuple(vars(cls).get("__slots__", ())) != slots:
        raise TypeError(f"{cls.__name__} is no dataclass with slots, kw_only, and no more than its arguments")
    open_class = type(cls.__name__, (), {"__slots__": slots})
    scope: dict[str, Any] = {"_set": object.__setattr__, "_open": open_class, "_missing": _MISSING}
    # The class of the instance may be a subclass.
    lines = [" _class = self.__class__", " _set(self, '__class__', _open)"]
    arguments = ["self", "*"]
    for field in fields:
        argument, line = _field(field, scope)
        arguments.append(argument)
        lines.append(line)
    text = [f"def __init__({', '.join(arguments)}):", *lines, " self.__class__ = _class"]
    exec("\n".join(text), scope)  # noqa: S102  # as dataclasses makes it: out of the names of the fields alone
    made = scope["__init__"]
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    made.__annotations__ = cls.__init__.__annotations__
    cls.__init__ = made  # type: ignore[method-assign]  # the same arguments
    return cls


def _field(field: dataclasses.Field[Any], scope: dict[str, Any]) -> tuple[str, str]:
    """Return a field's argument and the line that stores it; what they name is put into `scope`."""
    name = field.name
    if field.default is not _MISSING:
        scope[f"_default_{name}"] = field.default
        return f"{name}=_default_{name}", f" self.{name} = {name}"
    if field.default_factory is not _MISSING:
        scope[f"_factory_{name}"] = field.default_factory
        return f"{name}=_missing", f" self.{name} = _factory_{name}() if {name} is _missing else {name}"
    return name, f" self.{name} = {name}"

"""A frozen dataclass with `fast_init` is made, and behaves, as one without."""

import copy
import dataclasses
import inspect
from dataclasses import dataclass, field
from typing import Any

import pytest

from schemas.frozen import fast_init


@dataclass(frozen=True, slots=True)
class Plain:
    first: int
    second: str = "two"
    third: dict[str, int] = field(default_factory=dict)
    named: int = field(kw_only=True)
    optional: list[int] = field(kw_only=True, default_factory=list)


@fast_init
@dataclass(frozen=True, slots=True)
class Fast:
    first: int
    second: str = "two"
    third: dict[str, int] = field(default_factory=dict)
    named: int = field(kw_only=True)
    optional: list[int] = field(kw_only=True, default_factory=list)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((1,), {"named": 2}), ((1, "x", {"a": 1}), {"named": 2, "optional": [3]}), ((), {"named": 2, "first": 1})],
)
def test_its_fields_are_those_of_a_plain_one(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    assert dataclasses.asdict(Fast(*arguments, **named)) == dataclasses.asdict(Plain(*arguments, **named))


@pytest.mark.parametrize(
    ("arguments", "named"), [((), {"named": 2}), ((1,), {}), ((1,), {"named": 2, "other": 3}), ((1, "", {}, 2), {})]
)
def test_wrong_arguments_are_refused_in_the_same_words(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as plain:
        Plain(*arguments, **named)
    with pytest.raises(TypeError) as fast:
        Fast(*arguments, **named)
    assert str(fast.value).replace("Fast", "Plain") == str(plain.value)


def test_it_is_frozen_and_has_no_other_attributes() -> None:
    made = Fast(1, named=2)
    assert type(made) is Fast
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.first = 3  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del made.first  # type: ignore[misc]
    assert not hasattr(made, "__dict__")


def test_a_subclass_makes_its_own_instances() -> None:
    subclass = type("Faster", (Fast,), {"__slots__": ()})
    made = subclass(1, named=2)
    assert type(made) is subclass
    assert repr(made) == "Faster(first=1, second='two', third={}, named=2, optional=[])"


def test_default_factories_give_each_its_own() -> None:
    assert Fast(1, named=2).third is not Fast(1, named=2).third


def test_it_can_be_compared_shown_replaced_and_copied() -> None:
    made = Fast(1, named=2)
    assert made == Fast(1, named=2) != Fast(1, named=3)
    assert repr(made) == "Fast(first=1, second='two', third={}, named=2, optional=[])"
    assert dataclasses.replace(made, named=3) == Fast(1, named=3)
    assert copy.copy(made) == copy.deepcopy(made) == made


def test_its_arguments_are_of_the_same_names_kinds_and_types() -> None:
    plain, fast = (inspect.signature(each).parameters.values() for each in (Plain, Fast))
    assert [(one.name, one.kind, one.annotation) for one in fast] == [(a.name, a.kind, a.annotation) for a in plain]

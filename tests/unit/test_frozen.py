"""A frozen dataclass with `fast_init` is made, and behaves, as one without."""

import copy
import dataclasses
import inspect
from dataclasses import dataclass, field
from typing import Any

import pytest

from schemas.frozen import fast_init


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    second: str = "two"
    first: int
    third: dict[str, int] = field(default_factory=dict)


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Fast:
    second: str = "two"
    first: int
    third: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    first: int

    def __post_init__(self) -> None:
        raise ValueError(self.first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    first: int
    second: int = field(init=False, default=2)


@dataclass(frozen=True, slots=True)
class Positional:
    first: int


@dataclass(frozen=True, kw_only=True)
class Open:
    first: int


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Weak:
    first: int


@pytest.mark.parametrize("named", [{"first": 1}, {"first": 1, "second": "x"}, {"first": 1, "third": {"a": 1}}])
def test_its_fields_are_those_of_a_plain_one(named: dict[str, Any]) -> None:
    assert dataclasses.asdict(Fast(**named)) == dataclasses.asdict(Plain(**named))


@pytest.mark.parametrize(("arguments", "named"), [((), {}), ((), {"first": 1, "other": 3}), ((1,), {"first": 1})])
def test_wrong_arguments_are_refused_in_the_same_words(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as plain:
        Plain(*arguments, **named)
    with pytest.raises(TypeError) as fast:
        Fast(*arguments, **named)
    assert str(fast.value).replace("Fast", "Plain") == str(plain.value)


def test_it_is_frozen_and_has_no_other_attributes() -> None:
    made = Fast(first=1)
    assert type(made) is Fast
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.first = 3  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del made.first  # type: ignore[misc]
    assert not hasattr(made, "__dict__")


def test_a_subclass_makes_its_own_instances() -> None:
    subclass = type("Faster", (Fast,), {"__slots__": ()})
    made = subclass(first=1)
    assert type(made) is subclass
    assert repr(made) == "Faster(second='two', first=1, third={})"


def test_default_factories_give_each_its_own() -> None:
    assert Fast(first=1).third is not Fast(first=1).third


def test_it_can_be_compared_shown_replaced_and_copied() -> None:
    made = Fast(first=1)
    assert made == Fast(first=1) != Fast(first=3)
    assert repr(made) == "Fast(second='two', first=1, third={})"
    assert dataclasses.replace(made, first=3) == Fast(first=3)
    assert copy.copy(made) == copy.deepcopy(made) == made


def test_its_arguments_are_of_the_same_names_kinds_and_types() -> None:
    plain, fast = (inspect.signature(each).parameters.values() for each in (Plain, Fast))
    assert [(one.name, one.kind, one.annotation) for one in fast] == [(a.name, a.kind, a.annotation) for a in plain]


@pytest.mark.parametrize("other", [Checked, Derived, Positional, Open, Weak])
def test_a_class_that_is_made_in_another_way_is_refused_at_once(other: type[Any]) -> None:
    with pytest.raises(TypeError, match=f"{other.__name__} is no dataclass with slots"):
        fast_init(other)

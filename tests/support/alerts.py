"""The alert rules as tests read them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

OBSERVABILITY = Path(__file__).parents[2] / "deploy" / "observability"
ALERTS = OBSERVABILITY / "alerts.yml"
# What is a name in PromQL and no metric's.
_WORDS = {"and", "or", "unless", "by", "on", "without", "ignoring", "group_left", "group_right", "bool", "offset"}
_GROUPED = re.compile(r"\bby *\(([^)]*)\) *(?=\()")
_SELECTOR = re.compile(r"\b([a-zA-Z_:][\w:]*)\b(?! *\()(?:\{([^}]*)\})?")


@dataclass(frozen=True)
class Selector:
    """A metric as an expression asks for it.

    Args:
        metric: its name.
        labels: those that it needs, of the matchers and of the groups around it.
        values: label → the values that are asked for.

    """

    metric: str
    labels: frozenset[str]
    values: Mapping[str, Sequence[str]]


def rules() -> list[dict[str, Any]]:
    """Return every rule of every group."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def selectors(expression: str) -> list[Selector]:
    """Return the metrics that an expression names, each time that it does.

    A metric is whatever is neither a function, nor a word of the language, nor inside of a matcher, a range or a list
    of labels.
    """
    groups = [(*_inside(expression, found.end()), found[1]) for found in _GROUPED.finditer(expression)]
    bare = re.sub(r"\[[^\]]*\]|\b(?:by|on|without|ignoring|group_\w+) *\([^)]*\)", _blanks, expression)
    return [
        _selector(found[1], found[2] or "", [names for start, end, names in groups if start < found.start() < end])
        for found in _SELECTOR.finditer(bare)
        if found[1] not in _WORDS
    ]


def metrics_of(expression: str) -> set[str]:
    """Return the metrics that an expression names."""
    return {selector.metric for selector in selectors(expression)}


def _selector(metric: str, matchers: str, groups: Sequence[str]) -> Selector:
    values = {}
    for matcher in filter(None, (part.strip() for part in matchers.split(","))):
        found = re.fullmatch(r'(\w+)(=~?)"([\w|]*)"', matcher)
        assert found, f"{matcher}: nobody here understands this matcher"
        values[found[1]] = found[3].split("|") if found[2] == "=~" else [found[3]]
    names = {name.strip() for group in groups for name in group.split(",")}
    return Selector(metric, frozenset(names | values.keys()), values)


def _inside(expression: str, start: int) -> tuple[int, int]:
    """Return where the parentheses end that begin here, as a span."""
    depth = 0
    for place in range(start, len(expression)):
        depth += {"(": 1, ")": -1}.get(expression[place], 0)
        if depth == 0:
            return start, place
    raise AssertionError(f"{expression}: parentheses do not match")


def _blanks(found: re.Match[str]) -> str:
    return " " * len(found[0])

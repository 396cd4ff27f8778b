"""The alert rules as tests read them."""

import re
from pathlib import Path
from typing import Any

import yaml

OBSERVABILITY = Path(__file__).parents[2] / "deploy" / "observability"
ALERTS = OBSERVABILITY / "alerts.yml"
# What is a name in PromQL and no metric's.
_WORDS = {"and", "or", "unless", "by", "on", "without", "ignoring", "group_left", "group_right", "bool", "offset"}


def rules() -> list[dict[str, Any]]:
    """Return every rule of every group."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def metrics_of(expression: str) -> set[str]:
    """Return the metrics that an expression names.

    Whatever is neither a function, nor a word of the language, nor inside of a matcher, a range or a list of labels.
    """
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|without|ignoring|group_\w+) *\([^)]*\)", " ", expression)
    names = re.findall(r"\b[a-zA-Z_:][\w:]*\b(?! *\()", bare)
    return set(names) - _WORDS
